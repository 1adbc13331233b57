"""Frames of one camera: a frame goes on from the one before, as long as its own pixels agree.

The kernel and the guide's place are taken over where a frame looks like the one before and the
guide predicts hidden pixels about as well as it did there; else all is done afresh. Small
displacements of the guide are followed on from frame to frame. How far and where the guide is
believed is proven on every frame anew. What does without the guide is made in fewer rounds, for it
counts for little where the guide has proven itself.
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

from cmsr.config import Config
from cmsr.errors import CmsrError
from cmsr.guided.candidates import Trial, alone
from cmsr.guided.channel import Measurement, measurements
from cmsr.guided.held_out import LEAST_TRUST, Finding
from cmsr.guided.solve import FILTER_ROUNDS, Judge, Solved, held_out_rounds, joined
from cmsr.operators.resampling import Kernel, shape_of
from cmsr.pair import Pair
from cmsr.registration.alignment import LEAST_GAIN_DB
from cmsr.registration.tracking import Place, follow, nudged
from cmsr.sensor.imaging import Imaging, named_kernel
from cmsr.solution import Solution

GLANCE = (6, 8)
"""Fields, down and across, by whose means two frames are compared."""

ALIKE = 0.9
"""Correlation of these means from which two frames show the same scene."""

WORSE_DB, LOST_DB = 0.3, 1.5
"""Fall of the guide's gain from one frame to the next, in dB, from which it is looked for close by,
as it is where a deformation is suddenly worth so much; and by which its place is lost."""

ROUNDS, DOUBTED_ROUNDS, HELD_OUT_ROUNDS = 6, 16, 4
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
    findings : list of Finding
        `Solution.findings`.
    """

    kernel: Kernel | None
    alignment: Mapping[str, Any] | None
    findings: list[Finding]

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
        alignment, findings = info["alignment"], [Finding(*found) for found in series["findings"]]
        return cls(kernel, alignment and {**alignment, **series["place"]}, findings)


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
        "findings": [list(found) for found in solution.findings],
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
    judge = Judge(pair, imaging, config)
    lay = _recalled(pair, judge, config, before)
    channels = measurements(pair, imaging, config.solver_iterations)
    if lay is None or len(before.findings) != len(channels):
        return None
    known = [
        replace(channel, straight=found.straightness)
        for channel, found in zip(channels, before.findings, strict=True)
    ]
    place = _followed(lay, judge, config)
    trial = _trial(known[0], pair, place, config)
    jumped = lay.worth is not None and (place.worth or 0) > lay.worth + WORSE_DB
    worse = trial.gain < before.findings[0].gain - WORSE_DB
    looking = config.align != "off" and (jumped or worse)
    if looking:
        place = _regained(lay, place, judge, config)
        trial = _trial(known[0], pair, place, config)
    guide, seen = trial.guide, trial.seen
    trials = chain([trial], (Trial(other, guide, seen, config.seed) for other in known[1:]))
    solved = []
    for trial, found in zip(trials, before.findings, strict=True):
        if trial.gain < found.gain - LOST_DB:
            return None
        if not looking:
            trial.chance = found.chance
        solved.append(_solved(trial, config))
    alignment = replace(place.best(), size=pair.shape)
    return Frame(joined(solved, guide, alignment), place.told())


def _recalled(pair: Pair, judge: Judge, config: Config, before: Before) -> Place | None:
    """Return where the guide lay in the frame before, as far as that is of use."""
    torn = config.align == "segments" or pair.segments is not None
    if torn or before.alignment is None:
        return None
    size, low = shape_of(judge.guide), shape_of(judge.channel.y)
    return Place.of(before.alignment, size, low, judge.guide.device)


def _followed(lay: Place, judge: Judge, config: Config) -> Place:
    """Find the guide by a small deformation of where it lay."""
    if config.align in ("off", "affine"):
        return lay
    return follow(lay, judge.guide, judge.error, judge.finest)


def _regained(lay: Place, place: Place, judge: Judge, config: Config) -> Place:
    """Move the guide as a whole from where it lay, if it is then better off than in its place."""
    moved = nudged(lay, judge.channel.y, judge.channel.valid, judge.guide)
    again = _followed(moved, judge, config)
    now, then = (judge.error(each.best().apply(judge.guide)) for each in (place, again))
    return again if now - then > LEAST_GAIN_DB else place


def _trial(channel: Measurement, pair: Pair, place: Place, config: Config) -> Trial:
    """Try a channel with the guide in its place."""
    alignment = replace(place.best(), size=pair.shape)
    guide, seen = alignment.apply(pair.photo), alignment.seen(device=pair.photo.device)
    return Trial(channel, guide, seen, config.seed)


def _solved(trial: Trial, config: Config) -> Solved:
    """Solve a channel in few rounds; in more where it has to do without the guide."""
    weights, trust = None, 0.0
    if trial.trust >= LEAST_TRUST:
        rounds = min(HELD_OUT_ROUNDS, held_out_rounds(config))
        weights, trust = trial.weighed(trial.held_out(rounds, FILTER_ROUNDS))
    rounds = ROUNDS if trust >= TRUSTED else DOUBTED_ROUNDS
    free = alone(trial.channel, min(rounds, config.denoising_rounds))
    if weights is None:
        return Solved(free, torch.zeros_like(free), trial.finding)
    guided = trial.explained(free, FILTER_ROUNDS)
    return Solved(*trial.mixed(free, guided, weights, trust), trial.finding)
