"""The error of a placement: a bound that holds for nine of ten placements.

A guide in the right place predicts the target much worse after a displacement of one target pixel;
an uninformative guide predicts equally well anywhere. A deformation is less certain than a shift.
The constants are fitted to known warps and cut-out pairs by `benchmarks/fit_placement_error.py`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from cmsr.guided.scoring import AlignmentScore
from cmsr.operators.resampling import shape_of
from cmsr.registration.alignment import Alignment
from cmsr.registration.transforms import displacement, identity_grid

LEAST_RISE, LEAST_BEND = 0.05, 0.05
"""In dB and in target pixels."""


class Fit(NamedTuple):
    """Powers of the traces whose product is the error, and the logarithm of its factor."""

    factor: float
    rise: float
    bend: float


FITTED = Fit(-0.604, -0.526, 0.235)

NINE_OF_TEN = 2.82
"""How many times that error nine of ten placements stay below."""


class Traces(NamedTuple):
    """Predictors of a placement's error.

    Attributes
    ----------
    rise : float
        By how many dB the held-out error rises where the guide is displaced by a target pixel.
    bend : float
        How far the displacement is from an affine map, root mean square in target pixels.
    """

    rise: float
    bend: float

    @classmethod
    def of(cls, score: AlignmentScore, alignment: Alignment) -> Traces:
        """Look at a guide in place, and beside it."""
        moved = alignment.apply(score.guide)
        step = max(1, round(score.ratio))
        shifts = (0, step), (0, -step), (step, 0), (-step, 0)
        beside = [score.error(moved.roll(shift, (-2, -1))) for shift in shifts]
        rise = sum(beside) / len(beside) - score.error(moved)
        return cls(rise, _bend(alignment, shape_of(score.target)))

    @property
    def logarithms(self) -> tuple[float, float]:
        """Logarithms of both, none of which is below its least value."""
        return math.log(max(self.rise, LEAST_RISE)), math.log(max(self.bend, LEAST_BEND))

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


def _bend(alignment: Alignment, target: tuple[int, int]) -> float:
    grid = identity_grid(target).double()
    moved = displacement(alignment.placed(grid)[0], target)[0].reshape(-1, 2)
    places = torch.nn.functional.pad(grid.reshape(-1, 2), (0, 1), value=1.0)
    affine = places @ torch.linalg.lstsq(places, moved).solution
    return float((moved - affine).square().sum(-1).mean().sqrt())
