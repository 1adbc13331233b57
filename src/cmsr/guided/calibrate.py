"""Calibration: what is the same for all tiles of a result, found from the pair.

Small images are calibrated on all of themselves. Of large ones the guide is registered on a reduced
grid, and all else is found on a few samples, so that its cost stops growing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F

from cmsr.config import Config
from cmsr.guided.calibration import Calibration, ChannelCalibration
from cmsr.guided.candidates import Gain
from cmsr.guided.channel import Channel, Level, pooled_dampings
from cmsr.guided.expected_error import evenness_of
from cmsr.guided.held_out import LEAST_WEIGHT, Error, mixture_weight, overall_weight
from cmsr.guided.learned_share import pooled_errors
from cmsr.guided.sample_boxes import ranked, sample_boxes
from cmsr.guided.scoring import AlignmentScore
from cmsr.guided.source import Sample, Source
from cmsr.guided.transfer import Fit, brightness_of
from cmsr.guided.view import View
from cmsr.io.guide_reader import GuideReader
from cmsr.operators.resampling import Box, Kernel
from cmsr.pair import Pair
from cmsr.parallel import both, together
from cmsr.priors.linear_model import detail_of, level_of, mixing_of
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

TRUSTED, TRUSTED_ROUNDS = 0.5, 12
"""Weight from which the guide counts as trusted, and rounds without it that are enough then: 32
give .01 dB more in mean over the near-infrared pairs."""


@dataclass(frozen=True)
class Calibrated:
    """A calibration, and the samples it was made on: a small image need not be begun again."""

    calibration: Calibration
    samples: dict[Box, Sample]


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
    channels = tuple(found)
    samples = {box: source.sample(box, imaging.kernel, channels) for box in boxes}
    return channels, samples


def straightness(channel: Channel) -> float:
    """Return how far a channel consists of straight, sharp edges, 0 to 1; 0 in a tiny one."""
    if min(channel.y.shape) < SIDE:
        return 0.0
    return Wedgelets(channel.y, channel.valid, channel.reduce).straightness()


def weighed(source: Source, found: Calibrated, controls: tuple[float, ...] = ()) -> Calibrated:
    """Add how far the guide counts, by what held-out pixels say in the samples.

    Parameters
    ----------
    source : Source
        Target and guide.
    found : Calibrated
        Everything else.
    controls : tuple of float
        The gain of displaced guides by channel, where it is known.
    """
    seen = with_views(source, found)
    if not seen.calibration.mixing:
        return seen
    channels = tuple(
        _taught(
            _weighed(channel, list(seen.samples.values()), number, controls[number : number + 1]),
            seen.samples,
            number,
            source.whole,
        )
        for number, channel in enumerate(seen.calibration.channels)
    )
    return replace(seen, calibration=replace(seen.calibration, channels=channels))


def with_views(source: Source, found: Calibrated) -> Calibrated:
    """Add the guide in place to the samples, and the mixing of its channels."""
    alignment = found.calibration.alignment
    if source.guide is None or alignment is None or alignment.refused:
        return found
    guides = {box: source.registered(box, alignment) for box in found.samples}
    details = [detail_of(guide, source.ratio).flatten(1) for guide, _ in guides.values()]
    mixing = mixing_of(torch.cat(details, 1))
    reduced = [
        found.samples[box].candidates[0].channel.reduce(brightness_of(guide, source.ratio)).ravel()
        for box, (guide, _) in guides.items()
    ]
    all_reduced = torch.cat(reduced)
    level = Level(*level_of(all_reduced, torch.ones_like(all_reduced)))
    views = {box: View(*guides[box], mixing, level, source.ratio) for box in guides}
    samples = {box: each._replace(view=views[box]) for box, each in found.samples.items()}
    rows = tuple(tuple(row) for row in mixing.tolist())
    return Calibrated(replace(found.calibration, mixing=rows, brightness=level), samples)


def gain_of(samples: list[Sample], number: int, control: bool) -> Gain:
    """Compare, for one channel, what is predicted with the guide and without, over all samples."""
    pairs = [(each.candidates[number], each.view) for each in samples if each.view]
    return Gain.pooled(together(*(partial(made.gain, view, control) for made, view in pairs)))


def _taught(
    channel: ChannelCalibration, samples: dict[Box, Sample], number: int, whole: Box
) -> ChannelCalibration:
    """Add how far detail goes over from the guide; none where the target is of straight steps."""
    if channel.straightness > 0:
        return channel
    held_out = whole not in samples
    rounds = channel.held_out_rounds if held_out else _free_rounds(channel)
    fits = together(
        *(
            partial(each.candidates[number].fit, each.view, rounds, held_out)
            for each in samples.values()
            if each.view
        )
    )
    return replace(channel, transfer=Fit.pooled(fits).weight)


def _free_rounds(channel: ChannelCalibration) -> int:
    """Return the rounds of the image without the guide, once `_weighed` has begun it."""
    return min(TRUSTED_ROUNDS, channel.rounds) if channel.errors else channel.rounds


def _weighed(
    channel: ChannelCalibration, samples: list[Sample], number: int, known: tuple[float, ...]
) -> ChannelCalibration:
    """Add the guide's weight in one channel; ``known`` is the control's gain, if it is known."""
    errors = gain_of(samples, number, not known)
    gain, control = errors.gain, known[0] if known else errors.control_gain
    weight = overall_weight(gain, control)
    channel = replace(channel, gain=gain, control=control)
    if weight < LEAST_WEIGHT:
        return channel
    pairs = [(each.candidates[number], each.view) for each in samples if each.view]
    if len(pairs) == 1:
        pairs[0][0].begin(pairs[0][1], min(TRUSTED_ROUNDS, channel.rounds))
    rounds = channel.held_out_rounds
    found = together(*(partial(made.errors, view, rounds) for made, view in pairs))
    pooled = [Error.pooled(list(errors)) for errors in zip(*found, strict=True)]
    means = torch.tensor([error.mean for error in pooled])
    mixture = Error.pooled([made.mixture_error(view, rounds, means) for made, view in pairs])
    proven = max(channel.straightness, mixture_weight(pooled[0].db - mixture.db))
    weight = min(weight, proven)
    if weight >= TRUSTED:
        channel = replace(channel, rounds=min(TRUSTED_ROUNDS, channel.rounds))
    return replace(channel, errors=tuple(means.tolist()), weight=weight)
