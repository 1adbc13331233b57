"""Calibration: what is the same for all tiles of a result, found from the pair.

Small images are calibrated on all of themselves. Of large ones the guide is registered on a reduced
grid, and all else is found on a few samples, so that its cost stops growing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch.nn.functional as F

from cmsr.config import Config
from cmsr.guided.calibration import Calibrated, Calibration, ChannelCalibration
from cmsr.guided.channel import Channel, pooled_dampings
from cmsr.guided.expected_error import evenness_of
from cmsr.guided.guide_weight import weighed
from cmsr.guided.learned_share import pooled_errors
from cmsr.guided.sample_boxes import ranked, sample_boxes, samples_of
from cmsr.guided.scoring import AlignmentScore
from cmsr.guided.source import Sample, Source
from cmsr.io.guide_reader import GuideReader
from cmsr.operators.resampling import Box, Kernel
from cmsr.pair import Pair
from cmsr.parallel import both, together
from cmsr.priors.linear_model import level_of
from cmsr.priors.wedgelets import SIDE, Wedgelets
from cmsr.progress import ALIGNING, KERNEL, SOLVING, VALIDATING, Progress, begin
from cmsr.registration.alignment import Alignment
from cmsr.registration.coarse_to_fine import Layers, align
from cmsr.sensor.imaging import Imaging, imaging_of

KERNEL_SAMPLE = 160
"""Side of the part of a large target, in its pixels, whose kernel is looked for."""

OVERVIEW = (6, 8)
"""Fields, down and across, by whose means two frames are compared."""

HELD_OUT_ROUNDS = 3 / 8
"""Rounds without the guide where pixels are held out, per one from all pixels (EXPERIMENTS.md)."""


def calibrate(
    source: Source, kernel: Kernel | None, progress: Progress | None = None
) -> Calibrated:
    """Find everything that is global to an image.

    Parameters
    ----------
    source : Source
        Target and guide.
    kernel : str or PointSpread or None
        The imaging kernel; None looks for it.
    progress : callable, optional
        Told the stage.
    """
    begin(progress, SOLVING, len(source.plan))  # how much there will be to do
    begin(progress, KERNEL)
    imaging = find_imaging(source, kernel)
    begin(progress if source.guide else None, ALIGNING)
    channels, samples = measured(source, imaging)
    alignment, _ = both(
        lambda: find_alignment(source, imaging), lambda: _begin(source, samples, channels)
    )
    found = Calibration(imaging, channels, (), alignment, overview(source.pair))
    begin(progress, VALIDATING)
    return with_dampings(source, weighed(source, judged(Calibrated(found, samples))))


def with_dampings(source: Source, found: Calibrated) -> Calibrated:
    """Add, for an image of several tiles, what its samples measured of the noise."""
    if len(source.plan) == 1 or not any(found.calibration.imaging.noise):
        return found
    channels = []
    for number, channel in enumerate(found.calibration.channels):
        made = [sample.candidates[number] for sample in found.samples.values()]
        if channel.noise and not channel.guided:
            together(*(partial(each.free_held_out, channel.held_out_rounds) for each in made))
        dampings = pooled_dampings(each.noted for each in made)
        channels.append(replace(channel, dampings=dampings if channel.noise else None))
    return Calibrated(replace(found.calibration, channels=tuple(channels)), {})


def judged(found: Calibrated) -> Calibrated:
    """Add what held-out pixels say of a learned prior, if there is one."""
    channels = []
    for number, channel in enumerate(found.calibration.channels):
        made = [sample.candidates[number] for sample in found.samples.values()]
        rounds = channel.held_out_rounds
        errors = together(*(partial(each.prior_errors, rounds) for each in made))
        channels.append(replace(channel, prior=pooled_errors(errors)))
    return replace(found, calibration=replace(found.calibration, channels=tuple(channels)))


def _begin(
    source: Source, samples: dict[Box, Sample], channels: tuple[ChannelCalibration, ...]
) -> None:
    """Make the images that need no guide: those of a single tile, else those to compare with."""
    each = [
        (made, channel)
        for sample in samples.values()
        for made, channel in zip(sample.candidates, channels, strict=True)
    ]
    if source.whole in samples:
        together(*(partial(made.free, channel.rounds) for made, channel in each))
    elif source.guide is not None:
        together(*(partial(made.free_held_out, channel.held_out_rounds) for made, channel in each))


def find_imaging(source: Source, kernel: Kernel | None) -> Imaging:
    """Return how the target was made, from the part of the target with the most contrast."""
    side = KERNEL_SAMPLE
    if len(source.plan) == 1 or max(source.plan.target) <= side:
        return imaging_of(source.shown(source.whole), kernel)
    ((_, box), *_) = ranked(source.pair, (side, side))
    return imaging_of(source.shown(box), kernel)


def find_alignment(source: Source, imaging: Imaging) -> Alignment | None:
    """Return where the guide lies, as far as held-out pixels confirm it."""
    config = source.config
    if source.guide is None:
        return None
    if config.align == "off":
        return Alignment(source.pair.shape)
    found = align(
        AlignmentScore.of(source, imaging),
        deformable=config.align != "affine",
        layers=_layers(config, source.guide),
        precheck=source.pair.segments is None,
        placed=config.rig_file is not None,
        near=source.near,
    )
    return replace(found, size=source.pair.shape)


def _layers(config: Config, guide: GuideReader) -> Layers:
    """Return whether segments may move: in a guide with holes, which invite it, if asked for."""
    if config.align == "segments":
        return "yes"
    return "proven" if config.align == "auto" and guide.whole else "no"


def overview(pair: Pair) -> tuple[float, ...]:
    """Return the means of a few fields of a pair's target, row by row, in its own units."""
    means = F.adaptive_avg_pool2d(pair.target[:, :1], OVERVIEW).flatten()
    scaled = means.cpu().double().numpy() * pair.scale.ravel()[0] + pair.offset.ravel()[0]
    return tuple(float(mean) for mean in scaled)


def measured(
    source: Source, imaging: Imaging, straight: tuple[float, ...] = ()
) -> tuple[tuple[ChannelCalibration, ...], dict[Box, Sample]]:
    """Measure level and straightness of each channel; return the samples as well.

    Parameters
    ----------
    source : Source
        Target and guide.
    imaging : Imaging
        How the target was made.
    straight : tuple of float
        The straightness of each channel, where it is known.
    """
    rounds = source.config.denoising_rounds
    plain = [
        ChannelCalibration(
            *level_of(y, source.pair.measured(number)),
            noise,
            rounds=rounds,
            held_out_rounds=round(HELD_OUT_ROUNDS * rounds),
            evenness=evenness_of(y, source.pair.measured(number)),
        )
        for number, (y, noise) in enumerate(zip(source.pair.target[0], imaging.noise, strict=True))
    ]
    boxes = sample_boxes(source)
    tiles = [source.channels(box, imaging.kernel, plain) for box in boxes]
    found = []
    for number, (channel, each) in enumerate(zip(plain, zip(*tiles, strict=True), strict=True)):
        steps = straight[number : number + 1] or tuple(straightness(tile) for tile in each)
        found.append(replace(channel, straightness=sum(steps) / len(steps)))
    channels = source.fused(imaging.kernel, found)
    return channels, samples_of(source, imaging.kernel, channels)


def straightness(channel: Channel) -> float:
    """Return how far a channel consists of straight, sharp edges, 0 to 1; 0 in a tiny one."""
    if min(channel.y.shape) < SIDE:
        return 0.0
    return Wedgelets(channel.y, channel.valid, channel.reduce).straightness()
