"""Frames of one camera: a frame goes on from the one before, as long as its own pixels agree.

The kernel and the guide's place are taken over where a frame looks like the one before and the
guide predicts hidden pixels about as well as it did there; else all is done afresh. A small
displacement of the guide is followed on from frame to frame. How far and where the guide is
believed is proven on every frame anew. What does without the guide is made in fewer rounds, for it
counts for little where the guide has proven itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F

from cmsr.closed_form import FILTER_ROUNDS, Judge, Solved, held_out_rounds, joined
from cmsr.config import Config
from cmsr.degrade import Kernel, shape_of
from cmsr.errors import CmsrError
from cmsr.imaging import Imaging, named_kernel
from cmsr.measurement import measurements
from cmsr.pair import Pair
from cmsr.solution import Solution
from cmsr.trial import Trial, alone
from cmsr.trust import LEAST_TRUST
from cmsr.warps.follow import Place, follow

GLANCE = (6, 8)
"""Fields, down and across, by whose means two frames are compared."""

ALIKE = 0.9
"""Correlation of these means from which two frames show the same scene."""

LOST_DB = 1.0
"""Fall of the guide's gain from one frame to the next by which its place is lost."""

ROUNDS, DOUBTED_ROUNDS, HELD_OUT_ROUNDS = 8, 16, 6
"""Rounds at most without the guide, where the guide is trusted, where it is not, and where pixels
are hidden."""

TRUSTED = 0.5
"""Trust from which the guide counts as trusted."""


class Before(NamedTuple):
    """What a frame may take over from the one before.

    Attributes
    ----------
    kernel : str or PointSpread or None
        None where the name does not say all of it.
    alignment : mapping or None
        `Alignment.facts`, with what `follow` left for this frame.
    gains : list of float
        `Solution.gains`.
    """

    kernel: Kernel | None
    alignment: Mapping[str, Any] | None
    gains: list[float]

    @classmethod
    def of(cls, info: Mapping[str, Any], pair: Pair) -> Self | None:
        """Read it out of `Result.info` of the frame before; None where that shows another scene.

        ``pair`` is the frame that is to go on from it.
        """
        series = info.get("series")
        if not series or not alike(series["glance"], glance(pair)):
            return None
        kernel = None
        with suppress(CmsrError):
            kernel = named_kernel(info["kernel"])
        alignment = info["alignment"]
        return cls(kernel, alignment and {**alignment, **series["place"]}, series["gains"])


class Frame(NamedTuple):
    """A frame solved, and what `follow` leaves for the next one."""

    solution: Solution
    place: dict[str, Any]


def told(pair: Pair, solution: Solution, place: dict[str, Any] | None) -> dict[str, Any]:
    """Return what `Result.info` holds for the next frame, and whether this one began afresh.

    ``place`` is `Frame.place`, None where a frame began afresh.
    """
    return {
        "afresh": place is None,
        "gains": list(solution.gains),
        "glance": glance(pair),
        "place": place or {},
    }


def glance(pair: Pair) -> list[float]:
    """Return the means of a few fields of a pair's target, row by row, in its own units."""
    means = F.adaptive_avg_pool2d(pair.target[:, :1], GLANCE).flatten()
    scaled = means.cpu().double().numpy() * pair.scale.ravel()[0] + pair.offset.ravel()[0]
    return [float(mean) for mean in scaled]


def alike(before: list[float], now: list[float]) -> bool:
    """Tell whether two glances show the same scene, whatever their brightness and contrast."""
    if len(before) != len(now) or not np.ptp(before) or not np.ptp(now):
        return False
    return bool(np.corrcoef(before, now)[0, 1] >= ALIKE)


def go_on(pair: Pair, imaging: Imaging, config: Config, before: Before) -> Frame | None:
    """Solve a frame from where the one before ended; None where that does not hold here.

    Parameters
    ----------
    pair : Pair
        With a guide.
    imaging : Imaging
        How the target was made.
    config : Config
        As for `closed_form.solve`.
    before : Before
        What to go on from.
    """
    place = _place(pair, imaging, config, before)
    channels = measurements(pair, imaging, config.solver_iterations)
    if place is None or len(before.gains) != len(channels):
        return None
    alignment = replace(place.best(), size=pair.shape)
    guide, seen = alignment.apply(pair.photo), alignment.seen(device=pair.photo.device)
    solved = []
    for channel, gain in zip(channels, before.gains, strict=True):
        trial = Trial(channel, guide, seen, config.seed)
        if trial.gain < gain - LOST_DB:
            return None
        solved.append(_solved(trial, config))
    return Frame(joined(solved, guide, alignment), place.told())


def _place(pair: Pair, imaging: Imaging, config: Config, before: Before) -> Place | None:
    """Find the guide's place from where it lay in the frame before."""
    judge = Judge(pair, imaging, config)
    if config.align == "segments" or pair.segments is not None or before.alignment is None:
        return None
    size, low = shape_of(judge.guide), shape_of(judge.channel.y)
    place = Place.of(before.alignment, size, low, judge.guide.device)
    if place is None or config.align in ("off", "affine"):
        return place
    return follow(place, judge.guide, judge.error, judge.finest)


def _solved(trial: Trial, config: Config) -> Solved:
    """Solve a channel in few rounds; in more where it has to do without the guide."""
    weights, trust = None, 0.0
    if trial.trust >= LEAST_TRUST:
        rounds = min(HELD_OUT_ROUNDS, held_out_rounds(config))
        weights, trust = trial.weighed(trial.held_out(rounds, FILTER_ROUNDS))
    rounds = ROUNDS if trust >= TRUSTED else DOUBTED_ROUNDS
    free = alone(trial.channel, min(rounds, config.denoising_rounds))
    if weights is None:
        return Solved(free, torch.zeros_like(free), trial.gain)
    guided = trial.explained(free, FILTER_ROUNDS)
    return Solved(*trial.mixed(free, guided, weights, trust), trial.gain)
