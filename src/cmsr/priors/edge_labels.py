"""A prior on the image alone: at a step each pixel belongs to one side or to the other.

An enlarged step is soft where nobody knows its place. But what lies on both its sides is known, and
so the measurement tells how much of a pixel belongs to either. Here each pixel near a step takes
the side that its neighbours take, those most that look alike in the guide, while the shares within
each measured pixel are held. The image that comes out has to explain the measurement by itself,
before it is made to: as far as it does not, as where steps are not sharp, or the imaging operator
is another one, it is not used.

References
----------
E. Ising, "Beitrag zur Theorie des Ferromagnetismus", Zeitschrift für Physik 31, 1925; its
mean-field solution with a multiplier for each measured pixel is what is iterated here.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.gaussian import blur
from cmsr.operators.resampling import Resampler

COUPLING = 3.0
"""How strongly a pixel follows its neighbours, in units of log-odds."""

REACH, WIDTH = 3, 1.2
"""Radius of a pixel's neighbourhood and width of its Gaussian, in pixels of the result."""

GUIDE_CONTRAST = 0.1
"""Difference in the guide at which a neighbour counts for e^-1/2; the guide's range is 1."""

SIDE_WIDTH = 0.6
"""Width of the window for the level of either side, in pixels of the target."""

LEAST_STEP, LEAST_SHARE = 0.008, 0.05
"""Misfit of a smooth surface at which half a step is seen: the target's range is 1; and that as a
share of the variance."""

SURFACE_WIDTH = 0.9
"""Width of the window in which the surface is fitted, in pixels of the target."""

FAR = 0.15
"""Nearness to a step below which a pixel is left alone."""

ROUNDS, NEWTON_STEPS, LARGEST = 8, 3, 3.0
"""Rounds of following the neighbours; steps to agreement after each, and the largest of those."""

UNEXPLAINED = (0.09, 0.145)
"""Misfit to the measurement per change of the image, up to which the labels are used, and from
which they are not."""

PROOF_WIDTH = 8.0
"""Width of the window in which that is judged, in pixels of the target."""

FINEST = 4.0
"""Ratio up to which the labels are used in full: within a larger pixel a step's place is open."""


class _Sides(NamedTuple):
    """Levels on both sides of each pixel, ``low`` and ``low + step``, and its log-odds; (H, W)."""

    low: Tensor
    step: Tensor
    odds: Tensor
    near: Tensor
    """1 near a step, 0 far from all."""

    def mixed(self, x: Tensor, odds: Tensor) -> Tensor:
        """Put the levels into an image (H, W), near the steps."""
        return torch.lerp(x, self.low + self.step * torch.sigmoid(odds), self.near)


class _Neighbours(NamedTuple):
    """Places (N) near a step, their neighbours' places in the padded image and weights, (K, N)."""

    place: Tensor
    others: Tensor
    weight: Tensor

    @classmethod
    def of(cls, near: Tensor, guide: Tensor | None, trust: Tensor) -> Self:
        """Find the neighbours of all places where ``near`` (H, W) is above 0."""
        rows, cols = (near > 0).nonzero().unbind(1)
        width = near.shape[1] + 2 * REACH
        span = torch.arange(-REACH, REACH + 1, device=near.device)
        down, across = (x.flatten() for x in torch.meshgrid(span, span, indexing="ij"))
        distance = down**2 + across**2
        some = (distance > 0) & (distance <= REACH**2 + 1)
        down, across, distance = down[some, None], across[some, None], distance[some, None]
        here = (rows + REACH) * width + cols + REACH
        others = here + down * width + across
        weight = torch.exp(-distance / (2 * WIDTH**2)).to(near).expand(others.shape)
        if guide is not None:
            colours = _padded(guide).flatten(1)
            unlike = sum((channel[others] - channel[here]) ** 2 for channel in colours)
            weight = weight * torch.exp(-unlike * trust[rows, cols] / (2 * GUIDE_CONTRAST**2))
        return cls(rows * near.shape[1] + cols, others, weight / weight.sum(0))

    def mean(self, x: Tensor) -> Tensor:
        """Return the mean (N) over the neighbours in an image (H, W)."""
        return (self.weight * _padded(x[None])[0].flatten()[self.others]).sum(0)


class EdgeLabels:
    """The sides of all steps in one measurement.

    Parameters
    ----------
    y, valid : Tensor, shape (h, w)
        Measurement, whose range is about 1, and 1 where there is one.
    reduce, enlarge : Resampler
        The imaging operator, (H, W) to (h, w), and bilinear interpolation the other way.
    ratio : float
        Pixels of the result per pixel of the target.
    """

    def __init__(
        self, y: Tensor, valid: Tensor, reduce: Resampler, enlarge: Resampler, ratio: float
    ) -> None:
        self.y, self.valid = y, valid
        self.reduce, self.enlarge, self.ratio = reduce, enlarge, ratio
        self._seen = reduce.transpose(torch.ones_like(y))

    def settled(self, x: Tensor, guide: Tensor | None, trust: Tensor) -> Tensor:
        """Return an image (H, W) with its soft steps made sharp, as far as they are proven.

        Parameters
        ----------
        x : Tensor, shape (H, W)
            The image.
        guide : Tensor, shape (G, H, W), optional
            [0, 1].
        trust : Tensor, shape (H, W)
            How far the guide counts, 0 to 1.
        """
        sides = self._sides(x)
        if not sides.near.any():
            return x
        neighbours = _Neighbours.of(sides.near, guide, trust)
        odds = sides.odds
        for _ in range(ROUNDS):
            follow = COUPLING * (2 * neighbours.mean(torch.sigmoid(odds)) - 1)
            odds = sides.odds.flatten().index_add(0, neighbours.place, follow).view_as(x)
            odds = self._agreeing(x, sides, odds)
        sharp = sides.mixed(x, odds)
        return torch.lerp(x, sharp, self._proven(x, sharp))

    def _sides(self, x: Tensor) -> _Sides:
        """Find the level on both sides of each pixel of an image, and on which it seems to lie."""
        around = F.pad(self.y[None, None], (1,) * 4, mode="replicate")
        low, high = (self.enlarge(s * F.max_pool2d(s * around, 3, 1)[0, 0]) for s in (-1, 1))
        bottom, top = low, high
        share = _share(x, bottom, top)
        for _ in range(2):
            bottom, top = self._levels(x, share, low, high)
            share = _share(x, bottom, top)
        middle = blur(share, 0.5 * self.ratio)
        near = (6 * middle * (1 - middle)).clamp(0, 1) * self.enlarge(_stepped(self.y))
        near = ((near - FAR) / (1 - FAR)).clamp(min=0)
        return _Sides(bottom, top - bottom, torch.logit(share), near)

    def _levels(self, x: Tensor, share: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Average an image over the pixels that surely lie on either side."""
        found = []
        for sure, bound in (((1 - share) ** 4, low), (share**4, high)):
            total, count = (blur(z, SIDE_WIDTH * self.ratio) for z in (sure * x, sure))
            found.append((total + 1e-3 * bound) / (count + 1e-3))
        return torch.minimum(found[0], found[1] - 1e-6), found[1]

    def _agreeing(self, x: Tensor, sides: _Sides, odds: Tensor) -> Tensor:
        """Shift the odds by one multiplier for each measured pixel until the shares agree."""
        for _ in range(NEWTON_STEPS):
            share = torch.sigmoid(odds)
            slope = self.reduce(sides.near * sides.step * share * (1 - share) + 1e-4)
            residual = (self.y - self.reduce(sides.mixed(x, odds))) * self.valid
            shift = (residual / slope.clamp(min=1e-3)).clamp(-LARGEST, LARGEST)
            odds = odds + self.reduce.transpose(shift) / self._seen.amax()
        return odds

    def _proven(self, x: Tensor, sharp: Tensor) -> Tensor:
        """Return how far an image with sharp steps explains the measurement, 0 to 1, (H, W)."""
        coverage = math.sqrt(self._seen.mean() ** 2 / self._seen.square().mean())
        misfit = ((self.y - self.reduce(sharp)) * self.valid).square()
        change = self.reduce((sharp - x).square()).clamp(min=0)
        around = [blur(each, PROOF_WIDTH).clamp(min=1e-18) for each in (misfit, change)]
        unexplained = coverage * (around[0] / around[1]).sqrt()
        low, high = UNEXPLAINED
        share = ((high - unexplained) / (high - low)).clamp(0, 1)
        most = coverage * min(1.0, FINEST / self.ratio)
        return self.enlarge(share * share * (3 - 2 * share) * most)


def _share(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return how far each pixel of an image lies from the lower level to the upper."""
    return ((x - low) / (high - low).clamp(min=1e-5)).clamp(0.01, 0.99)


def _stepped(y: Tensor) -> Tensor:
    """Return how far each pixel's surroundings are a step rather than a smooth surface, 0 to 1."""
    place = torch.arange(-2.0, 3.0).to(y)
    window = torch.exp(-(place**2) / (2 * SURFACE_WIDTH**2))
    window = window / window.sum()
    even, slope, bow = torch.ones_like(place), place, place**2 - (window * place**2).sum()
    even, slope, bow = (
        window * each / (window * each**2).sum().sqrt() for each in (even, slope, bow)
    )
    pairs = (even, even), (slope, even), (even, slope), (slope, slope), (bow, even), (even, bow)
    terms = torch.stack([torch.outer(*pair) for pair in pairs])[:, None]
    around = F.pad(y[None, None], (2,) * 4, mode="replicate")
    power = F.conv2d(around.square(), terms[:1])[0, 0]
    found = F.conv2d(around, terms)[0].square()
    variance, misfit = power - found[0], (power - found.sum(0)).clamp(min=0)
    excess = (misfit / (LEAST_STEP**2 + LEAST_SHARE * variance.clamp(min=0))) ** 3
    return excess / (1 + excess)


def _padded(x: Tensor) -> Tensor:
    """Repeat the border of (G, H, W) outward."""
    return F.pad(x[None], (REACH,) * 4, mode="replicate")[0]
