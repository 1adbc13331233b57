"""One channel of a target as a measurement of the scene, which every candidate agrees with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cmsr.guided.joint import Joint
from cmsr.operators.resampling import CONSISTENCY, Resampler, Shape, project
from cmsr.priors.edge_labels import EdgeLabels
from cmsr.priors.learned import Prior
from cmsr.priors.linear_model import estimate, supported
from cmsr.priors.sparse_blocks import Schedule, denoise
from cmsr.priors.wedgelets import Wedgelets

GUIDE_FREE = partial(Schedule, first=0.3, last=0.02, variation=0.004, power=0.5)
"""Denoising without a guide."""

UNIT = 6.0
"""Standard deviations of a measurement that make 1 in the schedules below."""

NOISE_THRESHOLD, NOISE_VARIATION = 1.3, 0.1
"""Least threshold and weight of variation, in standard deviations of the target's noise; the former
per pixel of ratio, as noise of the target fills that many times as much of a block's coefficients.
"""

STRICTNESS = 1.5
"""Power of the share of detail that the measurement supports, where a guide is trusted: texture
in a flat object falls from 1.4 to 1.1 % of its amplitude, near-infrared loses .03 dB."""
FEWER = 0.25
"""Power of the number of frames by which what counts as noise of a fused image is less."""

LEAST_ERROR = 0.05
"""Least variance of the estimate's error, in variances of the noise."""


class Level(NamedTuple):
    """Mean and standard deviation of a channel of an image, of all of its tiles alike."""

    mean: float
    contrast: float


Dampings = Mapping[str, Sequence[tuple[float, float]]]
"""For each kind of projection: thresholds of denoising (0 elsewhere), and the damping at each."""


class Damping:
    """How far each projection lets its result stay off a noisy measurement.

    It is measured on the image in hand and noted, or taken from what was noted in samples.
    """

    def __init__(self, known: Dampings | None = None) -> None:
        self._known = known
        self.noted: dict[str, list[tuple[float, float]]] = {}

    def of(self, kind: str, at: float, measure: Callable[[], float]) -> float:
        """Return the damping of one projection, see `cmsr.operators.resampling.project`."""
        if self._known is None:
            value = measure()
            self.noted.setdefault(kind, []).append((at, value))
            return value
        places, values = zip(*self._known.get(kind, ((0.0, CONSISTENCY),)), strict=True)
        return float(np.interp(at, places, values))


def pooled_dampings(noted: Iterable[Damping]) -> dict[str, list[tuple[float, float]]]:
    """Return the mean of what was noted, by kind and place, ascending."""
    values: dict[str, dict[float, list[float]]] = {}
    for each in noted:
        for kind, points in each.noted.items():
            for at, value in points:
                values.setdefault(kind, {}).setdefault(at, []).append(value)
    return {
        kind: [(at, sum(some) / len(some)) for at, some in sorted(places.items())]
        for kind, places in values.items()
    }


@dataclass(frozen=True)
class Channel:
    """One channel of a target, or of a tile of it.

    Attributes
    ----------
    y : Tensor, shape (h, w)
        Measurement, normalised.
    valid : Tensor, shape (h, w)
        1 where it was measured.
    reduce, enlarge : Resampler
        The imaging operator, (H, W) to (h, w), and bilinear interpolation the other way.
    ratio : float
        Pixels of the result per pixel of the target.
    iterations : int
        Steps of conjugate gradients.
    level : Level
        Of the whole image.
    noise : float
        Standard deviation of the noise of ``y``.
    damping : Damping
        How far results may stay off the measurement for its noise.
    origin : (int, int)
        Where the tile begins in the result.
    prior : Prior or None
        What was learned from other images, if it is asked for.
    others : Joint or None
        What other frames of a series measured, if they take part.
    """

    y: Tensor
    valid: Tensor
    reduce: Resampler
    enlarge: Resampler
    ratio: float
    iterations: int
    level: Level
    noise: float = 0.0
    damping: Damping = field(default_factory=Damping)
    origin: Shape = (0, 0)
    prior: Prior | None = None
    others: Joint | None = None

    def estimate(self, features: Tensor | None, trusting: bool = False) -> Tensor:
        """Return the local linear estimate (H, W); of the guide's part, what is supported.

        ``trusting`` is for a guide that proved itself, see `supported`.
        """
        smooth, explained = estimate(
            self.y,
            self.reduce,
            self.valid,
            features,
            self.ratio,
            iterations=self.iterations,
            noise=self.noise,
            level=self.level,
        )
        if features is None:
            return smooth
        share = self.supported(explained, trusting)
        return self.consistent(smooth + share * explained, "estimate")

    def supported(self, detail: Tensor, trusting: bool) -> Tensor:
        """Return how far some detail (H, W) shows in the measurement as it should, 0 to 1.

        ``trusting`` is for what more features explain: it must show more clearly, see `STRICTNESS`.
        """
        share = supported(self.y, self.valid, self.reduce(detail), self.level.contrast)
        return self.enlarge(share**STRICTNESS if trusting else share)

    def stepped(self, base: Tensor, guide: Tensor | None, features: Tensor | None) -> Tensor:
        """Draw straight, sharp edges over ``base`` (H, W); the estimate adds what they miss."""
        x = Wedgelets(self.y, self.valid, self.reduce).expected(base, guide)
        level = self.level._replace(mean=0.0)
        return x + replace(self, y=self.y - self.reduce(x), level=level).estimate(features)

    def settled(
        self, x: Tensor, straightness: float, guide: Tensor | None, trust: Tensor
    ) -> Tensor:
        """Make soft steps of ``x`` (H, W) sharp, as far as the target consists of straight ones.

        ``guide`` (G, H, W) tells what belongs together as far as ``trust`` (H, W) in it goes.
        """
        if straightness == 0:
            return x
        labels = EdgeLabels(self.y, self.valid, self.reduce, self.enlarge, self.ratio)
        sharp = labels.settled(x, guide, trust)
        return x if sharp is x else self.consistent(torch.lerp(x, sharp, straightness))

    def consistent(self, x: Tensor, kind: str = "mixture", at: float = 0.0) -> Tensor:
        """Make (H, W) agree with the measurement, within its noise, and with other frames'."""
        if self.others is not None and kind != "estimate":
            damping = self.others.damping if kind == "denoised" else likeliest_damping(self, x)
            return self.others.project(x, self.y, self.reduce, self.valid, self.ratio, damping)
        damping = CONSISTENCY
        if self.noise:
            damping = self.damping.of(kind, at, lambda: likeliest_damping(self, x))
        return project(x, self.y, self.reduce, self.valid, damping)

    def unseen(self, change: Tensor) -> Tensor:
        """Return what the sensor does not see of a change (H, W) of an image, in any frame."""
        if self.others is not None:
            none, blind = torch.zeros_like(self.y), self.others.looking_at(torch.zeros_like(change))
            return blind.project(change, none, self.reduce, self.valid, self.ratio, blind.damping)
        return project(change, torch.zeros_like(self.y), self.reduce, self.valid)

    def denoised(self, x: Tensor, schedule: Schedule) -> Tensor:
        """Alternate denoising and consistency."""
        for phase, threshold in enumerate(schedule.thresholds()):
            strengths = self.strengths(threshold, schedule.variation)
            smooth = denoise(x, *strengths, phase, self.origin)
            x = self.consistent(smooth, "denoised", threshold)
        return x

    def filtered(
        self,
        x: Tensor,
        free: Tensor,
        guided: Callable[[Tensor], Tensor],
        rounds: int,
        trusting: bool = False,
    ) -> Tensor:
        """Alternate a guided filter and consistency; unsupported detail gives way to ``free``."""
        for _ in range(rounds):
            smooth = guided(x)
            share = self.supported(smooth, trusting)
            x = self.consistent(torch.lerp(free, smooth, share), "filtered")
        return x

    def learned(self, x: Tensor, flips: int) -> Tensor:
        """Sharpen an image (H, W) without a guide by what was learned from other images."""
        if self.prior is None:
            return x
        seen = self.enlarge(self.reduce(x))
        sharp = self.prior.sharpened(x, seen, self.ratio, self.origin, flips)
        return self.consistent(sharp, "learned")

    def strengths(self, threshold: float, variation: float) -> tuple[float, float]:
        """Return a schedule's numbers in units of the data, no lower than the noise asks for."""
        unit = UNIT * self.level.contrast
        noise = self.noise if self.others is None else self.noise / self.others.frames**FEWER
        least = NOISE_THRESHOLD * self.ratio * noise
        return max(threshold * unit, least), max(variation * unit, NOISE_VARIATION * noise)


def likeliest_damping(channel: Channel, x: Tensor) -> float:
    """Weigh the noise of a measurement against what ``x`` (H, W) is off.

    The residual's variance is that of the noise plus that of the image's error, as the operator
    passes it on; the ratio of the two is the damping for which `project` does what is likeliest
    (empirical Bayes).
    """
    y, reduce, noise = channel.y, channel.reduce, channel.noise
    residual = (y - reduce(x)) * channel.valid
    variance = float(residual.square().sum() / channel.valid.sum().clamp(min=1))
    error = max(variance - noise**2, LEAST_ERROR * noise**2)
    sign = torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).sign()
    passed_on = float(reduce.transpose(sign.to(y)).square().sum() / sign.numel())
    return CONSISTENCY + noise**2 * passed_on / error
