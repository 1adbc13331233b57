"""How well a guide lies over a target: the score that registration is judged by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cmsr.guided.candidates import FINENESS
from cmsr.guided.channel import Channel, Level
from cmsr.guided.held_out import Error, kept_pixels
from cmsr.guided.source import KNOWN, Source
from cmsr.operators.resampling import Shape, resampler
from cmsr.priors.guide_features import whiten
from cmsr.priors.linear_model import level_of
from cmsr.registration.refinement import refine
from cmsr.registration.superpixels import superpixels
from cmsr.registration.transforms import Motion
from cmsr.registration.view import colours
from cmsr.sensor.imaging import Imaging

LONGEST = 200
"""Longer side of the target, in pixels, up to which it is aligned as it is; a larger one is reduced
to it, so that the cost stops growing. All warps are smooth in comparison."""

ITERATIONS = 8
"""Steps of conjugate gradients: enough to tell two places of the guide apart."""


@dataclass(frozen=True)
class AlignmentScore:
    """A problem for `cmsr.registration.coarse_to_fine.align`, scored by held-out pixels.

    Attributes
    ----------
    target, valid : Tensor, shape (h, w)
        The first channel, at the resolution that is enough.
    guide : Tensor, shape (G, H, W)
        At `FINENESS` pixels per one of the target.
    given : Tensor or None
        The user's segments of the guide, (H, W).
    """

    target: Tensor
    valid: Tensor
    guide: Tensor
    given: Tensor | None
    _partial: Channel
    _hidden: Tensor

    @classmethod
    def of(cls, source: Source, imaging: Imaging) -> AlignmentScore:
        """Bring a source to the resolution that is enough.

        Raises
        ------
        ValueError
            If there is no guide.
        """
        if source.guide is None:
            raise ValueError("there is no guide")
        pair, plan = source.pair, source.plan
        whole, device = plan.target, str(pair.target.device)
        share = min(1.0, LONGEST / max(whole))
        low = whole if share == 1 else (round(whole[0] * share), round(whole[1] * share))
        working = _working(low, plan.result)
        reduce = resampler(plan.result, whole, imaging.kernel, device)
        y, valid = pair.target[0, 0], pair.valid[0, 0]
        valid = valid * (source.guide.reduced_known(whole) > KNOWN).to(valid)
        kept = valid * source.kept
        if low != whole:
            smaller = resampler(whole, low, "bicubic", device)
            reduce = reduce.before(smaller)
            y, valid = smaller(y), (smaller(valid) > 0.99).to(y)
            kept = valid * _held_out_again(source, low)
        reduce = reduce.after(resampler(working, plan.result, "bicubic", device))
        channel = Channel(
            y=y,
            valid=kept,
            reduce=reduce,
            enlarge=resampler(low, working, "bilinear", device),
            ratio=working[0] / low[0] if source.ratio > FINENESS else source.ratio,
            iterations=ITERATIONS,
            level=Level(*level_of(y, kept)),
            noise=imaging.noise[0] * share,
        )
        guide = source.guide.reduced(working)
        return cls(y, valid, guide, pair.segments, channel, valid - kept)

    @property
    def ratio(self) -> float:
        """Pixels of ``guide`` per pixel of ``target``."""
        return self.guide.shape[-1] / self.target.shape[-1]

    def error(self, moved: Tensor) -> float:
        """Return how badly a moved guide (G, H, W) predicts held-out pixels, in dB."""
        return Error.of(self._predicted(moved), self.target, self._hidden).db

    def misfit(self, moved: Tensor) -> Tensor:
        """Return the same squared, pixel by pixel, 0 where nothing is held out, (h, w)."""
        return (self._predicted(moved) - self.target).square() * self._hidden

    def refine(self, moved: Tensor, start: Tensor | None = None) -> Motion:
        """Return the small warp that is left; see `cmsr.registration.refinement.refine`."""
        channel = self._partial
        return refine(self.target, channel.valid, channel.reduce, moved, channel.ratio, start)

    def segments(self, count: int) -> Tensor:
        """Return the user's segments of the guide, or else about ``count`` superpixels."""
        if self.given is not None:
            return self.given
        return superpixels(colours(self.guide), count)

    def _predicted(self, moved: Tensor) -> Tensor:
        channel = self._partial
        return channel.reduce(channel.estimate(whiten(moved, channel.ratio)))


def _working(low: Shape, result: Shape) -> Shape:
    """Return the size of the guide that is enough for a target of this size."""
    sides = [
        max(small, round(small * min(large / small, FINENESS)))
        for small, large in zip(low, result, strict=True)
    ]
    return sides[0], sides[1]


def _held_out_again(source: Source, low: Shape) -> Tensor:
    """Choose the pixels of a reduced target that are not held out."""
    return kept_pixels(torch.ones(low), source.config.seed).to(source.pair.target)
