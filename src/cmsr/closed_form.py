"""The method without training: several explanations of a pair, each believed where it proves.

From one closed-form estimate, several priors each make their own consistent image. All of them are
made twice: from the whole target, and with a fifth of its pixels hidden. How well the second
predicts the hidden pixels says, region by region, how much of the first to take.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.degrade import Resampler, project, resampler, shape_of
from cmsr.guided import EdgeVariation, GuidedFilter
from cmsr.local_linear import estimate, whiten
from cmsr.pair import Pair
from cmsr.register import search
from cmsr.sparse import Schedule, denoise
from cmsr.subpixel import likeliest_shift, move
from cmsr.trust import error_db, hide, image_trust, region_weights
from cmsr.warp import Affine, identity_grid, sample
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

LEAST_GAIN_DB = 0.05
"""Held-out gain that a move of the guide must bring to be believed."""

LEAST_CONFIDENCE = 0.5
"""Confidence of the coarse search below which its map is not tried."""

LEAST_SIDE = 8
"""Smallest target that the coarse search takes, in pixels."""

LEAST_TRUST = 0.01
"""Trust below which the guide is left out altogether."""


class Solution(NamedTuple):
    """The image (1, C, H, W), the guide's weight (H, W), and the guide as it was used."""

    image: Tensor
    guide_weight: Tensor
    guide: Tensor | None
    alignment: dict[str, Any]


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
        The guide may lie elsewhere by an affine map within the coarse search's reach.
    kernel : str
        The imaging kernel.
    config : Config
        ``solver_iterations``, ``align``, ``seed`` (which pixels are hidden).

    Returns
    -------
    Solution
        Normalised as the pair's target is.
    """
    reduce = resampler(pair.shape, shape_of(pair.target), kernel, str(pair.target.device))
    channels = [
        Measurement(y, pair.valid[0, 0], reduce, max(pair.ratio), config.solver_iterations)
        for y in pair.target[0]
    ]
    if pair.guide is None:
        images = [
            _guide_free(channel, channel.estimate(None), channel.straightness())
            for channel in channels
        ]
        return Solution(torch.stack(images)[None], torch.zeros_like(images[0]), None, {})
    alignment: dict[str, Any] = {}
    guide = pair.guide[0]
    if config.align != "off":
        guide, alignment = _aligned(channels[0], guide, config.seed)
    solved = [_guided(channel, guide, config.seed) for channel in channels]
    weight = torch.stack([weight for _, weight in solved]).mean(0)
    return Solution(torch.stack([x for x, _ in solved])[None], weight, guide[None], alignment)


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


def _aligned(channel: Measurement, guide: Tensor, seed: int) -> tuple[Tensor, dict[str, Any]]:
    """Move the guide, first far and then finely, as long as hidden pixels are predicted better."""
    partial, hidden = _with_hidden(channel, seed)

    def error(at: Tensor) -> float:
        predicted = channel.reduce(partial.estimate(whiten(at, channel.ratio)))
        return error_db(predicted, channel.y, hidden)

    facts: dict[str, Any] = {"affine": [0.0] * 6, "shift": (0.0, 0.0)}
    before = error(guide)
    if min(channel.y.shape) >= LEAST_SIDE:
        found = search(channel.y[None], guide.expand(3, -1, -1), target_valid=channel.valid > 0)
        facts["confidence"] = found.confidence
        if found.affine.any() and found.confidence > LEAST_CONFIDENCE:
            size = shape_of(guide)
            grid = Affine(size)(found.affine, identity_grid(size))
            moved = sample(guide[None], grid, "bicubic")[0]
            after = error(moved)
            if before - after > LEAST_GAIN_DB:
                guide, before, facts["affine"] = moved, after, found.affine.tolist()
    shift = likeliest_shift(channel.y, channel.reduce, channel.valid, guide, channel.ratio)
    moved = move(guide, shift)
    if before - error(moved) > LEAST_GAIN_DB:
        guide, facts["shift"] = moved, shift
    return guide, facts


def _guided(channel: Measurement, guide: Tensor, seed: int) -> tuple[Tensor, Tensor]:
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
    return channel.consistent(free + trust * (mixed - free)), trust * (1 - wide[0])


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
