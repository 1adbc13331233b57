"""The closed-form estimate: a target that is, locally, a linear function of the guide.

The unknown image is modelled as a sum of smooth random fields and of guide features times smooth
random coefficients,

    x = m + Σ_k b_k + Σ_l Σ_f φ_f · a_lf,      b_k ~ GP(0, v_k · G_σk),   a_lf ~ GP(0, v_l · G_σl),

with Gaussian covariances G_σ, and is measured through the imaging operator, y = R x + noise. The
estimate is the posterior mean, x = m + K Rᵀ (R K Rᵀ + λ)⁻¹ (y − m), found by conjugate gradients
in the small space of y. The coefficients are fitted at the guide's own resolution: nothing is
assumed about another scale. It is linear in y, so units and offsets do not matter.

References
----------
C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006, eq. 2.25;
K. He, J. Sun, X. Tang, "Guided Image Filtering", PAMI 2013, for the local linear model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from cmsr.degrade import Resampler

SMOOTH = ((1.0, 0.5), (4.0, 1.5), (16.0, 5.0))
"""Variance and width of each smooth field; widths in pixels of the target."""

EXPLAINED = ((0.1, 1.0), (0.3, 2.0), (1.0, 6.0), (3.0, 15.0))
"""Variance and width of each coefficient field of the guide's features."""

HIGH_PASS = 2.0
"""Width below which the guide's detail counts, in pixels of the target."""

NOISE = 1e-3
"""λ, on the scale of the variances above."""


def estimate(
    y: Tensor,
    reduce: Resampler,
    valid: Tensor,
    guide: Tensor | None,
    ratio: float,
    *,
    iterations: int,
) -> Tensor:
    """Estimate a high-resolution image from a measurement and, where given, a guide.

    Parameters
    ----------
    y : Tensor, shape (1, C, h, w)
        Measurement.
    reduce : Resampler
        The imaging operator, (H, W) to (h, w).
    valid : Tensor, shape (1, 1, h, w)
        1 where ``y`` was measured; the rest has no influence.
    guide : Tensor, shape (1, G, H, W), optional
        Aligned guide, [0, 1].
    ratio : float
        How many output pixels make one of the target; all widths are multiples of it.
    iterations : int
        Steps of conjugate gradients.

    Returns
    -------
    Tensor, shape (1, C, H, W)
    """
    features = None if guide is None else whiten(guide, HIGH_PASS * ratio)
    mean = (y * valid).sum((-2, -1), keepdim=True) / valid.sum().clamp(min=1)

    def covariance(v: Tensor) -> Tensor:
        total = sum(variance * smooth(v, width * ratio) for variance, width in SMOOTH)
        if features is not None:
            for variance, width in EXPLAINED:
                spread = smooth(features[:, None] * v, width * ratio)
                total = total + variance * (features[:, None] * spread).sum(0)
        return torch.as_tensor(total)

    def system(dual: Tensor) -> Tensor:
        return valid * reduce(covariance(reduce.transpose(valid * dual))) + NOISE * dual

    dual = conjugate_gradients(system, valid * (y - mean), iterations)
    return mean + covariance(reduce.transpose(valid * dual))


def whiten(guide: Tensor, width: float) -> Tensor:
    """Turn a guide (1, G, H, W) into uncorrelated detail (G, 1, H, W) of unit variance."""
    base = smooth(guide[0], width) / smooth(torch.ones_like(guide[0]), width)
    detail = guide[0] - base
    flat = detail.flatten(1)
    values, vectors = torch.linalg.eigh(flat @ flat.mT / flat.shape[1])
    scale = vectors / (values.clamp(min=0) + 1e-5).sqrt()
    return torch.einsum("ck,chw->khw", scale, detail)[:, None]


def smooth(x: Tensor, width: float) -> Tensor:
    """Smooth (..., H, W) by a symmetric, positive semi-definite Gaussian of this σ."""
    rows, cols = (_factor(n, width, str(x.device)) for n in (x.shape[-2], x.shape[-1]))
    return rows @ (rows.mT @ x @ cols) @ cols.mT


@lru_cache(maxsize=128)
def _factor(n: int, width: float, device: str) -> Tensor:
    """L of shape (n, m) with few columns, so that L Lᵀ smooths by ``width`` pixels."""
    half = width / math.sqrt(2)
    step = max(1.0, 1.05 * half)
    count = math.ceil(n / step) + 6
    centres = (torch.arange(count) - (count - 1) / 2) * step + (n - 1) / 2
    factor = torch.exp(-((torch.arange(n)[:, None] - centres) ** 2) / (2 * half**2))
    factor = torch.where(factor > 1e-6, factor, 0.0)
    gain = factor @ (factor.mT @ torch.ones(n))
    return (factor / gain[n // 2].sqrt()).to(device)


def conjugate_gradients(
    system: Callable[[Tensor], Tensor], right: Tensor, iterations: int
) -> Tensor:
    """Solve ``system(x) = right`` for a symmetric positive definite map, per channel.

    ``right`` has shape (1, C, h, w); channels are independent of each other.
    """

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum((-2, -1), keepdim=True)

    x, residual = torch.zeros_like(right), right
    direction, energy = right, dot(right, right)
    for _ in range(iterations):
        image = system(direction)
        step = energy / dot(direction, image).clamp(min=torch.finfo(x.dtype).tiny)
        x, residual = x + step * direction, residual - step * image
        before, energy = energy, dot(residual, residual)
        direction = residual + energy / before.clamp(min=torch.finfo(x.dtype).tiny) * direction
    return x
