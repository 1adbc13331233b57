"""Frames of one camera: a frame goes on from the one before, as long as its own pixels agree.

The kernel and the guide's place are taken over where a frame looks like the one before and the
guide predicts hidden pixels as well as it did there. Where it does a little worse, it is looked for
close by; where much worse, nothing of the frame before holds and all is done afresh. How far and
where the guide is believed is proven on every frame anew, though in fewer rounds: what does without
the guide counts for little where the guide has proven itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F

from cmsr.closed_form import FILTER_ROUNDS, Judge, Solved, held_out_rounds, joined
from cmsr.config import Config
from cmsr.degrade import Kernel, shape_of
from cmsr.errors import CmsrError
from cmsr.imaging import Imaging, named_kernel
from cmsr.measurement import Measurement, measurements
from cmsr.pair import Pair
from cmsr.solution import Solution
from cmsr.trial import Trial, alone
from cmsr.trust import LEAST_TRUST
from cmsr.warps.alignment import Alignment
from cmsr.warps.follow import follow, recalled

GLANCE = (6, 8)
"""Fields, down and across, by whose means two frames are compared."""

ALIKE = 0.9
"""Correlation of these means from which two frames show the same scene."""

WORSE_DB, LOST_DB = 0.1, 1.0
"""Fall of the guide's gain from which it is looked for close by, and from which all is done
afresh."""

ROUNDS, DOUBTED_ROUNDS = 8, 16
"""Rounds at most without the guide, where the guide is trusted and where it is not."""

TRUSTED = 0.5
"""Trust from which the guide counts as trusted."""

HELD_OUT_ROUNDS, HELD_OUT_FILTER_ROUNDS = 6, 3
"""The same where pixels are hidden, and rounds of the guided filter there."""


class Before(NamedTuple):
    """What a frame may take over from the one before.

    Attributes
    ----------
    kernel : str or PointSpread or None
        None where the name does not say all of it.
    alignment : mapping or None
        `Alignment.facts`.
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
        return cls(kernel, info["alignment"], series["gains"])


def told(pair: Pair, solution: Solution, *, afresh: bool) -> dict[str, Any]:
    """Return what `Result.info` holds for the next frame, and whether this one began afresh."""
    return {"afresh": afresh, "gains": list(solution.gains), "glance": glance(pair)}


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


def go_on(pair: Pair, imaging: Imaging, config: Config, before: Before) -> Solution | None:
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
    judge = Judge(pair, imaging, config)
    placed = _placed(judge, config, before)
    first, *others = measurements(pair, imaging, config.solver_iterations)
    if placed is None or len(before.gains) != 1 + len(others):
        return None
    trial = _trial(first, pair, placed, config)
    worse = trial.gain < before.gains[0] - WORSE_DB
    looking = worse and config.align not in ("off", "affine")
    if looking:
        placed = follow(placed, shape_of(first.y), judge.guide, judge.error, judge.finest)
        trial = _trial(first, pair, placed, config)
    guide, seen = trial.guide, trial.seen
    trials = chain([trial], (Trial(other, guide, seen, config.seed) for other in others))
    solved = []
    for trial, gain in zip(trials, before.gains, strict=True):
        if trial.gain < gain - LOST_DB:
            return None
        solved.append(_solved(trial, config))
    solution = joined(solved, guide, replace(placed, size=pair.shape))
    return solution if looking else replace(solution, gains=tuple(before.gains))


def _placed(judge: Judge, config: Config, before: Before) -> Alignment | None:
    """Return where the guide lay in the frame before."""
    if config.align == "off":
        return Alignment(shape_of(judge.guide))
    if config.align == "segments" or before.alignment is None:
        return None
    low = shape_of(judge.channel.y)
    return recalled(before.alignment, shape_of(judge.guide), low, judge.guide.device)


def _trial(channel: Measurement, pair: Pair, placed: Alignment, config: Config) -> Trial:
    """Try a channel with the guide placed."""
    guide, seen = placed.apply(pair.photo), placed.seen(pair.shape, pair.photo.device)
    return Trial(channel, guide, seen, config.seed)


def _solved(trial: Trial, config: Config) -> Solved:
    """Solve a channel in few rounds; in more where it has to do without the guide."""
    weights, trust = None, 0.0
    if trial.trust >= LEAST_TRUST:
        rounds = min(HELD_OUT_ROUNDS, held_out_rounds(config))
        weights, trust = trial.weighed(trial.held_out(rounds, HELD_OUT_FILTER_ROUNDS))
    rounds = ROUNDS if trust >= TRUSTED else DOUBTED_ROUNDS
    free = alone(trial.channel, min(rounds, config.denoising_rounds))
    if weights is None:
        return Solved(free, torch.zeros_like(free), trial.gain)
    guided = trial.explained(free, FILTER_ROUNDS)
    return Solved(*trial.mixed(free, guided, weights, trust), trial.gain)
