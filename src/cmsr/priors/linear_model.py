"""The closed-form estimate: a target that is, locally, a linear function of the guide's detail.

The unknown image is modelled as a sum of smooth random fields and of guide features times smooth
random coefficients,

    x = m + Σ_k b_k + Σ_f φ_f · Σ_l a_lf,      b_k ~ GP(0, v_k · G_σk),   a_lf ~ GP(0, v_l · G_σl),

with Gaussian covariances G_σ, and is measured through the imaging operator, y = R x + noise. The
estimate is the posterior mean, x = m + K Rᵀ (R K Rᵀ + λ)⁻¹ (y − m), found by conjugate gradients
in the small space of y. In the cosine basis the smooth fields alone are all but diagonal, which
makes a preconditioner: a few steps take the estimate to where it hardly changes. The coefficients
are fitted at the guide's own resolution: nothing is assumed about another scale.

The smooth fields can compensate for a wrong coefficient at the measured pixels, which would let
the guide's texture through where the target is flat. At each target pixel, the guide's detail is
therefore limited to the share that the measurement supports.

References
----------
C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006, eq. 2.25;
K. He, J. Sun, X. Tang, "Guided Image Filtering", PAMI 2013, for the local linear model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from cmsr.operators.conjugate_gradients import conjugate_gradients
from cmsr.operators.cosine import cosines
from cmsr.operators.gaussian import Fields, blur, factor, smooth, smoothed_sum
from cmsr.operators.resampling import Resampler

SMOOTH: Fields = ((1.0, 0.5), (4.0, 1.5), (8.0, 5.0))
"""Variance and width of each smooth field b; widths in pixels of the target."""

EXPLAINED: Fields = ((0.2, 1.0), (0.45, 2.0), (2.0, 6.0), (0.3, 15.0))
"""Variance and width of each coefficient field a."""

NOISE = 3e-4
"""λ, on the scale of the variances above."""

SUPPORT = 0.7
"""Width of the neighbourhood that supports a detail, and of what counts as detail, in pixels of the
target."""

NEGLIGIBLE = 3e-8
"""Power of detail, in variances of the image, below which it needs no support."""

DETAIL_SHARE, DETAIL_WIDTH = 0.3, 0.35
"""The guide's fields as the preconditioner models them, on average: one smooth field of so much of
their variance, and its width in pixels of the target."""

HOLE_STEPS, HOLE_STEP, POWER_STEPS = 3, 1.2, 15
"""Steps of Richardson's iteration by which the preconditioner leaves out holes, an odd number, so
that it stays positive; their size in inverse largest eigenvalues, and the power iteration's steps
for these. Held-out pixels made it ten times worse: 8 steps of conjugate gradients now leave less
than 24 did."""


def estimate(
    y: Tensor,
    reduce: Resampler,
    valid: Tensor,
    features: Tensor | None,
    ratio: float,
    *,
    iterations: int,
    noise: float = 0.0,
    level: tuple[float, float] | None = None,
) -> tuple[Tensor, Tensor]:
    """Estimate a high-resolution image from a measurement and, where given, guide features.

    Parameters
    ----------
    y : Tensor, shape (h, w)
        Measurement.
    reduce : Resampler
        The imaging operator, (H, W) to (h, w).
    valid : Tensor, shape (h, w)
        1 where ``y`` was measured; the rest has no influence.
    features : Tensor, shape (F, H, W), optional
        What the target may depend on, see `cmsr.priors.guide_features`.
    ratio : float
        How many output pixels make one of the target; all widths are multiples of it.
    iterations : int
        Steps of conjugate gradients.
    noise : float
        Standard deviation of the measurement's noise, in its units.
    level : (float, float), optional
        Mean and standard deviation of the image that ``y`` is a part of; its own otherwise.

    Returns
    -------
    Two tensors, shape (H, W)
        The smooth part and the guide's part; their sum is the posterior mean.
    """
    mean, contrast = level or level_of(y, valid)
    damping = NOISE + _damping(noise, contrast, ratio)
    model = _Model(reduce, valid, features, ratio, damping)
    right = valid * (y - mean)
    spread = reduce.transpose(valid * model.solve(right, iterations))
    return mean + model.smooth(spread), model.explained(spread)


def supported(y: Tensor, valid: Tensor, visible: Tensor, contrast: float) -> Tensor:
    """Return the share of some added detail that the measurement supports, 0 to 1.

    It is the slope of the measurement's detail on that of the addition in a small neighbourhood.

    Parameters
    ----------
    y, valid : Tensor, shape (h, w)
        Measurement, and 1 where there is one.
    visible : Tensor, shape (h, w)
        The addition as the measurement would show it.
    contrast : float
        Standard deviation of the whole image.
    """
    share = blur(valid, SUPPORT).clamp(min=1e-6)

    def detail(x: Tensor) -> Tensor:
        return (x - blur(x * valid, SUPPORT) / share) * valid

    seen, added = detail(y), detail(visible)
    tiny = NEGLIGIBLE * contrast**2 + torch.finfo(y.dtype).tiny
    common, power = blur(seen * added, SUPPORT), blur(added.square(), SUPPORT)
    return ((common + tiny) / (power + tiny)).clamp(0, 1)


def level_of(y: Tensor, valid: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of what was measured of (h, w)."""
    count = valid.sum().clamp(min=1)
    mean = (y * valid).sum() / count
    return float(mean), float((((y - mean) * valid).square().sum() / count).sqrt())


def energy(
    y: Tensor, reduce: Resampler, valid: Tensor, features: Tensor, ratio: float, *, iterations: int
) -> Tensor:
    """Return the energy (y − m)ᵀ (R K Rᵀ + λ)⁻¹ (y − m), differentiable in the features.

    It is the part of minus twice the log-likelihood that depends on where the guide lies: lower is
    likelier. The parameters are those of `estimate`. With a dual u that is not yet converged it is
    the lower bound 2 uᵀ (y − m) − uᵀ (R K Rᵀ + λ) u, whose derivative needs none of the iterations.
    """
    model = _Model(reduce, valid, features, ratio)
    mean = (y * valid).sum() / valid.sum().clamp(min=1)
    right = valid * (y - mean)
    with torch.no_grad():
        dual = model.solve(right, iterations)
    return 2 * (dual * right).sum() - (dual * model.system(dual)).sum()


@dataclass(frozen=True)
class _Model:
    """The covariance K of the unknown image, as it is measured."""

    reduce: Resampler
    valid: Tensor
    features: Tensor | None
    ratio: float
    damping: float = NOISE

    def smooth(self, v: Tensor) -> Tensor:
        """Apply the part of K that is the smooth fields' to an image (H, W)."""
        total = torch.zeros_like(v)
        for variance, width in SMOOTH:
            total = total + variance * smooth(v, width * self.ratio)
        return total

    def explained(self, v: Tensor) -> Tensor:
        """Apply the part of K that is the guide's to an image (H, W)."""
        if self.features is None:
            return torch.zeros_like(v)
        return (self.features * smoothed_sum(self.features * v, EXPLAINED, self.ratio)).sum(0)

    def system(self, dual: Tensor) -> Tensor:
        """Apply R K Rᵀ + λ to a dual (h, w); for the smooth fields without leaving its size."""
        measured = self.valid * dual
        image = torch.zeros_like(dual)
        for variance, rows, cols in self._measured(SMOOTH):
            image = image + variance * (rows @ measured @ cols)
        if self.features is not None:
            image = image + self.reduce(self.explained(self.reduce.transpose(measured)))
        return self.valid * image + self.damping * dual

    def solve(self, right: Tensor, iterations: int) -> Tensor:
        """Return the dual (h, w) that the system takes to ``right``, by conjugate gradients."""
        return conjugate_gradients(
            self.system, right, iterations, precondition=self.preconditioner()
        )

    def preconditioner(self) -> Callable[[Tensor], Tensor]:
        """Return the inverse of the system's diagonal in the cosine basis, holes taken out."""
        fields = SMOOTH
        if self.features is not None:
            total = sum(variance for variance, _ in EXPLAINED)
            fields = *fields, (DETAIL_SHARE * total * len(self.features), DETAIL_WIDTH)
        rows, cols = (cosines(n, str(self.valid.device)) for n in self.valid.shape)
        spectrum = sum(
            variance * torch.outer(_diagonal(rows, down), _diagonal(cols, across))
            for variance, down, across in self._measured(fields)
        )
        gain = 1 / (spectrum + self.damping)

        def invert(y: Tensor) -> Tensor:
            return rows.mT @ ((rows @ y @ cols.mT) * gain) @ cols

        return invert if self.valid.all() else _without_holes(invert, self.valid)

    def _measured(self, fields: Fields) -> Iterator[tuple[float, Tensor, Tensor]]:
        """Yield each field's variance, and its covariance as measured along both axes."""
        for variance, width in fields:
            down, across = (
                _measured(axis, width * self.ratio) for axis in (self.reduce.rows, self.reduce.cols)
            )
            yield variance, down, across


def _without_holes(invert: Callable[[Tensor], Tensor], valid: Tensor) -> Callable[[Tensor], Tensor]:
    """Turn the inverse of a system on all pixels into about that on the valid ones alone.

    The inverse C of a matrix without some rows and columns h is C − C_h C_hh⁻¹ C_hᵀ. On scattered
    pixels C_hh is close to a multiple of the identity: a few steps of Richardson's iteration
    invert it, and leave the result symmetric and positive.
    """
    hole = 1 - valid
    random = torch.Generator().manual_seed(0)
    vector = hole * torch.randn(hole.shape, generator=random).to(hole)
    for _ in range(POWER_STEPS):
        vector = hole * invert(vector / vector.norm())
    step = HOLE_STEP / float(vector.norm())

    def apply(y: Tensor) -> Tensor:
        image = invert(valid * y)
        extra = torch.zeros_like(y)
        for _ in range(HOLE_STEPS):
            extra = extra - step * hole * image
            image = invert(valid * y + extra)
        return valid * image

    return apply


def _damping(noise: float, contrast: float, ratio: float) -> float:
    """Bring a level of noise to the scale of the variances, which add up to the contrast's."""
    if not noise or not contrast:
        return 0.0
    scale = sum(variance / (2 * math.pi * (width * ratio) ** 2) for variance, width in SMOOTH)
    return scale * noise**2 / contrast**2


@lru_cache(maxsize=32)
def _measured(axis: Tensor, width: float) -> Tensor:
    """Return A G Aᵀ (n, n), A (n, N) the imaging operator on one axis, G Gaussian smoothing."""
    seen = axis @ factor(axis.shape[1], width, str(axis.device))
    return seen @ seen.mT


def _diagonal(basis: Tensor, matrix: Tensor) -> Tensor:
    """Diagonal (n,) of a matrix (n, n) in an orthonormal basis, whose rows are given."""
    return ((basis @ matrix) * basis).sum(1)
