"""The method without training: several explanations of a pair, each believed where it proves.

From one closed-form estimate, several priors each make their own consistent image. All of them are
made twice: from the whole target, and with a fifth of its pixels hidden. How well the second
predicts the hidden pixels says, region by region, how much of the first to take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.degrade import CONSISTENCY, Kernel, Resampler, project, resampler, shape_of
from cmsr.guided import EdgeVariation, GuidedFilter
from cmsr.local_linear import estimate, whiten
from cmsr.pair import Pair
from cmsr.register import search
from cmsr.sparse import Schedule, denoise
from cmsr.subpixel import likeliest_shift, move
from cmsr.trust import error_db, hide, image_trust, region_weights
from cmsr.warp import Affine, identity_grid, sample

UNIT = 6.0
"""Standard deviations of a measurement that make 1 in the schedules below."""

GUIDE_FREE = Schedule(rounds=32, first=0.3, last=0.02, variation=0.004, power=0.5)
GUIDE_FREE_HELD_OUT = replace(GUIDE_FREE, rounds=12)
SPARSE = Schedule(rounds=12, first=0.1, last=0.02, variation=0.002)
BLEND = Schedule(rounds=8, first=0.1, last=0.02, variation=0.002)
BLEND_FILTER = 0.3
FILTER_ROUNDS = 6

NOISE_THRESHOLD, NOISE_VARIATION = 1.3, 0.1
"""Least threshold and weight of variation, in standard deviations of the target's noise; the former
per pixel of ratio, as noise of the target fills that many times as much of a block's coefficients.
"""

LEAST_ERROR = 0.05
"""Least variance of the estimate's error, in variances of the noise."""

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
    """One channel of a target: y (h, w), 1 where it was measured, how it was made, its noise."""

    y: Tensor
    valid: Tensor
    reduce: Resampler
    ratio: float
    iterations: int
    noise: float = 0.0

    def estimate(self, features: Tensor | None) -> Tensor:
        """Return the local linear estimate (H, W)."""
        return estimate(
            self.y,
            self.reduce,
            self.valid,
            features,
            self.ratio,
            iterations=self.iterations,
            noise=self.noise,
        ).image

    def consistent(self, x: Tensor) -> Tensor:
        """Make (H, W) agree with the measurement, within its noise."""
        return project(x, self.y, self.reduce, self.valid, self._damping(x))

    def denoised(self, x: Tensor, schedule: Schedule) -> Tensor:
        """Alternate denoising and consistency."""
        for phase, threshold in enumerate(schedule.thresholds()):
            x = self.consistent(denoise(x, *self.strengths(threshold, schedule.variation), phase))
        return x

    def strengths(self, threshold: float, variation: float) -> tuple[float, float]:
        """Return a schedule's numbers in units of the data, no lower than the noise asks for."""
        unit = UNIT * float(self.y.std())
        least = NOISE_THRESHOLD * self.ratio * self.noise
        return max(threshold * unit, least), max(variation * unit, NOISE_VARIATION * self.noise)

    def _damping(self, x: Tensor) -> float:
        """Weigh the noise of y against what ``x`` is off, for `project` to do what is likeliest.

        The residual's variance is that of the noise plus that of the image's error, as the
        operator passes it on; the ratio of the two is the damping (empirical Bayes).
        """
        if not self.noise:
            return CONSISTENCY
        residual = (self.y - self.reduce(x)) * self.valid
        variance = float(residual.square().sum() / self.valid.sum().clamp(min=1))
        error = max(variance - self.noise**2, LEAST_ERROR * self.noise**2)
        return CONSISTENCY + self.noise**2 * self._passed_on / error

    @cached_property
    def _passed_on(self) -> float:
        """Share of white noise's variance that the operator lets through."""
        sign = torch.randn(self.y.shape, generator=torch.Generator().manual_seed(0)).sign()
        return float(self.reduce.transpose(sign.to(self.y)).square().sum() / sign.numel())


def solve(
    pair: Pair, kernel: Kernel, config: Config, noise: Sequence[float] | None = None
) -> Solution:
    """Estimate the target at the result's resolution.

    Parameters
    ----------
    pair : Pair
        The guide may lie elsewhere by an affine map within the coarse search's reach.
    kernel : str or PointSpread
        The imaging kernel.
    config : Config
        ``solver_iterations``, ``align``, ``seed`` (which pixels are hidden).
    noise : sequence of float, optional
        Standard deviation of each channel's noise, in the units of the pair's target; none
        without it.

    Returns
    -------
    Solution
        Normalised as the pair's target is.
    """
    reduce = resampler(pair.shape, shape_of(pair.target), kernel, str(pair.target.device))
    channels = [
        Measurement(y, pair.valid[0, 0], reduce, max(pair.ratio), config.solver_iterations, level)
        for y, level in zip(pair.target[0], noise or [0.0] * len(pair.target[0]), strict=True)
    ]
    if pair.guide is None:
        images = [_guide_free(channel) for channel in channels]
        return Solution(torch.stack(images)[None], torch.zeros_like(images[0]), None, {})
    alignment: dict[str, Any] = {}
    guide = pair.guide[0]
    if config.align != "off":
        guide, alignment = _aligned(channels[0], guide, config.seed)
    solved = [_guided(channel, guide, config.seed) for channel in channels]
    weight = torch.stack([weight for _, weight in solved]).mean(0)
    return Solution(torch.stack([x for x, _ in solved])[None], weight, guide[None], alignment)


def _guide_free(channel: Measurement) -> Tensor:
    return channel.denoised(channel.estimate(None), GUIDE_FREE)


def _with_hidden(channel: Measurement, seed: int) -> tuple[Measurement, Tensor]:
    """Return the measurement with a fifth hidden, and a mask of that fifth."""
    kept = hide(channel.valid, seed)
    return replace(channel, valid=kept), channel.valid - kept


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
    if trust < LEAST_TRUST:
        free = _guide_free(channel)
        return free, torch.zeros_like(free)
    held_out = _candidates(partial, guide, *start, GUIDE_FREE_HELD_OUT)
    weights = region_weights([channel.reduce(x) for x in held_out], channel.y, hidden)
    whole = channel.estimate(None), channel.estimate(features)
    candidates = _candidates(channel, guide, *whole, GUIDE_FREE)
    enlarge = resampler(channel.y.shape, candidates[0].shape, "bilinear", str(guide.device))
    wide = enlarge(weights)
    mixed = (wide * torch.stack(candidates)).sum(0)
    free = candidates[0]
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


def _candidates(
    channel: Measurement, guide: Tensor, free: Tensor, guided: Tensor, guide_free: Schedule
) -> list[Tensor]:
    """Make every explanation from the two estimates; the first does without the guide."""
    guided_filter = GuidedFilter(guide, max(1, round(channel.ratio / 2)))
    edges = EdgeVariation(guide)
    filtered = guided
    for _ in range(FILTER_ROUNDS):
        filtered = channel.consistent(guided_filter(filtered))
    return [
        channel.denoised(free, guide_free),
        guided,
        filtered,
        channel.denoised(guided, SPARSE),
        edges.sharpen(guided, channel.y, channel.reduce, channel.valid),
        edges.sharpen(filtered, channel.y, channel.reduce, channel.valid),
        _blended(channel, guided, guided_filter),
    ]


def _blended(channel: Measurement, x: Tensor, guided_filter: GuidedFilter) -> Tensor:
    """Alternate consistency with a mixture of guided filter and denoising."""
    for phase, threshold in enumerate(BLEND.thresholds()):
        smooth = denoise(x, *channel.strengths(threshold, BLEND.variation), phase)
        mixed = BLEND_FILTER * guided_filter(x) + (1 - BLEND_FILTER) * smooth
        x = channel.consistent(mixed)
    return x
