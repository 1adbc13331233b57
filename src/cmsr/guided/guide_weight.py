"""The guide's weight in each channel, from the held-out pixels of the samples."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch

from cmsr.guided.calibration import Calibrated, ChannelCalibration
from cmsr.guided.candidates import Gain
from cmsr.guided.channel import Level
from cmsr.guided.held_out import LEAST_WEIGHT, Error, mixture_weight, overall_weight
from cmsr.guided.source import Sample, Source
from cmsr.guided.transfer import Fit, brightness_of
from cmsr.guided.view import View
from cmsr.operators.resampling import Box
from cmsr.parallel import together
from cmsr.priors.guide_features import joint_mixing_of
from cmsr.priors.linear_model import level_of

TRUSTED, TRUSTED_ROUNDS = 0.5, 12
"""Weight from which the guide counts as trusted, and rounds without it that are enough then: 32
give .01 dB more in mean over the near-infrared pairs."""


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
    mixing = joint_mixing_of([guide for guide, _ in guides.values()], source.ratio)
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
    held_out = gain_of(samples, number, not known)
    gain, control = held_out.gain, known[0] if known else held_out.control_gain
    weight = overall_weight(gain, control)
    channel = replace(channel, gain=gain, control=control)
    if weight < LEAST_WEIGHT:
        return channel
    pairs = [(each.candidates[number], each.view) for each in samples if each.view]
    if len(pairs) == 1:
        pairs[0][0].begin(pairs[0][1], min(TRUSTED_ROUNDS, channel.rounds))
    rounds = channel.held_out_rounds

    def errors_of(trusting: bool) -> list[Error]:
        found = together(*(partial(made.errors, view, rounds, trusting) for made, view in pairs))
        return [Error.pooled(list(errors)) for errors in zip(*found, strict=True)]

    cautious = errors_of(trusting=False)
    means = torch.tensor([error.mean for error in cautious])
    mixture = Error.pooled([made.proof(view, rounds, means) for made, view in pairs])
    proven = max(channel.straightness, mixture_weight(cautious[0].db - mixture.db))
    weight = min(weight, proven)
    if weight >= TRUSTED:
        channel = replace(channel, rounds=min(TRUSTED_ROUNDS, channel.rounds))
    used = errors_of(trusting=True) if weight >= LEAST_WEIGHT else cautious
    return replace(channel, errors=tuple(error.mean for error in used), weight=weight)
