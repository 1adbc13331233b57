"""The method without training: several explanations of a pair, each believed where it proves.

From one closed-form estimate, several priors each make their own consistent image. All of them are
made twice: from the whole target, and with a fifth of its pixels hidden. How well the second
predicts the hidden pixels says, region by region, how much of the first to take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial as bound
from typing import Any

import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.degrade import Resampler, Shape, resampler, shape_of
from cmsr.imaging import Imaging
from cmsr.local_linear import whiten
from cmsr.measurement import Measurement, measurements
from cmsr.pair import Pair
from cmsr.parallel import both, together
from cmsr.priors.guided import EdgeVariation, GuidedFilter
from cmsr.priors.sparse import Schedule
from cmsr.solution import Solution
from cmsr.trust import (
    DECOY,
    LEAST_TRUST,
    error_db,
    hide,
    image_trust,
    mixture_trust,
    region_weights,
)
from cmsr.warps.alignment import Alignment, Tear, align
from cmsr.warps.follow import follow
from cmsr.warps.refine import refine
from cmsr.warps.superpixels import superpixels
from cmsr.warps.warp import Motion

Facts = Mapping[str, Any]

GUIDE_FREE = bound(Schedule, first=0.3, last=0.02, variation=0.004, power=0.5)
HELD_OUT_ROUNDS = 3 / 8
"""Rounds without the guide where pixels are hidden, per one with the whole target."""
FILTER_ROUNDS = 6
STEP_CONTRAST = 0.06
STEP_ITERATIONS = 30
SMOOTHING_ITERATIONS = 10

FINENESS = 2.0
"""Pixels of the result per one of the target at which the guide is aligned."""


def solve(pair: Pair, imaging: Imaging, config: Config, previous: Facts | None = None) -> Solution:
    """Estimate the target at the result's resolution.

    Parameters
    ----------
    pair : Pair
        The guide may lie elsewhere, as far as `cmsr.warps.register.search` reaches.
    imaging : Imaging
        How the target was made.
    config : Config
        ``solver_iterations``, ``align``, ``seed`` (which pixels are hidden).
    previous : mapping, optional
        `Alignment.facts` of the frame before, in a series.

    Returns
    -------
    Solution
        Normalised as the pair's target is.
    """
    channels = measurements(pair, imaging, config.solver_iterations)
    alignment, frees = both(
        lambda: _alignment(pair, imaging, config, previous),
        lambda: [_alone(c, config.denoising_rounds) for c in channels],
    )
    if pair.guide is None or alignment is None or alignment.refused:
        unused = torch.zeros_like(frees[0])
        return Solution(torch.stack(frees)[None], unused, pair.guide, alignment)
    guide, seen = alignment.apply(pair.guide[0]), alignment.seen(device=pair.guide.device)
    solved = [
        _guided(channel, free, guide, seen, config)
        for channel, free in zip(channels, frees, strict=True)
    ]
    weight = torch.stack([weight for _, weight in solved]).mean(0)
    return Solution(torch.stack([x for x, _ in solved])[None], weight, guide[None], alignment)


def _alignment(
    pair: Pair, imaging: Imaging, config: Config, previous: Facts | None
) -> Alignment | None:
    if pair.guide is None:
        return None
    if config.align == "off":
        return Alignment(pair.shape)
    return aligned(pair, imaging, config, previous)


def aligned(
    pair: Pair, imaging: Imaging, config: Config, previous: Facts | None = None
) -> Alignment:
    """Find where the guide lies, as long as hidden pixels are predicted better."""
    whole = measurements(pair, imaging, config.solver_iterations)[0]
    channel, shrink = _coarsened(whole, pair.shape)
    guide = shrink(pair.photo)
    partial, hidden = _with_hidden(channel, config.seed)

    def predicted(at: Tensor) -> Tensor:
        return channel.reduce(partial.estimate(whiten(at, channel.ratio)))

    def error(at: Tensor) -> float:
        return error_db(predicted(at), channel.y, hidden)

    def misfit(at: Tensor) -> Tensor:
        return (predicted(at) - channel.y).square() * hidden

    def finest(at: Tensor, start: Tensor | None = None) -> Motion:
        return refine(channel.y, partial.valid, channel.reduce, at, channel.ratio, start)

    deformable = config.align != "affine"
    tear = _tear(pair, config)
    if previous is not None and tear != "yes" and pair.segments is None:
        followed = follow(previous, channel.y, guide, error, finest if deformable else None)
        if followed is not None:
            return replace(followed, size=pair.shape)
    found = align(
        channel.y,
        channel.valid,
        guide,
        error,
        misfit,
        finest,
        deformable=deformable,
        tear=tear,
        segmented=lambda count: _segments(pair, count),
        glance=pair.segments is None,
    )
    return replace(found, size=pair.shape)


def _tear(pair: Pair, config: Config) -> Tear:
    if config.align == "segments":
        return "yes"
    return "proven" if config.align == "auto" else "no"


def _segments(pair: Pair, count: int) -> Tensor:
    """Return the user's segments of the guide, or else about ``count`` superpixels."""
    colours = pair.photo.expand(3, -1, -1)
    return pair.segments if pair.segments is not None else superpixels(colours, count)


def _coarsened(channel: Measurement, shape: Shape) -> tuple[Measurement, Resampler]:
    """Bring the result's grid, of this shape, to `FINENESS`; return also what brings images there.

    It tells where a guide lies, and whether it tells anything, as well as finer.
    """
    low = shape_of(channel.y)
    ratio = min(channel.ratio, FINENESS)
    working = max(low[0], round(low[0] * ratio)), max(low[1], round(low[1] * ratio))
    device = str(channel.y.device)
    enlarge = resampler(working, shape, "bicubic", device)
    coarser = replace(channel, reduce=channel.reduce.after(enlarge), ratio=ratio)
    return coarser, resampler(shape, working, "bicubic", device)


def _alone(channel: Measurement, rounds: int) -> Tensor:
    return _guide_free(channel, channel.estimate(None), channel.straightness, rounds)


def _guide_free(channel: Measurement, estimate: Tensor, straightness: float, rounds: int) -> Tensor:
    """Do without the guide: by sparse blocks, or by straight edges where the target has such."""
    schedule = GUIDE_FREE(rounds=rounds)
    if straightness == 0:
        return channel.denoised(estimate, schedule)
    stepped = _smoothed(channel, channel.stepped(estimate, None, None))
    if straightness == 1:
        return stepped
    return torch.lerp(channel.denoised(estimate, schedule), stepped, straightness)


def _smoothed(channel: Measurement, x: Tensor) -> Tensor:
    """Lower the variation of (H, W) a little, the same everywhere."""
    everywhere = EdgeVariation(torch.zeros_like(x)[None])
    return everywhere.sharpen(
        x, channel.y, channel.reduce, channel.valid, iterations=SMOOTHING_ITERATIONS
    )


def _with_hidden(channel: Measurement, seed: int) -> tuple[Measurement, Tensor]:
    """Return the measurement with a fifth hidden, and a mask of that fifth."""
    kept = hide(channel.valid, seed)
    return replace(channel, valid=kept), channel.valid - kept


def _guided(
    channel: Measurement, free: Tensor, guide: Tensor, seen: Tensor, config: Config
) -> tuple[Tensor, Tensor]:
    """Mix all explanations by what each is worth; return the image and the guide's weight.

    ``free`` (H, W) is the one without the guide.
    """
    features = whiten(guide, channel.ratio)
    partial, hidden = _with_hidden(channel, config.seed)
    hidden = hidden * (channel.reduce(seen) > 0.99)
    start = together(lambda: partial.estimate(None), lambda: partial.estimate(features))
    trust = _trust(partial, hidden, features, *start)
    if trust < LEAST_TRUST:
        return free, torch.zeros_like(free)
    straightness = channel.straightness
    rounds = round(HELD_OUT_ROUNDS * config.denoising_rounds)
    explain = _Explanations(guide, features, channel.ratio, straightness)
    held_out, guided = together(
        lambda: [
            _guide_free(partial, start[0], straightness, rounds),
            *explain(partial, *start),
        ],
        lambda: explain(channel, free, channel.estimate(features)),
    )
    predicted = torch.stack([channel.reduce(x) for x in held_out])
    weights = region_weights(predicted, channel.y, hidden)
    alone, mixture = predicted[0], (weights * predicted).sum(0)
    gain = error_db(alone, channel.y, hidden) - error_db(mixture, channel.y, hidden)
    trust = min(trust, max(straightness, mixture_trust(gain)))
    enlarge = resampler(channel.y.shape, free.shape, "bilinear", str(guide.device))
    wide = enlarge(weights)
    mixed = (wide * torch.stack([free, *guided])).sum(0)
    believed = trust * seen
    return channel.consistent(free + believed * (mixed - free)), believed * (1 - wide[0])


def _trust(
    partial: Measurement, hidden: Tensor, features: Tensor, free: Tensor, guided: Tensor
) -> float:
    """Trust in the guide as a whole, from its held-out gain and that of displaced guides."""
    coarse, shrink = _coarsened(partial, shape_of(features))
    small, distance = shrink(features), max(1, round(DECOY * coarse.ratio))

    def error(image: Tensor, of: Measurement) -> float:
        return error_db(of.reduce(image), partial.y, hidden)

    displaced = [small.roll((down, distance), (-2, -1)) for down in (distance, -distance)]
    alone, *decoys = together(
        *(bound(coarse.estimate, at) for at in (None, *displaced)),
    )
    chance = error(alone, coarse) - min(error(decoy, coarse) for decoy in decoys)
    return image_trust(error(free, partial) - error(guided, partial), chance)


class _Explanations:
    """What a guide may say of a measurement, several ways; which ones, the target decides."""

    def __init__(self, guide: Tensor, features: Tensor, ratio: float, straightness: float) -> None:
        self.guide, self.features, self.straightness = guide, features, straightness
        self.guided_filter = GuidedFilter(guide, max(1, round(ratio / 2)))
        self.edges = EdgeVariation(guide)
        self.wide_edges = EdgeVariation(guide, STEP_CONTRAST)

    def __call__(self, channel: Measurement, free: Tensor, estimate: Tensor) -> list[Tensor]:
        """Make every explanation, each (H, W), from estimates without and with the guide."""
        filtered = channel.filtered(estimate, free, self.guided_filter, FILTER_ROUNDS)
        found = []
        if self.straightness > 0:
            found += [self._sharpened(channel, filtered), self._stepped(channel, estimate)]
        if self.straightness < 1:
            found += [estimate, filtered]
        return found

    def _sharpened(self, channel: Measurement, x: Tensor) -> Tensor:
        return self.edges.sharpen(x, channel.y, channel.reduce, channel.valid)

    def _stepped(self, channel: Measurement, base: Tensor) -> Tensor:
        x = channel.stepped(base, self.guide, self.features)
        return self.wide_edges.sharpen(
            x, channel.y, channel.reduce, channel.valid, iterations=STEP_ITERATIONS
        )
