"""A last, global shift of the guide, found by the likelihood of the local linear model."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.degrade import Resampler
from cmsr.local_linear import estimate, whiten

ITERATIONS = 6
"""Steps of conjugate gradients for one energy: enough to compare places."""

FIRST_STEP = 0.75
"""First trial shift, in pixels of the guide; the second pass halves it."""

PASSES = 2
"""Passes over both directions."""

Shift = tuple[float, float]


def likeliest_shift(
    y: Tensor, reduce: Resampler, valid: Tensor, guide: Tensor, ratio: float
) -> Shift:
    """Find the shift (down, right) of the guide, in its pixels, that explains ``y`` best.

    A parabola through three energies per direction and pass; at most a few pixels, so the guide
    must be nearly in place already.

    Parameters
    ----------
    y, valid : Tensor, shape (h, w)
        Measurement, and 1 where there is one.
    reduce : Resampler
        The imaging operator.
    guide : Tensor, shape (G, H, W)
        [0, 1].
    ratio : float
        Output pixels per pixel of the target.
    """
    features = whiten(guide, ratio)

    def energy(at: Shift) -> float:
        moved = move(features, at)
        return estimate(y, reduce, valid, moved, ratio, iterations=ITERATIONS).energy

    best: tuple[float, Shift] = energy((0.0, 0.0)), (0.0, 0.0)
    step = FIRST_STEP
    for _ in range(PASSES):
        for axis in (0, 1):
            low, high = (_along(best[1], axis, way * step) for way in (-1, 1))
            tried = [(energy(at), at) for at in (low, high)]
            jump = _parabola(tried[0][0], best[0], tried[1][0]) * step
            nearer = _along(best[1], axis, jump)
            best = min(best, *tried, (energy(nearer), nearer))
        step /= 2
    return best[1]


def move(x: Tensor, shift: Shift) -> Tensor:
    """Move (G, H, W) by ``shift`` pixels (down, right), bicubically; the border is repeated."""
    height, width = x.shape[-2:]
    rows = (torch.arange(height, device=x.device) + 0.5 - shift[0]) * 2 / height - 1
    cols = (torch.arange(width, device=x.device) + 0.5 - shift[1]) * 2 / width - 1
    grid = torch.stack(torch.meshgrid(rows, cols, indexing="ij")[::-1], dim=-1)[None]
    moved = F.grid_sample(x[None], grid, mode="bicubic", padding_mode="border", align_corners=False)
    return moved[0]


def _along(shift: Shift, axis: int, by: float) -> Shift:
    return (shift[0] + by, shift[1]) if axis == 0 else (shift[0], shift[1] + by)


def _parabola(low: float, middle: float, high: float) -> float:
    """Lowest point, in steps, of the parabola through three equidistant values; at most 2."""
    curvature = low + high - 2 * middle
    if curvature <= 0:
        return math.copysign(2.0, low - high)
    return max(-2.0, min(2.0, (low - high) / (2 * curvature)))
