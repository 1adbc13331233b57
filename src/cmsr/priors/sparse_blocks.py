"""A prior on the image alone: small blocks have few strong cosine coefficients, and edges are few.

Denoising by hard thresholding of shifted block cosine transforms and by total variation alternates
with the projection onto the images that agree with the measurement, the threshold falling from
coarse to fine.

References
----------
S. V. Venkatakrishnan, C. A. Bouman, B. Wohlberg, "Plug-and-Play Priors for Model Based
Reconstruction", GlobalSIP 2013; O. G. Guleryuz, "Nonlinear Approximation Based Image Recovery
Using Adaptive Sparse Reconstructions", IEEE TIP 15(3), 2006; A. Chambolle, "An Algorithm for Total
Variation Minimization and Applications", JMIV 20, 2004.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.cosine import cosines

SIDE = 8
"""Side of a block, in pixels."""

GRIDS = 6
"""Shifted block grids averaged in one round."""

_SHIFTS = (0.7548776662, 0.5698402910)
"""Fractions of a block by which successive grids move: a sequence that fills the plane evenly."""


@dataclass(frozen=True)
class Schedule:
    """Rounds of denoising; thresholds and the weight of total variation in units of the data.

    The threshold goes from ``first`` to ``last`` by ``(k / (rounds − 1)) ** power``.
    """

    rounds: int
    first: float
    last: float
    variation: float
    power: float = 1.0

    def thresholds(self) -> Iterator[float]:
        """Yield each round's threshold."""
        for step in range(self.rounds):
            share = (step / max(1, self.rounds - 1)) ** self.power
            yield self.first * (1 - share) + self.last * share


def denoise(x: Tensor, threshold: float, variation: float, phase: int) -> Tensor:
    """Denoise (H, W) once: block thresholding on grids that depend on ``phase``, then variation."""
    return total_variation(threshold_blocks(x, threshold, phase), variation)


def threshold_blocks(x: Tensor, threshold: float, phase: int) -> Tensor:
    """Set weak cosine coefficients to zero on `GRIDS` shifted grids and average.

    Parameters
    ----------
    x : Tensor, shape (H, W)
    threshold : float
        Coefficients of the orthonormal transform below it vanish.
    phase : int
        Another phase, other shifts.
    """
    basis, (height, width) = cosines(SIDE, str(x.device)), x.shape
    rows, cols = (-(-(n + SIDE) // SIDE) for n in (height, width))
    margins = (SIDE, cols * SIDE - width, SIDE, rows * SIDE - height)
    padded = F.pad(x[None, None], margins, mode="replicate")[0, 0]
    total, cover = torch.zeros_like(padded), torch.zeros_like(padded)
    for grid in range(GRIDS * phase, GRIDS * (phase + 1)):
        top, left = (int(grid * shift % 1 * SIDE) for shift in _SHIFTS)
        window = slice(top, top + rows * SIDE), slice(left, left + cols * SIDE)
        blocks = padded[window].reshape(rows, SIDE, cols, SIDE).transpose(1, 2)
        kept = basis @ blocks @ basis.mT
        kept = torch.where(kept.abs() > threshold, kept, 0.0)
        weight = 1 / ((kept != 0).sum((2, 3), keepdim=True) + 1.0)
        rebuilt = (basis.mT @ kept @ basis * weight).transpose(1, 2)
        total[window] += rebuilt.reshape(rows * SIDE, cols * SIDE)
        spread = weight.expand(-1, -1, SIDE, SIDE).transpose(1, 2)
        cover[window] += spread.reshape(rows * SIDE, cols * SIDE)
    inside = slice(SIDE, SIDE + height), slice(SIDE, SIDE + width)
    return total[inside] / cover[inside]


def total_variation(x: Tensor, weight: float, iterations: int = 4) -> Tensor:
    """Lower the total variation of (H, W) a little: a few dual steps (Chambolle, 2004)."""
    p = q = torch.zeros_like(x)
    for _ in range(iterations):
        u = x + divergence(p, q)
        p, q = p + 0.24 * gradient_x(u), q + 0.24 * gradient_y(u)
        excess = (torch.hypot(p, q) / weight).clamp(min=1)
        p, q = p / excess, q / excess
    return x + divergence(p, q)


def gradient_x(x: Tensor) -> Tensor:
    """Forward difference along the rows, zero at the end."""
    return F.pad(x[..., 1:] - x[..., :-1], (0, 1))


def gradient_y(x: Tensor) -> Tensor:
    """Forward difference along the columns, zero at the end."""
    return F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """Return minus the transpose of (`gradient_x`, `gradient_y`), applied to (p, q)."""
    along = F.pad(p[..., :-1], (0, 1)) - F.pad(p[..., :-1], (1, 0))
    across = F.pad(q[..., :-1, :], (0, 0, 0, 1)) - F.pad(q[..., :-1, :], (0, 0, 1, 0))
    return along + across
