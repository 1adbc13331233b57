"""Residual transfer: add to the result the detail of the guide that the guide-free method loses.

The guide is reduced as the target was, then enlarged by the guide-free method. The difference from
the original guide is the kind of detail that the target's result lacks. A local regression of the
target's gradients on the guide's, both restored by the guide-free method, scales it to the target.
The addition does not change the measured pixels, so held-out pixels cannot set its strength. That
is fitted to pairs with a known truth, and lowered where the guide's edges match the target's hardly
better in place than displaced.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from cmsr.guided.channel import GUIDE_FREE, Channel, Damping, Level
from cmsr.operators.gaussian import blur
from cmsr.priors.sparse_blocks import gradients

SOFTENING = 0.18
"""Width by which the guide is blurred first, in pixels of the target: it is sharper than what a
thermal camera would see at its resolution. Chosen, as all numbers here, on 18 thermal pairs at ×4
(EXPERIMENTS.md); `benchmarks/fit_transfer.py` measures what others bring."""

ROUNDS = 6
"""Rounds of denoising that restore the guide; 32 bring no more."""

WIDE, NARROW = 3.0, 0.7
"""Widths of the two windows of the regression, in pixels of the target. The smaller slope counts:
the wide one is steadier, the narrow one does not take a flat object for its border."""

STRENGTH = 0.8
"""Share of the detail that is added where the guide fits well."""

ADVANTAGE = (0.25, 0.65)
"""By what share of it the explanation falls beside its place, from where the guide's detail begins
to count, and from where it counts in full."""

BESIDE = 1.5
"""How far beside, in pixels of the target."""

TINY = 1e-6
"""Least power of a gradient, in normalised units."""


class Lesson(NamedTuple):
    """The guide's brightness (H, W) as it is restored without help, and what that misses."""

    restored: Tensor
    missed: Tensor

    @classmethod
    def of(cls, brightness: Tensor, channel: Channel, level: Level) -> Lesson:
        """Reduce the guide as a channel's target was, and restore it.

        Parameters
        ----------
        brightness : Tensor, shape (H, W)
            See `brightness_of`.
        channel : Channel
            How the target was made.
        level : Level
            Of the reduced guide in the whole image.
        """
        y = channel.reduce(brightness)
        same = replace(
            channel,
            y=y,
            valid=torch.ones_like(y),
            level=level,
            noise=0.0,
            damping=Damping(),
            others=channel.others and channel.others.looking_at(brightness),
        )
        restored = same.denoised(same.estimate(None), GUIDE_FREE(rounds=ROUNDS))
        return cls(restored, brightness - restored)


class Fit(NamedTuple):
    """Regression of the target's gradients on the guide's, as sums over some tiles."""

    total: float
    explained: float
    beside: tuple[float, ...]

    @classmethod
    def of(cls, free: Tensor, lesson: Lesson, ratio: float) -> Fit:
        """Compare a guide with an image without it (H, W), in place and at four places beside."""
        ours, theirs = gradients(free), gradients(lesson.restored)
        step = max(1, round(BESIDE * ratio))
        places = ((0, 0), (0, step), (step, 0), (0, -step), (-step, 0))
        here, *others = (
            float(_slope(ours, theirs.roll(place, (-2, -1)), WIDE * ratio).explained.sum())
            for place in places
        )
        return cls(float(ours.square().sum()), here, tuple(others))

    @classmethod
    def pooled(cls, tiles: list[Fit]) -> Fit:
        """Return the sums over several tiles."""
        beside = zip(*(tile.beside for tile in tiles), strict=True)
        return cls(
            sum(tile.total for tile in tiles),
            sum(tile.explained for tile in tiles),
            tuple(sum(values) for values in beside),
        )

    @property
    def weight(self) -> float:
        """How far the guide's detail counts in the whole image, 0 to 1."""
        low, high = ADVANTAGE
        if self.explained <= TINY * self.total:
            return 0.0
        advantage = 1 - max(self.beside) / self.explained
        return min(1.0, max(0.0, (advantage - low) / (high - low)))


class _Slope(NamedTuple):
    """Regression of one image's gradients on another's, window by window, (H, W) each."""

    common: Tensor
    power: Tensor

    @property
    def explained(self) -> Tensor:
        return self.common.square() / self.power


def transferred(free: Tensor, lesson: Lesson, channel: Channel) -> Tensor:
    """Return the detail (H, W) that a guide adds to an image (H, W) without it."""
    ours, theirs = gradients(free), gradients(lesson.restored)
    wide, narrow = (_slope(ours, theirs, width * channel.ratio) for width in (WIDE, NARROW))
    slope = wide.common / wide.power
    share = (narrow.common / narrow.power / (slope + TINY * slope.sign())).clamp(0, 1)
    power = blur(ours.square().sum(0), WIDE * channel.ratio) + TINY
    correlation = (wide.explained / power).clamp(0, 1).sqrt()
    detail = share * slope * correlation * lesson.missed
    return channel.unseen(detail)


def brightness_of(guide: Tensor, ratio: float) -> Tensor:
    """Return the brightness (H, W) of a guide (G, H, W), as soft as the target's details are."""
    return blur(guide.mean(0), SOFTENING * ratio)


def _slope(ours: Tensor, theirs: Tensor, width: float) -> _Slope:
    common, power = blur(torch.stack([(ours * theirs).sum(0), theirs.square().sum(0)]), width)
    return _Slope(common, power + TINY)
