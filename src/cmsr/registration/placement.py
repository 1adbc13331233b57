"""Placement: where the field of a target lies in a photo that shows another one.

Candidates of the far search are refined by the similarity of the local linear model; what is known
of rigs (a photo mostly shows about twice the field, hardly turned) counts as a prior with a width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.parallel import together
from cmsr.registration.far_search import FIELDS, Candidate, candidates, reduced, reduced_size
from cmsr.registration.optimisation import climb
from cmsr.registration.similarity import similarity
from cmsr.registration.transforms import Size, exponential, half_sides, identity_grid, sample

CANDIDATES, FINALISTS = 14, 6
"""Places that are refined, and those of them that are refined once more."""

LONGER, FINAL = (64, 96), 160
"""Longer side of the target, in pixels, at the two refinements of candidates and the winner's."""

AT_ONCE = 3
"""Candidates refined by one task."""

FINER, MARGIN = 2, 0.15
"""Pixels of a cut-out of the photo per one of the target, and what it shows beside it, in sides."""

CORRELATION, SIMILARITY = 27.6, 42.3
"""Weights of a candidate's two scores."""

FIELD, FIELD_SPREAD, FIELD_WEIGHT = 1.9, 0.5, 7.9
TURN_SPREAD, TURN_WEIGHT = math.radians(5), 1.7
"""The prior of rigs: usual field, the spread of its logarithm, of rotations, and their weights.
All weights: conditional logit of the right candidate among 24, 56 thermal pairs, photos of 1.25
to 3.2 times the field. The script of the fit was not kept; `benchmarks/placement.py` measures."""

KNOWN_SPREAD = 0.07
"""Spread of the logarithm of a field of view that is known, by eye."""

GAP_ODDS, SIMILARITY_ODDS, CORRELATION_ODDS, ODDS = 0.82, 20.4, -5.4, -7.4
"""Logistic fit of the confidence to the same pairs, and to as many photos of other scenes."""

QUARTER_ODDS = 1.0
"""What a quarter turn takes from the odds, by eye: cameras are seldom mounted so."""

ELSEWHERE = 0.08, 0.15
"""What tells another place from the winner: share of the photo, logarithm of the field."""

MIRRORED, LEAST_MARGIN = (-1, -2), 4.5
"""Axes along which the target is mirrored as a control, and by how much the log-odds must exceed
those of the better control: rendered photos of other scenes reach 2.8, cameras' 1.5 (`make_rig.py`,
30 pairs), right places that matter 5 and more."""

LEAST_CONFIDENCE = 0.4
"""Confidence below which nothing was found; what is accepted here still has to pass `alignment`."""

BENT, SPREAD = 0.05, 0.02
"""Usual radial distortion, strain and shear, which cost similarity, by eye."""

PENALTY = 0.001
"""Similarity, in nats, that one such standard deviation costs, by eye."""


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
        return f"the photo shows {self.field:.2g} times the target's field of view, {turn}{sure}"


class Prior(NamedTuple):
    """What is known of the field of view before the search."""

    field: float = FIELD
    spread: float = FIELD_SPREAD

    @property
    def fields(self) -> tuple[float, float]:
        """The fields that are searched."""
        if self.spread == FIELD_SPREAD:
            return FIELDS
        reach = math.exp(2.5 * self.spread)
        return self.field / reach, self.field * reach


def place(
    target: Tensor, valid: Tensor, photo: Tensor, field: float | None = None
) -> Placement | None:
    """Find the field of a target (h, w) in a photo (3, H, W); None where nothing is sure enough.

    The mirrored target, which lies nowhere, tells what chance and the habits of images reach on
    this very pair. Quarter turns are tried where the upright photo gives nothing. ``field`` is how
    many times the target's the photo's field is, along diagonals, where that is known.
    """
    prior = Prior() if field is None else Prior(field, KNOWN_SPREAD)
    for quarters in ((0,), (1, -1)):
        best = best_placement(target, valid, photo, quarters, prior, LEAST_CONFIDENCE)
        if best.confidence < LEAST_CONFIDENCE:
            continue
        controls = together(
            *(
                partial(
                    best_placement, target.flip(axis), valid.flip(axis), photo, quarters, prior, 2.0
                )
                for axis in MIRRORED
            )
        )
        chance = max(control.confidence for control in controls)
        if _log_odds(best.confidence) - _log_odds(chance) >= LEAST_MARGIN:
            return best
    return None


def _log_odds(chance: float) -> float:
    return math.log(max(chance, 1e-9) / max(1 - chance, 1e-9))


def best_placement(
    target: Tensor,
    valid: Tensor,
    photo: Tensor,
    quarters: tuple[int, ...],
    prior: Prior,
    least: float = 0.0,
) -> Placement:
    """Return the best placement near some quarter turns, refined last where it is sure enough."""
    some = [
        each
        for quarter in quarters
        for each in candidates(target, valid, photo, 2 * CANDIDATES, quarter, prior.fields)
    ]
    promising = _scores(some, torch.zeros(len(some)), prior).argsort(descending=True, stable=True)
    some = [some[number] for number in promising[:CANDIDATES].tolist()]
    thetas, values = _Cuts.of(target, valid, photo, some, LONGER[0]).climb(
        torch.zeros(len(some), 7), 4
    )
    kept = _scores(some, values, prior).argsort(descending=True, stable=True)[:FINALISTS]
    some, thetas = [some[number] for number in kept.tolist()], thetas[kept]
    cuts = _Cuts.of(target, valid, photo, some, LONGER[1])
    thetas, values = cuts.climb(thetas, 6)
    scores = _scores(some, values, prior)
    winner = int(scores.argmax())
    gap = float(scores[winner] - scores[_elsewhere(some, winner)].max()) if len(some) > 1 else 0.0
    odds = GAP_ODDS * gap + SIMILARITY_ODDS * float(values[winner])
    odds += CORRELATION_ODDS * some[winner].score + ODDS - (0.0 if 0 in quarters else QUARTER_ODDS)
    confidence = 1 / (1 + math.exp(min(-odds, 99.0)))
    if confidence < least:
        return cuts.placement(thetas[winner], confidence, winner)
    cuts = _Cuts.of(target, valid, photo, some[winner : winner + 1], FINAL)
    theta, _ = cuts.climb(thetas[winner : winner + 1], 6)
    theta, _ = cuts.climb(theta, 7)
    return cuts.placement(theta[0], confidence)


def _scores(some: list[Candidate], values: Tensor, prior: Prior) -> Tensor:
    """Weigh correlation, similarity and the prior of rigs, as a logarithm of odds."""
    turns = torch.tensor([math.remainder(each.turn, math.pi / 2) for each in some])
    fields = torch.tensor([math.log(each.field / prior.field) for each in some])
    scores = CORRELATION * torch.tensor([each.score for each in some]) + SIMILARITY * values
    scores -= FIELD_WEIGHT / 2 * (fields / prior.spread).square()
    return scores - TURN_WEIGHT / 2 * (turns / TURN_SPREAD).square()


def _elsewhere(some: list[Candidate], winner: int) -> Tensor:
    """Mark the candidates that are not the winner once more."""
    best = some[winner]
    far = [
        max(abs(each.x - best.x), abs(each.y - best.y)) > ELSEWHERE[0]
        or abs(math.log(each.field / best.field)) > ELSEWHERE[1]
        for each in some
    ]
    marked = torch.tensor(far)
    return marked if marked.any() else torch.arange(len(some)) == len(some) - 1


@dataclass(frozen=True)
class _Cuts:
    """Cut-outs of the photo around candidates, in the target's frame, and small warps of them.

    The parameters (N, 7) are those of `transforms.Affine` and the bend.
    """

    size: Size
    photo: Size
    frames: Tensor
    target: Tensor
    valid: Tensor
    layers: Tensor

    @classmethod
    def of(
        cls, target: Tensor, valid: Tensor, photo: Tensor, some: list[Candidate], longer: int
    ) -> _Cuts:
        size = reduced_size(shape_of(target), longer)
        known = (reduced(valid[None], size)[0] > 0.99).float()
        small = _standardised(reduced(target[None], size), known)[0]
        tall, wide = (round(side * FINER * (1 + 2 * MARGIN)) for side in size)
        grid = identity_grid((tall, wide))[0] * (1 + 2 * MARGIN) * half_sides(size).float()
        pyramid: dict[float, Tensor] = {}
        frames, layers = [], []
        for each in some:
            frame = _frame(each, shape_of(target), shape_of(photo))
            scale = math.sqrt(float(torch.linalg.det(frame[:, :2]))) * 2 / max(size)
            level = min(1.0, 2.0 ** (math.ceil(2 * math.log2(FINER / scale)) / 2))
            if level not in pyramid:
                shape = tuple(max(8, round(side * level)) for side in shape_of(photo))
                pyramid[level] = reduced(photo, (shape[0], shape[1]))
            places = F.pad(grid, (0, 1), value=1.0) @ frame.mT
            at = places * 2 / torch.tensor([photo.shape[2], photo.shape[1]]) - 1
            inside = (at.abs() <= 1).all(-1).float()
            colours = sample(pyramid[level][None], at[None])[0]
            layers.append(torch.cat((_standardised(colours, inside), inside[None])))
            frames.append(frame)
        return cls(
            shape_of(target),
            shape_of(photo),
            torch.stack(frames),
            small,
            known,
            torch.stack(layers),
        )

    def climb(self, starts: Tensor, free: int) -> tuple[Tensor, Tensor]:
        """Raise the similarity by the first ``free`` parameters, a few candidates a task."""
        mask = (torch.arange(7) < free).float()

        def part(first: int) -> tuple[Tensor, Tensor]:
            some = slice(first, first + AT_ONCE)
            cuts = replace(self, frames=self.frames[some], layers=self.layers[some])
            begin = starts[some]
            return climb(lambda moved: cuts.similarity(begin * (1 - mask) + moved * mask), begin)

        found = together(*(partial(part, first) for first in range(0, len(starts), AT_ONCE)))
        ends, values = zip(*found, strict=True)
        return torch.cat(ends), torch.cat(values)

    def similarity(self, thetas: Tensor) -> Tensor:
        """Return the similarity (N,) in nats, less where the photo covers little of the target."""
        size = shape_of(self.target)
        extent = half_sides(size).float()
        grid = identity_grid((size[0] * FINER, size[1] * FINER))[0] * extent
        square = grid.square().sum(-1, keepdim=True) / extent.square().sum()
        bent = grid * (1 + thetas[:, 6, None, None, None] * square)
        moved = torch.einsum("nij,nhwj->nhwi", _affine(thetas), F.pad(bent, (0, 1), value=1.0))
        read = F.grid_sample(
            self.layers, moved / extent / (1 + 2 * MARGIN), "bilinear", "zeros", False
        )
        read = F.avg_pool2d(read, FINER)
        shown = (read[:, -1].detach() > 0.99).float() * self.valid
        targets = self.target.expand(len(thetas), -1, -1)
        share = shown.mean((1, 2)) / self.valid.mean().clamp_min(1e-6)
        cost = (thetas[:, 4:6] / SPREAD).square().sum(1) + (thetas[:, 6] / BENT).square()
        return similarity(targets, read[:, :-1], shown) * share - PENALTY * cost

    def placement(self, theta: Tensor, confidence: float, number: int = 0) -> Placement:
        """Return a candidate, moved by its parameters."""
        last = torch.tensor([[0.0, 0.0, 1.0]])
        whole = torch.cat((self.frames[number], last)) @ torch.cat((_affine(theta[None])[0], last))
        rows = tuple(tuple(row) for row in whole.double().tolist())
        return Placement(self.size, self.photo, rows, float(theta[6]), confidence)


def _affine(thetas: Tensor) -> Tensor:
    """Return affine maps (N, 2, 3) of parameters (N, 7); see `transforms.Affine`."""
    x, y, turn, scale, strain, shear, _ = thetas.unbind(-1)
    rows = (
        torch.stack((scale + strain, shear - turn, x), -1),
        torch.stack((turn + shear, scale - strain, y), -1),
    )
    return exponential(torch.stack(rows, -2))


def _frame(each: Candidate, target: Size, photo: Size) -> Tensor:
    """Return the map (2, 3) of a candidate, from half longer sides to pixels of the photo."""
    scale = math.hypot(*photo) / (each.field * math.hypot(*target)) * max(target) / 2
    c, s = scale * math.cos(each.turn), scale * math.sin(each.turn)
    return torch.tensor([[c, -s, each.x * photo[1]], [s, c, each.y * photo[0]]])


def _standardised(image: Tensor, known: Tensor) -> Tensor:
    """Return (C, h, w) of mean 0 and deviation 1 where it is known, 0 elsewhere."""
    count = known.sum().clamp_min(1)
    centred = (image - (image * known).sum((1, 2), keepdim=True) / count) * known
    spread = (centred.square().sum((1, 2), keepdim=True) / count).sqrt()
    return centred / spread.clamp_min(1e-6)
