"""One channel of a target, as a measurement of the scene that every explanation agrees with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from cmsr.guided.linear_model import estimate, witnessed
from cmsr.operators.resampling import CONSISTENCY, Resampler, project, resampler, shape_of
from cmsr.pair import Pair
from cmsr.priors.sparse_blocks import Schedule, denoise
from cmsr.priors.wedgelets import Wedgelets
from cmsr.sensor.imaging import Imaging

UNIT = 6.0
"""Standard deviations of a measurement that make 1 in the schedules below."""

NOISE_THRESHOLD, NOISE_VARIATION = 1.3, 0.1
"""Least threshold and weight of variation, in standard deviations of the target's noise; the former
per pixel of ratio, as noise of the target fills that many times as much of a block's coefficients.
"""

LEAST_ERROR = 0.05
"""Least variance of the estimate's error, in variances of the noise."""


class Level(NamedTuple):
    """What is the same for all parts of one image.

    Its mean and standard deviation, and the damping by which a result agrees within its noise.
    """

    mean: float
    contrast: float
    damping: float


@dataclass(frozen=True)
class Measurement:
    """One channel of a target: y (h, w), 1 where it was measured, how it was made, its noise.

    ``level`` is that of the image that it is a part of, where it is one; ``straight`` is its
    straightness, where that is known from before.
    """

    y: Tensor
    valid: Tensor
    reduce: Resampler
    ratio: float
    iterations: int
    noise: float = 0.0
    level: Level | None = None
    straight: float | None = None

    def estimate(self, features: Tensor | None) -> Tensor:
        """Return the local linear estimate (H, W); of the guide's part, what is witnessed."""
        smooth, explained = estimate(
            self.y,
            self.reduce,
            self.valid,
            features,
            self.ratio,
            iterations=self.iterations,
            noise=self.noise,
            level=self.level and self.level[:2],
        )
        if features is None:
            return smooth
        return self.consistent(smooth + self.witnessed(explained) * explained)

    def witnessed(self, detail: Tensor) -> Tensor:
        """Return where some detail (H, W) shows in the measurement as it should, from 0 to 1."""
        share = witnessed(self.y, self.valid, self.reduce(detail))
        return resampler(self.y.shape, detail.shape, "bilinear", str(self.y.device))(share)

    def stepped(self, base: Tensor, guide: Tensor | None, features: Tensor | None) -> Tensor:
        """Draw straight, sharp edges over ``base`` (H, W); the estimate adds what they miss."""
        x = Wedgelets(self.y, self.valid, self.reduce).expected(base, guide)
        return x + replace(self, y=self.y - self.reduce(x)).estimate(features)

    @cached_property
    def straightness(self) -> float:
        """How far the target consists of straight, sharp edges, from 0 to 1."""
        if self.straight is not None:
            return self.straight
        return Wedgelets(self.y, self.valid, self.reduce).straightness()

    def consistent(self, x: Tensor) -> Tensor:
        """Make (H, W) agree with the measurement, within its noise."""
        damping = self.level.damping if self.level else self.damping(x)
        return project(x, self.y, self.reduce, self.valid, damping)

    def denoised(self, x: Tensor, schedule: Schedule) -> Tensor:
        """Alternate denoising and consistency."""
        for phase, threshold in enumerate(schedule.thresholds()):
            x = self.consistent(denoise(x, *self.strengths(threshold, schedule.variation), phase))
        return x

    def filtered(
        self, x: Tensor, free: Tensor, guided: Callable[[Tensor], Tensor], rounds: int
    ) -> Tensor:
        """Alternate a guided filter and consistency; unwitnessed detail gives way to ``free``."""
        for _ in range(rounds):
            smooth = guided(x)
            x = self.consistent(torch.lerp(free, smooth, self.witnessed(smooth)))
        return x

    def strengths(self, threshold: float, variation: float) -> tuple[float, float]:
        """Return a schedule's numbers in units of the data, no lower than the noise asks for."""
        unit = UNIT * (self.level.contrast if self.level else float(self.y.std()))
        least = NOISE_THRESHOLD * self.ratio * self.noise
        return max(threshold * unit, least), max(variation * unit, NOISE_VARIATION * self.noise)

    def damping(self, x: Tensor) -> float:
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


def measurements(pair: Pair, imaging: Imaging, iterations: int) -> list[Measurement]:
    """Take a pair's target apart into its channels."""
    reduce = resampler(pair.shape, shape_of(pair.target), imaging.kernel, str(pair.target.device))
    return [
        Measurement(y, pair.valid[0, 0], reduce, max(pair.ratio), iterations, noise)
        for y, noise in zip(pair.target[0], imaging.noise, strict=True)
    ]
