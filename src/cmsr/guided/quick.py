"""The quick method, for results too large for memory: every part as the whole would be.

Three explanations, all local and in closed form: without the guide, smooth fields and a little
total variation; with it, the local linear model, and its guided filter. A few numbers are settled
once, on samples of the image: how it was made, its level, which mixture of the guide's channels is
detail, and how far the guide is believed. With these, any part can be made by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from cmsr.guided.channel import Level, Measurement, measurements
from cmsr.guided.held_out import (
    DECOY,
    LEAST_TRUST,
    error_db,
    image_trust,
    mixture_trust,
    region_weights,
)
from cmsr.guided.linear_model import detail_of, level_of, mixing_of, uncorrelated
from cmsr.operators.resampling import resampler
from cmsr.pair import Pair
from cmsr.priors.guide_edges import GuidedFilter
from cmsr.priors.sparse_blocks import total_variation
from cmsr.sensor.imaging import Imaging

VARIATIONS = (0.016, 0.013, 0.01, 0.007, 0.004)
"""Weights of total variation, round by round, in units of the data."""

FILTER_ROUNDS = 2
"""Rounds of the guided filter."""

STEPS_ALONE, STEPS_GUIDED = 20, 16
"""Steps of conjugate gradients without and with the guide.

They couple all of an image until they have converged, and windows are to agree with each other.
"""


class Part(NamedTuple):
    """A part of a pair.

    ``kept`` (h, w) is 1 where a pixel is not hidden from the held-out pass, ``seen`` (H, W) where
    the guide reaches.
    """

    pair: Pair
    kept: Tensor
    seen: Tensor | None = None


class Verdict(NamedTuple):
    """What held-out pixels say: each explanation's mean squared error, and trust in the guide."""

    errors: Tensor
    trust: float


@dataclass(frozen=True)
class Settled:
    """What is the same for all parts of one image.

    Attributes
    ----------
    imaging : Imaging
        How the target was made.
    levels : tuple of Level
        Of each channel.
    mixing : Tensor, shape (G, G), or None
        Makes the guide's detail uncorrelated.
    verdicts : tuple of Verdict
        Of each channel.
    """

    imaging: Imaging
    levels: tuple[Level, ...]
    mixing: Tensor | None = None
    verdicts: tuple[Verdict, ...] = ()


class _View:
    """A part's guide, in the forms that the explanations need."""

    def __init__(self, guide: Tensor, mixing: Tensor, ratio: float) -> None:
        self.features = uncorrelated(detail_of(guide, ratio), mixing)
        self.filter = GuidedFilter(guide, max(1, round(ratio / 2)))


class _Evidence(NamedTuple):
    """What a sample says: held-out predictions (K, h, w), those of displaced guides, the truth."""

    predicted: Tensor
    decoys: Tensor
    y: Tensor
    hidden: Tensor


def settle(samples: list[Part], imaging: Imaging) -> Settled:
    """Settle, on a few parts of an image, what is to be the same for all.

    Parameters
    ----------
    samples : list of Part
        All with a guide, or none.
    imaging : Imaging
        How the target was made.
    """
    levels = tuple(
        _level([measurements(part.pair, imaging, STEPS_GUIDED)[i] for part in samples])
        for i in range(len(imaging.noise))
    )
    settled = Settled(imaging, levels)
    if samples[0].pair.guide is None:
        return settled
    ratio = max(samples[0].pair.ratio)
    details = [detail_of(part.pair.photo, ratio).flatten(1) for part in samples]
    settled = replace(settled, mixing=mixing_of(torch.cat(details, 1)))
    collected = [_evidence(part, settled) for part in samples]
    verdicts = tuple(_verdict(list(channel)) for channel in zip(*collected, strict=True))
    return replace(settled, verdicts=verdicts)


def solve(part: Part, settled: Settled) -> tuple[Tensor, Tensor]:
    """Make one part of the result.

    Returns
    -------
    Two tensors, shapes (1, C, H, W) and (H, W)
        The image, normalised as the pair's target is, and how far the guide was trusted.
    """
    believed = any(verdict.trust >= LEAST_TRUST for verdict in settled.verdicts)
    view = _view(part, settled) if believed else None
    images, weights = zip(
        *(
            _mixed(channel, part, view, settled.verdicts[i] if view else None)
            for i, channel in enumerate(_channels(part, settled))
        ),
        strict=True,
    )
    return torch.stack(images)[None], torch.stack(weights).mean(0)


def _channels(part: Part, settled: Settled) -> list[Measurement]:
    channels = measurements(part.pair, settled.imaging, STEPS_GUIDED)
    return [replace(c, level=level) for c, level in zip(channels, settled.levels, strict=True)]


def _view(part: Part, settled: Settled) -> _View | None:
    if settled.mixing is None:
        return None
    return _View(part.pair.photo, settled.mixing, max(part.pair.ratio))


def _level(samples: list[Measurement]) -> Level:
    """Find the level of a channel of which there are a few samples."""
    y, valid = (torch.cat([x.flatten() for x in parts])
                for parts in ([c.y for c in samples], [c.valid for c in samples]))  # fmt: skip
    mean, contrast = level_of(y, valid)
    dampings = [channel.damping(channel.estimate(None)) for channel in samples]
    return Level(mean, contrast, sum(dampings) / len(dampings))


def _explanations(channel: Measurement, view: _View | None) -> Tensor:
    """Make all explanations (K, H, W), the first without the guide."""
    free = replace(channel, iterations=STEPS_ALONE).estimate(None)
    for variation in VARIATIONS:
        free = channel.consistent(total_variation(free, channel.strengths(0, variation)[1]))
    if view is None:
        return free[None]
    guided = channel.estimate(view.features)
    return torch.stack([free, guided, channel.filtered(guided, free, view.filter, FILTER_ROUNDS)])


def _evidence(part: Part, settled: Settled) -> list[_Evidence]:
    """Ask a sample what it says of the guide, channel by channel."""
    view, found = _view(part, settled), []
    seen = part.pair.photo.new_ones(part.pair.shape) if part.seen is None else part.seen
    distance = max(1, round(DECOY * max(part.pair.ratio)))
    for channel in _channels(part, settled):
        partial = replace(channel, valid=part.kept)
        decoys = [
            partial.estimate(view.features.roll((distance, side * distance), (-2, -1)))
            for side in (1, -1)
            if view
        ]
        found.append(
            _Evidence(
                channel.reduce(_explanations(partial, view)),
                channel.reduce(torch.stack(decoys)),
                channel.y,
                (channel.valid - part.kept) * (channel.reduce(seen) > 0.99),
            )
        )
    return found


def _verdict(samples: list[_Evidence]) -> Verdict:
    """Judge all samples of a channel together."""
    y, hidden = (torch.cat([x.flatten() for x in parts])
                 for parts in ([e.y for e in samples], [e.hidden for e in samples]))  # fmt: skip
    predicted = torch.cat([e.predicted.flatten(1) for e in samples], 1)
    decoys = torch.cat([e.decoys.flatten(1) for e in samples], 1)
    errors = ((predicted - y) ** 2 * hidden).sum(1) / hidden.sum().clamp(min=1)
    mixture = torch.cat(
        [
            (region_weights(e.predicted, e.y, e.hidden, errors) * e.predicted).sum(0).flatten()
            for e in samples
        ]
    )
    alone = error_db(predicted[0], y, hidden)
    trust = min(
        image_trust(
            alone - error_db(predicted[1], y, hidden),
            max(alone - error_db(decoy, y, hidden) for decoy in decoys),
        ),
        mixture_trust(alone - error_db(mixture, y, hidden)),
    )
    return Verdict(errors, trust)


def _mixed(
    channel: Measurement, part: Part, view: _View | None, verdict: Verdict | None
) -> tuple[Tensor, Tensor]:
    """Mix the explanations by what each is worth here; return the image and the guide's weight."""
    if view is None or part.seen is None or verdict is None or verdict.trust < LEAST_TRUST:
        free = _explanations(channel, None)[0]
        return free, torch.zeros_like(free)
    found = _explanations(channel, view)
    predicted = channel.reduce(_explanations(replace(channel, valid=part.kept), view))
    weights = region_weights(predicted, channel.y, channel.valid - part.kept, verdict.errors)
    enlarge = resampler(channel.y.shape, found.shape[1:], "bilinear", str(found.device))
    wide = enlarge(weights)
    believed = verdict.trust * part.seen
    mixed = torch.lerp(found[0], (wide * found).sum(0), believed)
    return channel.consistent(mixed), believed * (1 - wide[0])
