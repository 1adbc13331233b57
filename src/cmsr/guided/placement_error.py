"""How far a guide may be off its place: a bound that nine of ten such placements keep.

A guide that lies right loses much when it is displaced by a pixel of the target, and lies in the
middle of two such displacements; one that tells little loses nothing, wherever it lies. What is
bent is less sure than what is only moved. The constants are fitted to known warps and cut-out pairs
by `benchmarks/fit_placement_error.py`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cmsr.guided.scoring import AlignmentScore
from cmsr.operators.gaussian import blur
from cmsr.operators.resampling import shape_of
from cmsr.registration.alignment import Alignment
from cmsr.registration.transforms import displacement, identity_grid

FIELDS = 8
"""Regions whose offsets are asked, along the shorter side of a target."""


LEAST_RISE, LEAST_OFFSET, LEAST_BEND = 0.05, 0.02, 0.05
"""In dB and in target pixels."""


class Fit(NamedTuple):
    """Powers of the traces whose product is the error, and the logarithm of its factor."""

    factor: float
    rise: float
    offset: float
    bend: float


FITTED = Fit(0.0, -0.5, 0.3, 0.3)

NINE_OF_TEN = 2.0
"""How many times that error nine of ten placements stay below."""


class Traces(NamedTuple):
    """What a placement tells of its error.

    Attributes
    ----------
    rise : float
        By how many dB the held-out error rises where the guide is displaced by a target pixel.
    offset : float
        How far beside it, in target pixels, held-out pixels of a region put the guide, in the
        median of the regions, weighted by how surely they do.
    bend : float
        How far the displacement is from an affine map, root mean square in target pixels.
    """

    rise: float
    offset: float
    bend: float

    @classmethod
    def of(cls, score: AlignmentScore, alignment: Alignment) -> Traces:
        """Look at a guide in place, and beside it."""
        moved = alignment.apply(score.guide)
        step = max(1, round(score.ratio))
        here = score.misfit(moved)
        beside = [
            score.misfit(moved.roll(shift, (-2, -1)))
            for shift in ((0, step), (0, -step), (step, 0), (-step, 0))
        ]
        total = max(float(here.sum()), 1e-12)
        rise = sum(10 * math.log10(float(each.sum()) / total + 1e-9) for each in beside) / 4
        offset = _offset(here, beside, score.hidden) * step / score.ratio
        return cls(rise, offset, _bend(alignment, shape_of(score.target)))

    @property
    def logarithms(self) -> tuple[float, float, float]:
        """Logarithms of the three, none of which is below its least value."""
        least = LEAST_RISE, LEAST_OFFSET, LEAST_BEND
        rise, offset, bend = (math.log(max(a, b)) for a, b in zip(self, least, strict=True))
        return rise, offset, bend

    def bound(self) -> float:
        """Return the median displacement error that nine of ten stay below, in target pixels."""
        powers = zip(FITTED[1:], self.logarithms, strict=True)
        return NINE_OF_TEN * math.exp(FITTED.factor + sum(a * b for a, b in powers))


def placement_error(score: AlignmentScore, alignment: Alignment) -> float | None:
    """Return the bound in pixels of the guide; None where it is refused."""
    if alignment.refused:
        return None
    pixels = max(n / m for n, m in zip(alignment.size, shape_of(score.target), strict=True))
    return pixels * Traces.of(score, alignment).bound()


def _offset(here: Tensor, beside: list[Tensor], hidden: Tensor) -> float:
    """Return the typical distance to the lowest point of parabolas through the misfits around."""
    width = min(here.shape) / FIELDS
    middle, *around = (blur(each, width) / (blur(hidden, width) + 1e-9) for each in (here, *beside))
    sure, squared = torch.zeros_like(middle), torch.zeros_like(middle)
    for more, less in (around[:2], around[2:]):
        curvature = more + less - 2 * middle
        least = 0.05 * middle.mean() + 0.02 * middle
        squared += ((less - more) / 2 / curvature.maximum(least)).clamp(-3, 3).square()
        sure += curvature.clamp(min=0)
    order = squared.flatten().argsort()
    below = sure.flatten()[order].cumsum(0) + 1e-12 * torch.arange(1, len(order) + 1).to(sure)
    middle_one = int(torch.searchsorted(below, below[-1] / 2).clamp(max=len(order) - 1))
    return math.sqrt(float(squared.flatten()[order[middle_one]]))


def _bend(alignment: Alignment, target: tuple[int, int]) -> float:
    grid = identity_grid(target).double()
    moved = displacement(alignment.placed(grid)[0], target)[0].reshape(-1, 2)
    places = torch.nn.functional.pad(grid.reshape(-1, 2), (0, 1), value=1.0)
    affine = places @ torch.linalg.lstsq(places, moved).solution
    return float((moved - affine).square().sum(-1).mean().sqrt())
