"""One channel of a pair on trial: what predicts its hidden pixels is believed.

From one closed-form estimate, several priors each make their own consistent image. All of them are
made twice: from the whole target, and with a fifth of its pixels hidden. How well the second
predicts the hidden pixels says, region by region, how much of the first to take.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from functools import partial as bound

import torch
from torch import Tensor

from cmsr.guided.channel import Measurement
from cmsr.guided.held_out import (
    DECOY,
    Finding,
    error_db,
    hide,
    image_trust,
    mixture_trust,
    region_weights,
)
from cmsr.guided.linear_model import whiten
from cmsr.operators.resampling import Resampler, Shape, resampler, shape_of
from cmsr.parallel import together
from cmsr.priors.guide_edges import EdgeVariation, GuidedFilter
from cmsr.priors.sparse_blocks import Schedule

GUIDE_FREE = bound(Schedule, first=0.3, last=0.02, variation=0.004, power=0.5)
STEP_CONTRAST = 0.06
STEP_ITERATIONS = 30
SMOOTHING_ITERATIONS = 10

FINENESS = 2.0
"""Pixels of the result per one of the target at which a guide's place is judged."""


class Trial:
    """All explanations of a channel, and what hidden pixels say of them.

    Parameters
    ----------
    channel : Measurement
        What is to be explained.
    guide : Tensor, shape (G, H, W)
        [0, 1], where it belongs.
    seen : Tensor, shape (H, W)
        1 where the guide reaches.
    seed : int
        Decides which pixels are hidden.
    """

    def __init__(self, channel: Measurement, guide: Tensor, seen: Tensor, seed: int) -> None:
        self.channel, self.guide, self.seen = channel, guide, seen
        self.features = whiten(guide, channel.ratio)
        self.partial, hidden = with_hidden(channel, seed)
        self.hidden = hidden * (channel.reduce(seen) > 0.99)
        self.start = together(
            lambda: self.partial.estimate(None), lambda: self.partial.estimate(self.features)
        )

    @cached_property
    def gain(self) -> float:
        """How many dB better hidden pixels are predicted with the guide than without."""
        free, guided = self.start
        return self._error(free, self.partial) - self._error(guided, self.partial)

    @property
    def trust(self) -> float:
        """Trust in the guide as a whole, 0 to 1."""
        return image_trust(self.gain, self.chance)

    @property
    def finding(self) -> Finding:
        """What a later frame may go by."""
        return Finding(self.gain, self.chance, self.channel.straightness)

    @cached_property
    def chance(self) -> float:
        """How many dB a guide gains that is displaced on purpose; known from before if set."""
        coarse, shrink = coarsened(self.partial, shape_of(self.features))
        small, distance = shrink(self.features), max(1, round(DECOY * coarse.ratio))
        displaced = [small.roll((down, distance), (-2, -1)) for down in (distance, -distance)]
        alone, *decoys = together(
            *(bound(coarse.estimate, at) for at in (None, *displaced)),
        )
        best = min(self._error(decoy, coarse) for decoy in decoys)
        return self._error(alone, coarse) - best

    def held_out(self, rounds: int, filter_rounds: int) -> Tensor:
        """Return what each explanation says of the target, hidden pixels and all, (K, h, w).

        The first does without the guide, in so many rounds.
        """
        straightness = self.channel.straightness
        free, guided = self.start
        found = [
            guide_free(self.partial, free, straightness, rounds),
            *self._explanations(self.partial, free, guided, filter_rounds),
        ]
        return torch.stack([self.channel.reduce(x) for x in found])

    def explained(self, free: Tensor, filter_rounds: int) -> list[Tensor]:
        """Explain the whole target by the guide, (H, W) each; ``free`` (H, W) does without."""
        estimate = self.channel.estimate(self.features)
        return self._explanations(self.channel, free, estimate, filter_rounds)

    def weighed(self, predicted: Tensor) -> tuple[Tensor, float]:
        """Return each explanation's weights (K, h, w), and the trust in their mixture.

        ``predicted`` is what `held_out` returns.
        """
        y, hidden = self.channel.y, self.hidden
        weights = region_weights(predicted, y, hidden)
        alone, mixture = predicted[0], (weights * predicted).sum(0)
        gain = error_db(alone, y, hidden) - error_db(mixture, y, hidden)
        return weights, min(self.trust, max(self.channel.straightness, mixture_trust(gain)))

    def mixed(
        self, free: Tensor, guided: list[Tensor], weights: Tensor, trust: float
    ) -> tuple[Tensor, Tensor]:
        """Mix all explanations by what each is worth; return the image and the guide's weight."""
        enlarge = resampler(self.channel.y.shape, free.shape, "bilinear", str(free.device))
        wide = enlarge(weights)
        mixed = (wide * torch.stack([free, *guided])).sum(0)
        believed = trust * self.seen
        image = self.channel.consistent(free + believed * (mixed - free))
        return image, believed * (1 - wide[0])

    def _error(self, image: Tensor, of: Measurement) -> float:
        return error_db(of.reduce(image), self.channel.y, self.hidden)

    @cached_property
    def _guided_filter(self) -> GuidedFilter:
        return GuidedFilter(self.guide, max(1, round(self.channel.ratio / 2)))

    @cached_property
    def _edges(self) -> EdgeVariation:
        return EdgeVariation(self.guide)

    @cached_property
    def _wide_edges(self) -> EdgeVariation:
        return EdgeVariation(self.guide, STEP_CONTRAST)

    def _explanations(
        self, channel: Measurement, free: Tensor, estimate: Tensor, filter_rounds: int
    ) -> list[Tensor]:
        """Say what the guide may say, several ways; which ones, the target decides."""
        straightness = self.channel.straightness
        filtered = channel.filtered(estimate, free, self._guided_filter, filter_rounds)
        found = []
        if straightness > 0:
            found += [self._sharpened(channel, filtered), self._stepped(channel, estimate)]
        if straightness < 1:
            found += [estimate, filtered]
        return found

    def _sharpened(self, channel: Measurement, x: Tensor) -> Tensor:
        return self._edges.sharpen(x, channel.y, channel.reduce, channel.valid)

    def _stepped(self, channel: Measurement, base: Tensor) -> Tensor:
        x = channel.stepped(base, self.guide, self.features)
        return self._wide_edges.sharpen(
            x, channel.y, channel.reduce, channel.valid, iterations=STEP_ITERATIONS
        )


def alone(channel: Measurement, rounds: int) -> Tensor:
    """Return (H, W) of a channel without a guide, in so many rounds."""
    return guide_free(channel, channel.estimate(None), channel.straightness, rounds)


def guide_free(channel: Measurement, estimate: Tensor, straightness: float, rounds: int) -> Tensor:
    """Do without the guide: by sparse blocks, or by straight edges where the target has such."""
    schedule = GUIDE_FREE(rounds=rounds)
    if straightness == 0:
        return channel.denoised(estimate, schedule)
    stepped = _smoothed(channel, channel.stepped(estimate, None, None))
    if straightness == 1:
        return stepped
    return torch.lerp(channel.denoised(estimate, schedule), stepped, straightness)


def with_hidden(channel: Measurement, seed: int) -> tuple[Measurement, Tensor]:
    """Return the measurement with a fifth hidden, and a mask of that fifth."""
    kept = hide(channel.valid, seed)
    return replace(channel, valid=kept), channel.valid - kept


def coarsened(channel: Measurement, shape: Shape) -> tuple[Measurement, Resampler]:
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


def _smoothed(channel: Measurement, x: Tensor) -> Tensor:
    """Lower the variation of (H, W) a little, the same everywhere."""
    everywhere = EdgeVariation(torch.zeros_like(x)[None])
    return everywhere.sharpen(
        x, channel.y, channel.reduce, channel.valid, iterations=SMOOTHING_ITERATIONS
    )
