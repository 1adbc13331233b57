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
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.cosine import cosines
from cmsr.operators.resampling import Shape

SIDE = 8
"""Side of a block, in pixels."""

GRIDS = 6
"""Shifted block grids averaged in one round."""

SOFTNESS = 0.2
"""Half width, in thresholds, of the ramp on which coefficients vanish: without one, rounding flips
some and tiles differ by up to 6 % of the span; with it by 1e-4, at equal PSNR."""

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


def denoise(x: Tensor, threshold: float, variation: float, phase: int, origin: Shape) -> Tensor:
    """Denoise (H, W) once: block thresholding on grids that depend on ``phase``, then variation.

    A constant channel, whose thresholds are 0, is returned as it is.
    """
    if threshold == 0:
        return x
    return total_variation(threshold_blocks(x, threshold, phase, origin), variation)


def threshold_blocks(x: Tensor, threshold: float, phase: int, origin: Shape = (0, 0)) -> Tensor:
    """Set weak cosine coefficients to zero on `GRIDS` shifted grids and average.

    Parameters
    ----------
    x : Tensor, shape (H, W)
    threshold : float
        Coefficients of the orthonormal transform below it vanish.
    phase : int
        Another phase, other shifts.
    origin : (int, int)
        Row and column of ``x`` in the image that it is cut from: the grids are that image's.
    """
    basis, (height, width) = _block_basis(str(x.device)), x.shape
    rows, cols = (-(-(n + SIDE) // SIDE) for n in (height, width))
    margins = (SIDE, cols * SIDE - width, SIDE, rows * SIDE - height)
    padded = F.pad(x[None, None], margins, mode="replicate")[0, 0]
    total, cover = torch.zeros_like(padded), torch.zeros_like(padded)
    for grid in range(GRIDS * phase, GRIDS * (phase + 1)):
        top, left = (
            (int(grid * shift % 1 * SIDE) - start) % SIDE
            for shift, start in zip(_SHIFTS, origin, strict=True)
        )
        window = slice(top, top + rows * SIDE), slice(left, left + cols * SIDE)
        blocks = _in_blocks(padded[window]).transpose(1, 2)
        coefficients = blocks.reshape(-1, SIDE * SIDE) @ basis.mT
        share = coefficients.abs().sub_((1 - SOFTNESS) * threshold)
        share.div_(2 * SOFTNESS * threshold).clamp_(0, 1)
        weight = 1 / (share.sum(1, keepdim=True) + 1)
        rebuilt = coefficients.mul_(share).mul_(weight) @ basis
        _in_blocks(total[window]).add_(rebuilt.view(rows, cols, SIDE, SIDE).transpose(1, 2))
        _in_blocks(cover[window]).add_(weight.view(rows, 1, cols, 1))
    inside = slice(SIDE, SIDE + height), slice(SIDE, SIDE + width)
    return total[inside] / cover[inside]


@lru_cache(maxsize=2)
def _block_basis(device: str) -> Tensor:
    """Two-dimensional cosine transform of one block, (64, 64): a single product transforms all."""
    basis = cosines(SIDE, device)
    return torch.kron(basis, basis)


def _in_blocks(x: Tensor) -> Tensor:
    """View (R · 8, C · 8) as (R, 8, C, 8)."""
    shape = x.shape[0] // SIDE, SIDE, x.shape[1] // SIDE, SIDE
    down, across = x.stride()
    return x.as_strided(shape, (SIDE * down, down, SIDE * across, across), x.storage_offset())


def total_variation(x: Tensor, weight: float, iterations: int = 4) -> Tensor:
    """Lower the total variation of (H, W) a little: a few dual steps (Chambolle, 2004)."""
    dual = Dual(x)
    for _ in range(iterations):
        dual.climb(dual.added_to(x), 0.24)
        dual.shrink(weight, weight)
    return dual.added_to(x)


class Dual:
    """A field of vectors (p, q) on the pixels of an image, worked on in place.

    It is what total variation is minimised by: p across the columns, q across the rows, 0 beyond
    the last of them.
    """

    def __init__(self, x: Tensor) -> None:
        self._p, self._q = torch.zeros_like(x), torch.zeros_like(x)

    def added_to(self, x: Tensor, step: float = 1.0) -> Tensor:
        """Return x + step · divergence(p, q)."""
        p, q, moved = self._p[:, :-1], self._q[:-1], x.clone()
        moved[:, :-1].add_(p, alpha=step)
        moved[:, 1:].sub_(p, alpha=step)
        moved[:-1].add_(q, alpha=step)
        moved[1:].sub_(q, alpha=step)
        return moved

    def climb(self, x: Tensor, step: float) -> None:
        """Add ``step`` times the gradient of ``x`` (H, W)."""
        self._p[:, :-1].add_(x[:, 1:] - x[:, :-1], alpha=step)
        self._q[:-1].add_(x[1:] - x[:-1], alpha=step)

    def shrink(self, width: Tensor | float, height: Tensor | float) -> None:
        """Shorten the vectors to the ellipse with these half axes, of p and of q."""
        p, q = self._p / width, self._q / height
        excess = torch.addcmul(p.square_(), q, q).sqrt_().clamp_(min=1)
        self._p /= excess
        self._q /= excess


def gradients(x: Tensor) -> Tensor:
    """Forward differences of (H, W) along the rows and the columns, (2, H, W)."""
    return torch.stack([gradient_x(x), gradient_y(x)])


def gradient_x(x: Tensor) -> Tensor:
    """Forward difference along the rows, zero at the end."""
    return F.pad(x[..., 1:] - x[..., :-1], (0, 1))


def gradient_y(x: Tensor) -> Tensor:
    """Forward difference along the columns, zero at the end."""
    return F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
