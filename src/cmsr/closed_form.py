"""The method without training: several explanations of a pair, each believed where it proves.

From one closed-form estimate, several priors each make their own consistent image. All of them are
made twice: from the whole target, and with a fifth of its pixels hidden. How well the second
predicts the hidden pixels says, region by region, how much of the first to take.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cmsr.alignment import Alignment, align
from cmsr.config import Config
from cmsr.degrade import Resampler, project, resampler, shape_of
from cmsr.guided import EdgeVariation, GuidedFilter
from cmsr.local_linear import estimate, whiten
from cmsr.pair import Pair
from cmsr.refine import refine
from cmsr.solution import Solution
from cmsr.sparse import Schedule, denoise
from cmsr.trust import error_db, hide, image_trust, region_weights
from cmsr.warp import Motion
from cmsr.wedgelets import Wedgelets

UNIT = 6.0
"""Standard deviations of a measurement that make 1 in the schedules below."""

GUIDE_FREE = Schedule(rounds=32, first=0.3, last=0.02, variation=0.004, power=0.5)
GUIDE_FREE_HELD_OUT = replace(GUIDE_FREE, rounds=12)
SPARSE = Schedule(rounds=12, first=0.1, last=0.02, variation=0.002)
BLEND = Schedule(rounds=8, first=0.1, last=0.02, variation=0.002)
BLEND_FILTER = 0.3
FILTER_ROUNDS = 6
STEP_CONTRAST = 0.06
STEP_ITERATIONS = 30

DECOY = 1.5
"""Displacement at which a guide tells what gain is mere chance, in pixels of the target."""

LEAST_TRUST = 0.01
"""Trust below which the guide is left out altogether."""


@dataclass(frozen=True)
class Measurement:
    """One channel of a target: y (h, w), 1 where it was measured, how it was made."""

    y: Tensor
    valid: Tensor
    reduce: Resampler
    ratio: float
    iterations: int

    def estimate(self, features: Tensor | None) -> Tensor:
        """Return the local linear estimate (H, W)."""
        return estimate(
            self.y, self.reduce, self.valid, features, self.ratio, iterations=self.iterations
        ).image

    def stepped(self, base: Tensor, guide: Tensor | None, features: Tensor | None) -> Tensor:
        """Draw straight, sharp edges over ``base`` (H, W); the estimate adds what they miss."""
        x = Wedgelets(self.y, self.valid, self.reduce).expected(base, guide)
        return x + replace(self, y=self.y - self.reduce(x)).estimate(features)

    def straightness(self) -> float:
        """Tell how far the target consists of straight, sharp edges, from 0 to 1."""
        return Wedgelets(self.y, self.valid, self.reduce).straightness()

    def consistent(self, x: Tensor) -> Tensor:
        """Make (H, W) agree with the measurement."""
        return project(x, self.y, self.reduce, self.valid)

    def denoised(self, x: Tensor, schedule: Schedule) -> Tensor:
        """Alternate denoising and consistency."""
        unit = UNIT * float(self.y.std())
        for phase, threshold in enumerate(schedule.thresholds()):
            x = denoise(x, threshold * unit, schedule.variation * unit, phase)
            x = self.consistent(x)
        return x


def solve(pair: Pair, kernel: str, config: Config) -> Solution:
    """Estimate the target at the result's resolution.

    Parameters
    ----------
    pair : Pair
        The guide may lie elsewhere, as far as `cmsr.register.search` reaches.
    kernel : str
        The imaging kernel.
    config : Config
        ``solver_iterations``, ``align``, ``seed`` (which pixels are hidden).

    Returns
    -------
    Solution
        Normalised as the pair's target is.
    """
    channels = _channels(pair, kernel, config)
    if pair.guide is None:
        images = [
            _guide_free(channel, channel.estimate(None), channel.straightness())
            for channel in channels
        ]
        return Solution(torch.stack(images)[None], torch.zeros_like(images[0]))
    alignment = Alignment(pair.shape)
    if config.align != "off":
        alignment = aligned(pair, kernel, config)
    guide, seen = alignment.apply(pair.guide[0]), alignment.seen(pair.guide.device)
    if alignment.refused:
        images = [
            _guide_free(channel, channel.estimate(None), channel.straightness())
            for channel in channels
        ]
        return Solution(torch.stack(images)[None], torch.zeros_like(seen), guide[None], alignment)
    solved = [_guided(channel, guide, seen, config.seed) for channel in channels]
    weight = torch.stack([weight for _, weight in solved]).mean(0)
    return Solution(torch.stack([x for x, _ in solved])[None], weight, guide[None], alignment)


def guide_of(pair: Pair) -> Tensor:
    """Return the guide (G, H, W) of a pair that has one."""
    if pair.guide is None:
        raise ValueError("the pair has no guide")
    return pair.guide[0]


def _channels(pair: Pair, kernel: str, config: Config) -> list[Measurement]:
    """Take the target apart into its channels."""
    reduce = resampler(pair.shape, shape_of(pair.target), kernel, str(pair.target.device))
    return [
        Measurement(y, pair.valid[0, 0], reduce, max(pair.ratio), config.solver_iterations)
        for y in pair.target[0]
    ]


def _guide_free(
    channel: Measurement, estimate: Tensor, straightness: float, schedule: Schedule = GUIDE_FREE
) -> Tensor:
    """Do without the guide: by sparse blocks, or by straight edges where the target has such."""
    if straightness == 0:
        return channel.denoised(estimate, schedule)
    stepped = channel.stepped(estimate, None, None)
    if straightness == 1:
        return stepped
    return torch.lerp(channel.denoised(estimate, schedule), stepped, straightness)


def _with_hidden(channel: Measurement, seed: int) -> tuple[Measurement, Tensor]:
    """Return the measurement with a fifth hidden, and a mask of that fifth."""
    kept = hide(channel.valid, seed)
    return (
        Measurement(channel.y, kept, channel.reduce, channel.ratio, channel.iterations),
        channel.valid - kept,
    )


def aligned(pair: Pair, kernel: str, config: Config) -> Alignment:
    """Find where the guide lies, as long as hidden pixels are predicted better."""
    guide = guide_of(pair)
    channel = _channels(pair, kernel, config)[0]
    partial, hidden = _with_hidden(channel, config.seed)

    def error(at: Tensor) -> float:
        predicted = channel.reduce(partial.estimate(whiten(at, channel.ratio)))
        return error_db(predicted, channel.y, hidden)

    def finest(at: Tensor) -> Motion:
        return refine(channel.y, partial.valid, at, kernel, channel.ratio)

    deformable = config.align != "affine"
    return align(channel.y, channel.valid, guide, error, finest, deformable=deformable)


def _guided(channel: Measurement, guide: Tensor, seen: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Mix all explanations by what each is worth; return the image and the guide's weight."""
    features = whiten(guide, channel.ratio)
    partial, hidden = _with_hidden(channel, seed)
    start = partial.estimate(None), partial.estimate(features)
    trust = _trust(partial, hidden, features, *start)
    straightness = channel.straightness()
    free = _guide_free(channel, channel.estimate(None), straightness)
    if trust < LEAST_TRUST:
        return free, torch.zeros_like(free)
    explain = _Explanations(guide, features, straightness)
    held_out = [
        _guide_free(partial, start[0], straightness, GUIDE_FREE_HELD_OUT),
        *explain(partial, start[1]),
    ]
    weights = region_weights([channel.reduce(x) for x in held_out], channel.y, hidden)
    candidates = [free, *explain(channel, channel.estimate(features))]
    enlarge = resampler(channel.y.shape, free.shape, "bilinear", str(guide.device))
    wide = enlarge(weights)
    mixed = (wide * torch.stack(candidates)).sum(0)
    believed = trust * seen
    return channel.consistent(free + believed * (mixed - free)), believed * (1 - wide[0])


def _trust(
    partial: Measurement, hidden: Tensor, features: Tensor, free: Tensor, guided: Tensor
) -> float:
    """Trust in the guide as a whole, from its held-out gain and that of displaced guides."""

    def gain(x: Tensor) -> float:
        without, with_guide = (
            error_db(partial.reduce(image), partial.y, hidden) for image in (free, x)
        )
        return without - with_guide

    distance = max(1, round(DECOY * partial.ratio))
    decoys = [
        gain(partial.estimate(features.roll((way * distance, distance), (-2, -1))))
        for way in (1, -1)
    ]
    return image_trust(gain(guided), max(decoys))


class _Explanations:
    """What a guide may say of a measurement, several ways; which ones, the target decides."""

    def __init__(self, guide: Tensor, features: Tensor, straightness: float) -> None:
        self.guide, self.features, self.straightness = guide, features, straightness
        self.edges = EdgeVariation(guide)
        self.wide_edges = EdgeVariation(guide, STEP_CONTRAST)

    def __call__(self, channel: Measurement, estimate: Tensor) -> list[Tensor]:
        """Make every explanation, each (H, W), from the guided estimate (H, W)."""
        guided_filter = GuidedFilter(self.guide, max(1, round(channel.ratio / 2)))
        filtered = estimate
        for _ in range(FILTER_ROUNDS):
            filtered = channel.consistent(guided_filter(filtered))
        found = [self._sharpened(channel, filtered)]
        if self.straightness > 0:
            found.append(self._stepped(channel, estimate))
        if self.straightness < 1:
            found += [
                estimate,
                filtered,
                channel.denoised(estimate, SPARSE),
                self._sharpened(channel, estimate),
                _blended(channel, estimate, guided_filter),
            ]
        return found

    def _sharpened(self, channel: Measurement, x: Tensor) -> Tensor:
        return self.edges.sharpen(x, channel.y, channel.reduce, channel.valid)

    def _stepped(self, channel: Measurement, base: Tensor) -> Tensor:
        x = channel.stepped(base, self.guide, self.features)
        return self.wide_edges.sharpen(
            x, channel.y, channel.reduce, channel.valid, iterations=STEP_ITERATIONS
        )


def _blended(channel: Measurement, x: Tensor, guided_filter: GuidedFilter) -> Tensor:
    """Alternate consistency with a mixture of guided filter and denoising."""
    unit = UNIT * float(channel.y.std())
    for phase, threshold in enumerate(BLEND.thresholds()):
        smooth = denoise(x, threshold * unit, BLEND.variation * unit, phase)
        mixed = BLEND_FILTER * guided_filter(x) + (1 - BLEND_FILTER) * smooth
        x = channel.consistent(mixed)
    return x
