"""Placement: where the field of a target lies in a photo that shows another one.

Candidates of the far search are refined by the similarity of the local linear model; what is known
of rigs (a photo mostly shows about twice the field, hardly turned) counts as a prior with a width.
The best of them is believed where it stands out from the places around it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.parallel import together
from cmsr.registration.cutouts import Cutouts
from cmsr.registration.far_search import FIELDS, Candidate, Rung, candidates, ladder
from cmsr.registration.prominence import prominence
from cmsr.registration.transforms import Size, half_sides

CANDIDATES, FINALISTS = 14, 6
"""Places that are refined, and those of them that are refined once more."""

LONGER, FINAL = (64, 96), 160
"""Longer side of the target, in pixels, at the two refinements of candidates and the winner's."""

CORRELATION, SIMILARITY = 27.6, 42.3
"""Weights of a candidate's two scores."""

FIELD, FIELD_SPREAD, FIELD_WEIGHT = 1.9, 0.5, 7.9
TURN_SPREAD, TURN_WEIGHT = math.radians(5), 1.7
"""The prior of rigs: usual field, the spread of its logarithm, of rotations, and their weights.
All weights: conditional logit of the right candidate among 24, 56 thermal pairs, photos of 1.25
to 3.2 times the field. The script of the fit was not kept; `benchmarks/placement.py` measures."""

KNOWN_SPREAD = 0.07
"""Spread of the logarithm of a field of view that is known, by eye."""

TRIED = 3
"""Finalists refined at the finest resolution: among 20 thermal pairs, the right one came second or
third in two, and later in one."""

PROMINENCE_ODDS, LEAST_PROMINENCE = 60.0, 0.2
"""Log-odds of a place by its prominence, and where they are even; benchmarks/fit_placement.py. Of
photos of other scenes, cameras' reach .14 (45), rendered ones .2 in one of 24. The fitted slope is
105; a smaller one is on the safe side."""

SURE_FROM = 96
"""Longer side of the target, in pixels, below which chance reaches more, by the square, by eye."""

QUARTER_ODDS = 30.0
"""Cost of a quarter turn in log odds, by eye: cameras are seldom mounted so, and flat regions of a
rendered scene, of 48 × 64 pixels, reach .62 by chance."""

LEAST_CONFIDENCE = 0.5
"""Confidence below which nothing was found; what is accepted here still has to pass `alignment`."""


@dataclass(frozen=True)
class Placement:
    """A map of places of the target to places of the photo.

    Attributes
    ----------
    target, photo : (height, width)
        Sizes of both.
    matrix : tuple of three rows of three floats
        Takes (x, y, 1) from the target's centre, in half its longer sides, to pixels of the photo
        times the last element.
    bend : float
        Radial distortion: places move outwards by this share at the target's corners.
    confidence : float
        Chance, 0 to 1, that it is right.
    """

    target: Size
    photo: Size
    matrix: tuple[tuple[float, ...], ...]
    bend: float = 0.0
    confidence: float = 1.0

    def places(self, grid: Tensor) -> Tensor:
        """Return where places of the target's grid (..., 2), -1 to 1, lie, in photo pixels."""
        matrix = torch.tensor(self.matrix, dtype=torch.float64)
        extent = half_sides(self.target)
        places = grid.double() * extent
        square = places.square().sum(-1, keepdim=True) / extent.square().sum()
        moved = F.pad(places * (1 + self.bend * square), (0, 1), value=1.0) @ matrix.mT
        return moved[..., :2] / moved[..., 2:]

    @cached_property
    def fineness(self) -> tuple[float, float]:
        """Pixels of the photo per pixel of the target, down and across, at its centre."""
        height, width = self.target
        step = torch.tensor([[0.0, 0.0], [2 / width, 0.0], [0.0, 2 / height]], dtype=torch.float64)
        centre, right, down = self.places(step)
        return float((down - centre).norm()), float((right - centre).norm())

    @property
    def field(self) -> float:
        """How many times the target's field the photo shows, along diagonals."""
        scale = math.sqrt(self.fineness[0] * self.fineness[1])
        return math.hypot(*self.photo) / (scale * math.hypot(*self.target))

    @property
    def turn(self) -> float:
        """Rotation of the target in the photo, in degrees, clockwise."""
        step = torch.tensor([[0.0, 0.0], [0.01, 0.0]], dtype=torch.float64)
        centre, right = self.places(step)
        x, y = (right - centre).tolist()
        return math.degrees(math.atan2(y, x))

    def same_field(self, tolerance: float = 0.06) -> bool:
        """Whether photo and target show the same but for a few percent of their longer sides."""
        corners = torch.tensor([[-1.0, -1], [1, -1], [-1, 1], [1, 1]], dtype=torch.float64)
        size = torch.tensor(self.photo[::-1], dtype=torch.float64)
        away = self.places(corners) - (corners + 1) / 2 * size
        return float(away.norm(dim=-1).max()) < tolerance * max(self.photo)

    def text(self) -> str:
        """Say it in words."""
        sure = f"; confidence {self.confidence:.0%}" if self.confidence < 1 else ""
        turn = f"rotated by {self.turn:.1f}°"
        times = "" if f"{self.field:.2g}" == "1" else f"{self.field:.2g} times "
        return f"the photo shows {times}the target's field of view, {turn}{sure}"


class Prior(NamedTuple):
    """How many times the target's field the photo shows, along diagonals, before the search.

    ``spread`` is the standard deviation of the logarithm.
    """

    field: float = FIELD
    spread: float = FIELD_SPREAD

    @classmethod
    def of(cls, field: float | None) -> Self:
        """Take the field that is known, if any."""
        return cls() if field is None else cls(field, KNOWN_SPREAD)

    @property
    def fields(self) -> tuple[float, float]:
        """The fields that are searched."""
        if self.spread == FIELD_SPREAD:
            return FIELDS
        reach = math.exp(2.5 * self.spread)
        return self.field / reach, self.field * reach


class Search(NamedTuple):
    """A search for a place: a target and its validity (h, w), a photo (3, H, W), known fields.

    ``rungs`` are the photo at all fields of view that are possible.
    """

    target: Tensor
    valid: Tensor
    photo: Tensor
    prior: Prior
    rungs: list[Rung]

    @classmethod
    def of(cls, target: Tensor, valid: Tensor, photo: Tensor, prior: Prior) -> Self:
        """Prepare a search."""
        return cls(target, valid, photo, prior, ladder(photo, shape_of(target), prior.fields))


def place(
    target: Tensor, valid: Tensor, photo: Tensor, prior: Prior | None = None
) -> Placement | None:
    """Find the field of a target (h, w) in a photo (3, H, W); None where nothing is sure enough.

    Quarter turns are tried where the upright photo gives nothing. ``prior`` is what is known of how
    many times the target's the photo's field is.
    """
    search = Search.of(target, valid, photo, prior or Prior())
    for quarters in ((0,), (1, -1)):
        best = best_placement(search, quarters)
        if best.confidence >= LEAST_CONFIDENCE:
            return best
    return None


def best_placement(search: Search, quarters: tuple[int, ...]) -> Placement:
    """Return the placement near some quarter turns that stands out most from those around it."""
    cuts, thetas = tried(search, quarters)
    found = together(*(partial(prominence, *each) for each in zip(cuts, thetas, strict=True)))
    winner = max(range(len(found)), key=found.__getitem__)
    small = max(1.0, SURE_FROM / max(shape_of(search.target))) ** 2
    odds = PROMINENCE_ODDS * (found[winner] - LEAST_PROMINENCE * small)
    odds -= 0.0 if 0 in quarters else QUARTER_ODDS
    return placed(cuts[winner], thetas[winner], 1 / (1 + math.exp(min(-odds, 99.0))))


def tried(search: Search, quarters: tuple[int, ...]) -> tuple[list[Cutouts], Tensor]:
    """Return the best finalists, refined at the finest resolution, with their parameters (N, 7)."""
    last = finalists(search, quarters)
    best = last.scores.argsort(descending=True, stable=True)[:TRIED]
    cuts = Cutouts.of(*search[:3], [last.cuts.frames[number] for number in best.tolist()], FINAL)
    thetas, _ = cuts.climb(last.thetas[best], 6)
    thetas, _ = cuts.climb(thetas, 7)
    return [cuts.some(torch.tensor([number])) for number in range(len(best))], thetas


class Finalists(NamedTuple):
    """The best places of a target in a photo, refined: (N, 7), (N,) and (N,)."""

    candidates: list[Candidate]
    cuts: Cutouts
    thetas: Tensor
    values: Tensor
    scores: Tensor

    def placement(self, number: int, confidence: float = 0.0) -> Placement:
        """Return one of them."""
        return placed(self.cuts, self.thetas[number], confidence, number)


def finalists(search: Search, quarters: tuple[int, ...]) -> Finalists:
    """Return the few best places near some quarter turns."""
    target, valid, photo, prior, rungs = search
    some = [
        each
        for quarter in quarters
        for each in candidates(target, valid, rungs, 2 * CANDIDATES, quarter)
    ]
    promising = _scores(some, torch.zeros(len(some)), prior).argsort(descending=True, stable=True)
    some = [some[number] for number in promising[:CANDIDATES].tolist()]
    frames = [_frame(each, shape_of(target), shape_of(photo)) for each in some]
    cuts = Cutouts.of(target, valid, photo, frames, LONGER[0])
    thetas, values = cuts.climb(torch.zeros(len(some), 7), 4)
    kept = _scores(some, values, prior).argsort(descending=True, stable=True)[:FINALISTS]
    some, thetas = [some[number] for number in kept.tolist()], thetas[kept]
    frames = [frames[number] for number in kept.tolist()]
    cuts = Cutouts.of(target, valid, photo, frames, LONGER[1])
    thetas, values = cuts.climb(thetas, 6)
    return Finalists(some, cuts, thetas, values, _scores(some, values, prior))


def placed(cuts: Cutouts, theta: Tensor, confidence: float = 1.0, number: int = 0) -> Placement:
    """Return the place of a cut-out, moved by its parameters."""
    matrix = cuts.matrix(theta, number)
    return Placement(cuts.size, cuts.photo, matrix, float(theta[6]), confidence)


def _scores(some: list[Candidate], values: Tensor, prior: Prior) -> Tensor:
    """Weigh correlation, similarity and the prior of rigs, as a logarithm of odds."""
    turns = torch.tensor([math.remainder(each.turn, math.pi / 2) for each in some])
    fields = torch.tensor([math.log(each.field / prior.field) for each in some])
    scores = CORRELATION * torch.tensor([each.score for each in some]) + SIMILARITY * values
    scores -= FIELD_WEIGHT / 2 * (fields / prior.spread).square()
    return scores - TURN_WEIGHT / 2 * (turns / TURN_SPREAD).square()


def _frame(each: Candidate, target: Size, photo: Size) -> Tensor:
    """Return the map (2, 3) of a candidate, from half longer sides to pixels of the photo."""
    scale = math.hypot(*photo) / (each.field * math.hypot(*target)) * max(target) / 2
    c, s = scale * math.cos(each.turn), scale * math.sin(each.turn)
    return torch.tensor([[c, -s, each.x * photo[1]], [s, c, each.y * photo[0]]])
