"""A prior on the image alone: small patches have few strong cosine coefficients.

Alternates hard thresholding of overlapping 8 × 8 cosine transforms with the projection onto the
images that agree with the measurement, the threshold falling from coarse to fine
(plug-and-play; Venkatakrishnan, Bouman, Wohlberg, 2013, with Guleryuz' overcomplete shrinkage,
"Nonlinear Approximation Based Image Recovery Using Adaptive Sparse Reconstructions", 2006).
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.degrade import Resampler, project

SIDE = 8
"""Side of a patch, in pixels of the result."""

STRIDE = 2
"""Step between patches."""

ROUNDS = 12
"""Thresholdings, each followed by a projection."""

THRESHOLDS = (1.2, 0.1)
"""First and last threshold, in standard deviations of the measurement."""


def sharpen(x: Tensor, y: Tensor, reduce: Resampler, valid: Tensor) -> Tensor:
    """Sharpen an estimate without a guide.

    Parameters
    ----------
    x : Tensor, shape (1, C, H, W)
        Where to start, consistent with ``y`` or nearly so.
    y : Tensor, shape (1, C, h, w)
        Measurement.
    reduce : Resampler
        The imaging operator, (H, W) to (h, w).
    valid : Tensor, shape (1, 1, h, w)
        1 where ``y`` was measured; elsewhere nothing is pulled.

    Returns
    -------
    Tensor, shape (1, C, H, W)
    """
    contrast = (y - y.mean((-2, -1), keepdim=True)).std((-2, -1), keepdim=True)
    for step in range(ROUNDS):
        share = step / ROUNDS
        threshold = THRESHOLDS[0] * (1 - share) + THRESHOLDS[1] * share
        x = shrink(x, threshold * contrast)
        x = project(x, y, reduce, valid)
    return x


def shrink(x: Tensor, threshold: Tensor) -> Tensor:
    """Set the weak cosine coefficients of overlapping patches to zero and average the patches.

    Patches with fewer coefficients left weigh more.

    Parameters
    ----------
    x : Tensor, shape (1, C, H, W)
    threshold : Tensor, shape (1, C, 1, 1)
        Coefficients of the orthonormal transform below it vanish, the mean excepted.
    """
    basis = _basis(str(x.device))
    height, width = x.shape[-2:]
    margin = SIDE - STRIDE
    below, right = (margin + (-(n - SIDE)) % STRIDE for n in (height, width))
    planes = F.pad(x, (margin, right, margin, below), mode="replicate")[0][:, None]
    coefficients = F.conv2d(planes, basis, stride=STRIDE)
    kept = (coefficients.abs() > threshold[0][:, None]).to(x.dtype)
    kept[:, :1] = 1
    weight = 1 / kept.sum(1, keepdim=True)
    total = F.conv_transpose2d(coefficients * kept * weight, basis, stride=STRIDE)
    cover = F.conv_transpose2d(weight, torch.ones_like(basis[:1]), stride=STRIDE)
    inside = (total / cover)[..., margin : margin + height, margin : margin + width]
    return inside[:, 0][None]


@lru_cache(maxsize=4)
def _basis(device: str) -> Tensor:
    """Orthonormal cosine transform as (64, 1, 8, 8) filters; the mean comes first."""
    k, i = torch.arange(SIDE)[:, None], torch.arange(SIDE)[None]
    rows = torch.cos(math.pi * (i + 0.5) * k / SIDE) * math.sqrt(2 / SIDE)
    rows[0] /= math.sqrt(2)
    return torch.einsum("ai,bj->abij", rows, rows).reshape(-1, 1, SIDE, SIDE).to(device)
