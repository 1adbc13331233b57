"""Calibration of a frame of a series, starting from the previous frame's.

If a frame looks like the previous one and the guide predicts held-out pixels about as well, kernel,
straightness and placement are kept; otherwise the frame is calibrated from scratch. Small shifts of
the guide are tracked. The guide's weight is measured on every frame. The candidate without a guide
takes fewer rounds where the guide is trusted, because it then counts for little.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cmsr.guided.calibrate import (
    judged,
    measured,
    overview,
)
from cmsr.guided.calibration import Calibrated, Calibration, ChannelCalibration, Tracking
from cmsr.guided.guide_weight import TRUSTED, gain_of, weighed, with_views
from cmsr.guided.sample_boxes import samples_of
from cmsr.guided.scoring import AlignmentScore
from cmsr.guided.source import Source
from cmsr.operators.resampling import Kernel
from cmsr.registration.tracking import Pose, follow, reacquire
from cmsr.sensor.imaging import imaging_of

ALIKE = 0.9
"""Correlation of their overviews from which two frames show the same scene."""

WORSE_DB, LOST_DB = 0.3, 1.5
"""Fall of the guide's gain from one frame to the next, in dB, from which it is looked for close by,
as it is where a deformation is suddenly worth so much; and by which its place is lost. Measured on
six moving series (EXPERIMENTS.md)."""

ROUNDS, DOUBTED_ROUNDS, HELD_OUT_ROUNDS = 6, 16, 4
"""Rounds at most without the guide, where its weight is above `TRUSTED`, where it is not, and where
pixels are held out."""


def usable(previous: Calibration, source: Source) -> bool:
    """Return whether a frame shows the scene of the one before, and the guide was found there."""
    same = len(previous.channels) == source.pair.target.shape[1]
    return same and alike(previous.overview, overview(source.pair))


def alike(before: tuple[float, ...], now: tuple[float, ...]) -> bool:
    """Return whether two overviews show the same scene, whatever their brightness and contrast."""
    if len(before) != len(now) or not np.ptp(before) or not np.ptp(now):
        return False
    return bool(np.corrcoef(before, now)[0, 1] >= ALIKE)


def continued(source: Source, kernel: Kernel | None, previous: Calibration) -> Calibrated | None:
    """Calibrate a frame from the one before; None where that does not hold here.

    Parameters
    ----------
    source : Source
        This frame.
    kernel : str or PointSpread or None
        The kernel that the user names.
    previous : Calibration
        The frame before; `usable` for this one.
    """
    imaging = imaging_of(source.part(source.whole), kernel or previous.imaging.kernel)
    straight = tuple(channel.straightness for channel in previous.channels)
    channels, samples = measured(source, imaging, straight)
    start = Calibration(imaging, channels, overview=overview(source.pair), continued=True)
    if source.guide is None:
        return judged(Calibrated(start, samples))
    fewer = tuple(_hastened(channel, 0.0) for channel in channels)
    start = replace(start, channels=fewer)
    problem = AlignmentScore.of(source, imaging)
    before = _recalled(source, problem, previous)
    if before is None:
        return None

    def placed(pose: Pose) -> Calibrated:
        alignment = replace(pose.best(), size=source.pair.shape)
        tracking = Tracking(tuple(pose.theta.tolist()), pose.worth)
        at = replace(start, alignment=alignment, tracking=tracking)
        fresh = samples_of(source, imaging.kernel, channels)
        return with_views(source, Calibrated(at, fresh))

    pose = _followed(before, problem, source)
    found = placed(pose)
    gains = _gains(found)
    jumped = before.worth is not None and (pose.worth or 0) > before.worth + WORSE_DB
    worse = gains[0] < previous.channels[0].gain - WORSE_DB
    searched = source.config.align != "off" and (jumped or worse)
    if searched:
        pose = _reacquired(before, pose, problem, source)
        found = placed(pose)
        gains = _gains(found)
    for gain, channel in zip(gains, previous.channels, strict=True):
        if gain < channel.gain - LOST_DB:
            return None
    controls = () if searched else tuple(channel.control for channel in previous.channels)
    found = weighed(source, judged(found), controls)
    channels = tuple(_hastened(c, c.weight) for c in found.calibration.channels)
    return replace(found, calibration=replace(found.calibration, channels=channels))


def _gains(found: Calibrated) -> list[float]:
    samples, count = list(found.samples.values()), len(found.calibration.channels)
    return [gain_of(samples, number, control=False).gain for number in range(count)]


def _hastened(channel: ChannelCalibration, weight: float) -> ChannelCalibration:
    """Lower the rounds of a channel."""
    rounds = ROUNDS if weight >= TRUSTED else DOUBTED_ROUNDS
    return replace(
        channel,
        rounds=min(rounds, channel.rounds),
        held_out_rounds=min(HELD_OUT_ROUNDS, channel.held_out_rounds),
    )


def _recalled(source: Source, problem: AlignmentScore, previous: Calibration) -> Pose | None:
    """Return where the guide lay in the frame before, as far as that is of use."""
    layered = source.config.align == "segments" or source.pair.segments is not None
    if layered or previous.alignment is None:
        return None
    tracking = previous.tracking or Tracking((), None)
    return Pose.of(previous.alignment, problem, tracking.deformation, tracking.worth)


def _followed(pose: Pose, problem: AlignmentScore, source: Source) -> Pose:
    """Find the guide by a small deformation of where it lay."""
    return pose if source.config.align in ("off", "affine") else follow(pose, problem)


def _reacquired(before: Pose, pose: Pose, problem: AlignmentScore, source: Source) -> Pose:
    """Move the guide as a whole from where it lay, if it is then better off than in its pose."""
    again = _followed(reacquire(before, problem), problem, source)
    now, then = (problem.error(each.best().apply(problem.guide)) for each in (pose, again))
    return again if now - then > WORSE_DB else pose
