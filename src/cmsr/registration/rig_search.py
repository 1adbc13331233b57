"""The geometry that most pairs of a rig share, from the votes of all of them.

Each pair proposes a few places. The one near which most pairs have a proposal is refined by the
similarity of all pairs together, then again without the pairs that contradict it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.parallel import together
from cmsr.registration.cutouts import Cutouts
from cmsr.registration.optimisation import climb
from cmsr.registration.placement import (
    FINAL,
    LONGER,
    SIMILARITY,
    Finalists,
    Prior,
    Search,
    finalists,
    placed,
)
from cmsr.registration.rig import LEAST_SPREAD, Rig, Vote, nudged

NEAR = 0.03
"""How far places of pairs of one rig lie apart, in longer sides of the target, by eye."""

UNSURE = 0.05
"""Chance that a pair's right place is not among its finalists, by eye."""

ASIDE = 0.2
"""How far aside, in half longer sides, a control place lies with which a pair's own is compared."""

CLEARLY = 4.0
"""Log-odds by which another place must be better to speak against the rig, by eye."""

FAR = 0.05
"""Least distance of another place, in longer sides of the target."""

LEAST_SHARE = 0.4
"""Share of the pairs that must agree; chance gives a ninth."""


RAYLEIGH = 1.18
"""Median length of moves whose standard deviation is 1 along either axis."""


class Seen(NamedTuple):
    """A pair: its name, target and validity (h, w), and photo (3, H, W), reduced."""

    name: str
    target: Tensor
    valid: Tensor
    photo: Tensor


def shared(pairs: Sequence[Seen], prior: Prior | None = None) -> Rig | None:
    """Return the geometry that pairs share; None where too few agree on one.

    Parameters
    ----------
    pairs : sequence of Seen
        Two or more.
    prior : Prior, optional
        What is known of the fields of view.
    """
    known = prior or Prior()
    found = together(*(partial(_places, one, known) for one in pairs))
    rig = _refined(pairs, _most_voted(found))
    voted = _voted(pairs, found, rig)
    agreeing = [pair for pair, vote in zip(pairs, voted, strict=True) if vote.verdict == "agrees"]
    if len(agreeing) < max(2, LEAST_SHARE * len(pairs)):
        return None
    if len(agreeing) < len(pairs):
        rig = _refined(agreeing, rig)
        voted = _voted(pairs, found, rig)
    moved = torch.tensor([vote.moved for vote in voted if vote.verdict == "agrees"])
    spread = float(moved.norm(dim=1).median()) / RAYLEIGH if len(moved) else LEAST_SPREAD
    return replace(rig, spread=spread, votes=tuple(voted))


def _places(pair: Seen, known: Prior) -> Finalists:
    """Return the places where the target of a pair may lie."""
    return finalists(Search.of(pair.target, pair.valid, pair.photo, known), (0,))


def _most_voted(found: Sequence[Finalists]) -> Rig:
    """Return the place that most pairs have one near by, by the odds of theirs."""
    rigs = [[Rig.of(each.placement(i)) for i in range(len(each.candidates))] for each in found]
    every = torch.stack([_corners(rig) for some in rigs for rig in some])
    support = torch.zeros(len(every))
    for some, each in zip(rigs, found, strict=True):
        chances = torch.softmax(each.scores, 0)
        own = torch.stack([_corners(rig) for rig in some])
        away = (every[:, None] - own).norm(dim=-1).mean(-1)
        near = torch.exp(-0.5 * (away / NEAR).square()) @ chances.to(away)
        support += (UNSURE + (1 - UNSURE) * near).log()
    return [rig for some in rigs for rig in some][int(support.argmax())]


def _corners(rig: Rig) -> Tensor:
    """Return where the target's corners lie (4, 2), in the target's own longer sides."""
    place = rig.placement((100, 100), (100, 100))
    corners = torch.tensor([[-1.0, -1], [1, -1], [-1, 1], [1, 1]], dtype=torch.float64)
    return place.places(corners) / (100 * max(place.fineness))


def _refined(pairs: Sequence[Seen], rig: Rig) -> Rig:
    """Raise the similarity of all pairs by one map of all, coarse to fine."""
    for longer, free in ((LONGER[1], 6), (FINAL, 7), (FINAL, 7)):
        cuts = together(*(partial(_cut, pair, rig, longer) for pair in pairs))
        mask = (torch.arange(7) < free).float()
        rest = torch.tensor([[0.0] * 6 + [rig.bend]])

        def gain(
            thetas: Tensor,
            _: Tensor,
            cuts: list[Cutouts] = cuts,
            mask: Tensor = mask,
            rest: Tensor = rest,
        ) -> Tensor:
            moved = rest * (1 - mask) + thetas * mask
            each = together(*(partial(cut.similarity, moved) for cut in cuts))
            return torch.stack(each).mean(0)

        thetas, _ = climb(gain, rest)
        rig = Rig.of(placed(cuts[0], thetas[0] * mask + rest[0] * (1 - mask)))
    return rig


def _cut(pair: Seen, rig: Rig, longer: int) -> Cutouts:
    start = rig.placement(shape_of(pair.target), shape_of(pair.photo))
    frame = torch.tensor(start.matrix)[:2].float()
    return Cutouts.of(pair.target, pair.valid, pair.photo, [frame], longer)


def _voted(pairs: Sequence[Seen], found: Sequence[Finalists], rig: Rig) -> list[Vote]:
    return together(
        *(partial(_vote, pair, each, rig) for pair, each in zip(pairs, found, strict=True))
    )


def _vote(pair: Seen, own: Finalists, rig: Rig) -> Vote:
    """Ask a pair whether it is more similar at the rig's place than beside it and elsewhere."""
    cuts = _cut(pair, rig, LONGER[1])
    theta, value = nudged(cuts, rig, rig.bend)
    steps = [(x, y) for x in (-ASIDE, 0, ASIDE) for y in (-ASIDE, 0, ASIDE) if x or y]
    beside = theta.expand(len(steps), -1).clone()
    beside[:, :2] += torch.tensor(steps)
    controls = [float(cuts.similarity(each[None])) for each in beside]
    here = _corners(rig)
    elsewhere = [
        float(own.values[i])
        for i in range(len(own.candidates))
        if float((_corners(Rig.of(own.placement(i))) - here).norm(dim=-1).mean()) > FAR
    ]
    verdict = "agrees" if value > max(controls) else "unclear"
    if elsewhere and SIMILARITY * (max(elsewhere) - value) > CLEARLY:
        verdict = "outlier"
    moved = (theta[:2] * max(shape_of(pair.target)) / 2).tolist()
    return Vote(pair.name, verdict, (moved[0], moved[1]), value)
