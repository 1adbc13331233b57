"""A prior on the image alone: around every pixel there is one straight, sharp edge.

Depth, and other images of surfaces, are smooth except for steps. A wedgelet is a step between two
levels along a straight line, imaged as the target was. Each small patch of the target gives every
wedgelet a probability, to which a guide adds how well the same line divides its colours. The
expected wedgelets of overlapping patches are averaged into the enlarged image; an edge is as sharp
as its place is certain.

References
----------
D. L. Donoho, "Wedgelets: Nearly Minimax Estimation of Edges", Annals of Statistics 27(3), 1999.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import Resampler, resampler, shape_of

SIDE = 5
"""Side of a patch, in pixels of the target."""

ANGLES = 36
"""Directions of the lines."""

REACH, SPACING = 2.0, 0.2
"""Largest distance of a line from the patch's centre, and between lines; pixels of the target."""

WINDOW = 0.7
"""Width of the Gaussian by which a patch's pixels count, and by which patches overlap."""

GUIDE_WINDOW = 1.25
"""Width of the Gaussian by which the guide's pixels count, in pixels of the target."""

CURVATURE = 0.05
"""How far real edges are from straight steps, as a share of the patch's contrast."""

NOISE = 0.002
"""Further tolerance of a patch; the target's range is 1."""

GUIDE_SAMPLES = 8.0
"""How many independent pixels the guide's patch is worth."""

GUIDE_NOISE = 0.01
"""Standard deviation within one region of the guide; its range is 1."""

LEAST_CONTRAST = 0.01
"""Standard deviation of a patch below which it holds no edge."""

STRAIGHT = (0.13, 0.18)
"""Misfit up to which a target consists of straight steps, and from which it does not."""

CHUNK = 4096
"""Patches treated at a time: this bounds the memory."""


class _Match(NamedTuple):
    """Some patches (N) against all wedgelets (K).

    ``rows`` and ``cols`` (N) are their centres; the patch is ``level + slope · wedgelet`` with the
    squared error ``error`` (N, K); ``variance`` (N, 1) is what there was to explain.
    """

    rows: Tensor
    cols: Tensor
    level: Tensor
    slope: Tensor
    error: Tensor
    variance: Tensor


class Wedgelets:
    """The wedgelets of one measurement.

    Parameters
    ----------
    y : Tensor, shape (h, w)
        Measurement; its range is about 1.
    valid : Tensor, shape (h, w)
        1 where it was measured; the rest has no influence.
    reduce : Resampler
        The imaging operator, (H, W) to (h, w).
    """

    def __init__(self, y: Tensor, valid: Tensor, reduce: Resampler) -> None:
        self.reduce = reduce
        self.shape = reduce.rows.shape[1], reduce.cols.shape[1]
        self.scale = max(2, *(round(n / m) for n, m in zip(self.shape, y.shape, strict=True)))
        self.low, self.high = _dictionary(reduce, self.scale)
        self.y, self.valid = (_patches(x, 1, 1) for x in (y, valid))
        self.window = _gaussian(SIDE, WINDOW).to(y)
        share = F.conv2d(_padded(valid), self.window[None, None])[0, 0].clamp(min=1e-6)
        mean, power = (
            F.conv2d(_padded(valid * x), self.window[None, None])[0, 0] / share for x in (y, y * y)
        )
        self.edges = ((power - mean**2) > LEAST_CONTRAST**2).nonzero()

    def straightness(self) -> float:
        """Tell how far the target consists of straight steps, from 0 to 1.

        It is 1 where the best wedgelet leaves little of each patch's variance, 0 where much.
        """
        if not len(self.edges):
            return 0.0
        some = self.edges[:: -(-len(self.edges) // CHUNK)]
        match = self._match(some)
        misfit = float((match.error.amin(1) / match.variance[:, 0]).mean())
        low, high = STRAIGHT
        share = min(1.0, max(0.0, (high - misfit) / (high - low)))
        return share * share * (3 - 2 * share)

    def expected(self, base: Tensor, guide: Tensor | None) -> Tensor:
        """Return the expected image (H, W): ``base`` (H, W) but where there are edges.

        Parameters
        ----------
        base : Tensor, shape (H, W)
            What to take where no patch holds an edge.
        guide : Tensor, shape (G, H, W), optional
            [0, 1]; its edges are taken for the target's where the measurement allows.
        """
        size = self.valid.shape[0] * self.scale, self.valid.shape[1] * self.scale
        enlarged = _resized(base, size)
        margin = SIDE // 2 * self.scale
        canvas = [
            F.pad(x, (margin,) * 4) for x in (1e-3 * enlarged, torch.full_like(enlarged, 1e-3))
        ]
        colours = None if guide is None else _patches(_resized(guide, size), self.scale, self.scale)
        for match in self._matches():
            log_likelihood = -match.error / (2 * (CURVATURE**2 * match.variance + NOISE**2))
            if colours is not None:
                log_likelihood -= self._division(colours[:, match.rows, match.cols].flatten(2))
            self._add(canvas, match, torch.softmax(log_likelihood, dim=1))
        inside = slice(margin, margin + size[0]), slice(margin, margin + size[1])
        return _resized(canvas[0][inside] / canvas[1][inside], self.shape)

    def _matches(self) -> Iterator[_Match]:
        for centres in torch.split(self.edges, CHUNK):
            yield self._match(centres)

    def _match(self, centres: Tensor) -> _Match:
        """Fit both levels of every wedgelet to the patches at ``centres`` (N, 2)."""
        rows, cols = centres.unbind(1)
        y = self.y[rows, cols].flatten(1)
        weight = self.valid[rows, cols].flatten(1) * self.window.flatten()
        weight = weight / weight.sum(1, keepdim=True)
        mean = (weight * y).sum(1, keepdim=True)
        centred = weight * (y - mean)
        variance = (centred * (y - mean)).sum(1, keepdim=True)
        average = weight @ self.low.mT
        spread = (weight @ (self.low**2).mT - average**2).clamp(min=1e-3)
        slope = centred @ self.low.mT / spread
        error = (variance - slope**2 * spread).clamp(min=0)
        return _Match(rows, cols, mean - slope * average, slope, error, variance)

    def _division(self, colours: Tensor) -> Tensor:
        """Minus the log-likelihood (N, K) that each line divides ``colours`` (G, N, P) in two."""
        weight = _gaussian(SIDE * self.scale, GUIDE_WINDOW * self.scale).to(colours).flatten()
        steps = self.high - (self.high * weight).sum(1, keepdim=True)
        steps = steps / (steps**2 * weight).sum(1, keepdim=True).sqrt().clamp(min=0.05)
        centred = colours - (colours * weight).sum(2, keepdim=True)
        rest = (centred**2 * weight).sum((0, 2))[:, None]
        for channel in centred * weight:
            rest = rest - (channel @ steps.mT) ** 2
        return GUIDE_SAMPLES / 2 * torch.log(rest.clamp(min=0) + GUIDE_NOISE**2)

    def _add(self, canvas: list[Tensor], match: _Match, probability: Tensor) -> None:
        """Add the patches' expected wedgelets to a canvas of sums and one of weights."""
        level = (probability * match.level).sum(1, keepdim=True)
        patches = level + (probability * match.slope) @ self.high
        error = (probability * match.error).sum(1, keepdim=True)
        side = SIDE * self.scale
        weight = _gaussian(side, WINDOW * self.scale).to(level).flatten() / (error + 1e-5)
        width, offset = canvas[0].shape[1], torch.arange(side, device=level.device)
        inner = (offset[:, None] * width + offset).flatten()
        place = self.scale * (match.rows * width + match.cols)[:, None] + inner
        for total, part in zip(canvas, (weight * patches, weight), strict=True):
            total.view(-1).index_add_(0, place.flatten(), part.flatten())


def _dictionary(reduce: Resampler, scale: int) -> tuple[Tensor, Tensor]:
    """All wedgelets as the target shows them, (K, 5 · 5), and on the fine grid, (K, P)."""
    (rows, down), (cols, across) = _central(reduce.rows), _central(reduce.cols)
    sharp = _lines(down, across)
    low = (rows @ sharp @ cols.mT).flatten(1)
    fine = (torch.arange(SIDE * scale, device=low.device) + 0.5) / scale - SIDE / 2
    high = _lines(fine, fine).flatten(1)
    weight = _gaussian(SIDE, WINDOW).to(low).flatten()
    spread = ((low - (low * weight).sum(1, keepdim=True)) ** 2 * weight).sum(1)
    return low[spread > 1e-3], high[spread > 1e-3]


def _central(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (5, n) of the imaging operator for the axis' middle, and where the n pixels lie."""
    measured, pixels = matrix.shape
    middle = max(SIDE // 2, measured // 2)
    rows = matrix[middle - SIDE // 2 : middle - SIDE // 2 + SIDE]
    place = (torch.arange(pixels, device=matrix.device) + 0.5) * measured / pixels - (middle + 0.5)
    used = (rows != 0).any(0)
    return rows[:, used], place[used]


def _lines(down: Tensor, across: Tensor) -> Tensor:
    """Draw steps from 0 to 1 along all lines, (K, H, W); pixels that they cross lie between."""
    distance = torch.arange(-REACH, REACH + 1e-6, SPACING).to(down)
    angle = torch.arange(ANGLES).to(down) * math.pi / ANGLES
    normal = torch.stack([angle.sin(), angle.cos()])[:, :, None, None]
    height = normal[0] * down[:, None] + normal[1] * across
    extent = normal[0].abs() * (down[1] - down[0]) + normal[1].abs() * (across[1] - across[0])
    steps = (height[:, None] - distance[:, None, None]) / extent[:, None] + 0.5
    return steps.clamp(0, 1).flatten(0, 1)


def _gaussian(side: int, width: float) -> Tensor:
    """Gaussian window (side, side) of sum 1."""
    place = torch.arange(side) - (side - 1) / 2
    profile = torch.exp(-((place / width) ** 2) / 2)
    window = profile[:, None] * profile
    return window / window.sum()


def _padded(x: Tensor, margin: int = SIDE // 2) -> Tensor:
    """Repeat the border of (..., H, W) outward; as a batch of images."""
    return F.pad(x.reshape(1, -1, *x.shape[-2:]), (margin,) * 4, mode="replicate")


def _patches(x: Tensor, scale: int, step: int) -> Tensor:
    """Return a view (..., h, w, side, side) of patches around each ``step``-th pixel."""
    side = SIDE * scale
    padded = _padded(x, SIDE // 2 * scale).reshape(*x.shape[:-2], -1, x.shape[-1] + side - scale)
    return padded.unfold(-2, side, step).unfold(-2, side, step)


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring (..., H, W) to another size, bicubically."""
    source = shape_of(x)
    return x if source == size else resampler(source, size, "bicubic", str(x.device))(x)
