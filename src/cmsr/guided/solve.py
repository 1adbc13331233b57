"""The method without training: where the guide lies, then every channel on trial with it."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.guided.candidates import Trial, alone, coarsened, with_hidden
from cmsr.guided.channel import Measurement, measurements
from cmsr.guided.held_out import LEAST_TRUST, Finding, error_db
from cmsr.guided.linear_model import whiten
from cmsr.pair import Pair
from cmsr.parallel import both
from cmsr.registration.alignment import Alignment, Tear, align
from cmsr.registration.refinement import refine
from cmsr.registration.superpixels import superpixels
from cmsr.registration.transforms import Motion
from cmsr.sensor.imaging import Imaging
from cmsr.solution import Solution

HELD_OUT_ROUNDS = 3 / 8
"""Rounds without the guide where pixels are hidden, per one with the whole target."""

FILTER_ROUNDS = 6
"""Rounds of the guided filter."""


class Solved(NamedTuple):
    """One channel: image and the guide's weight, both (H, W); what was found out about it."""

    image: Tensor
    weight: Tensor
    finding: Finding


def solve(pair: Pair, imaging: Imaging, config: Config) -> Solution:
    """Estimate the target at the result's resolution.

    Parameters
    ----------
    pair : Pair
        The guide may lie elsewhere, as far as `cmsr.registration.coarse_search.search` reaches.
    imaging : Imaging
        How the target was made.
    config : Config
        ``solver_iterations``, ``align``, ``seed`` (which pixels are hidden).

    Returns
    -------
    Solution
        Normalised as the pair's target is.
    """
    channels = measurements(pair, imaging, config.solver_iterations)
    alignment, frees = both(
        lambda: _alignment(pair, imaging, config),
        lambda: [alone(c, config.denoising_rounds) for c in channels],
    )
    if pair.guide is None or alignment is None or alignment.refused:
        unused = torch.zeros_like(frees[0])
        return Solution(torch.stack(frees)[None], unused, pair.guide, alignment)
    guide, seen = alignment.apply(pair.guide[0]), alignment.seen(device=pair.guide.device)
    solved = [
        _guided(channel, free, guide, seen, config)
        for channel, free in zip(channels, frees, strict=True)
    ]
    return joined(solved, guide, alignment)


def _alignment(pair: Pair, imaging: Imaging, config: Config) -> Alignment | None:
    if pair.guide is None:
        return None
    if config.align == "off":
        return Alignment(pair.shape)
    return aligned(pair, imaging, config)


def aligned(pair: Pair, imaging: Imaging, config: Config) -> Alignment:
    """Find where the guide lies, as long as hidden pixels are predicted better."""
    judge = Judge(pair, imaging, config)
    found = align(
        judge.channel.y,
        judge.channel.valid,
        judge.guide,
        judge.error,
        judge.misfit,
        judge.finest,
        deformable=config.align != "affine",
        tear=_tear(config),
        segmented=lambda count: _segments(pair, count),
        glance=pair.segments is None,
    )
    return replace(found, size=pair.shape)


def _tear(config: Config) -> Tear:
    if config.align == "segments":
        return "yes"
    return "proven" if config.align == "auto" else "no"


def _segments(pair: Pair, count: int) -> Tensor:
    """Return the user's segments of the guide, or else about ``count`` superpixels."""
    colours = pair.photo.expand(3, -1, -1)
    return pair.segments if pair.segments is not None else superpixels(colours, count)


class Judge:
    """What a place of the guide is judged by: hidden pixels of the first channel.

    Attributes
    ----------
    channel : Measurement
        At the resolution that is enough for it.
    guide : Tensor, shape (G, H, W)
        At the same.
    """

    def __init__(self, pair: Pair, imaging: Imaging, config: Config) -> None:
        whole = measurements(pair, imaging, config.solver_iterations)[0]
        self.channel, shrink = coarsened(whole, pair.shape)
        self.guide = shrink(pair.photo)
        self._partial, self._hidden = with_hidden(self.channel, config.seed)

    def error(self, at: Tensor) -> float:
        """Return how badly a moved guide predicts hidden pixels, in dB."""
        return error_db(self._predicted(at), self.channel.y, self._hidden)

    def misfit(self, at: Tensor) -> Tensor:
        """Return the same squared, pixel by pixel, 0 where nothing is hidden."""
        return (self._predicted(at) - self.channel.y).square() * self._hidden

    def finest(self, at: Tensor, start: Tensor | None = None) -> Motion:
        """Return the small warp that is left; see `cmsr.registration.refinement.refine`."""
        channel = self.channel
        return refine(channel.y, self._partial.valid, channel.reduce, at, channel.ratio, start)

    def _predicted(self, at: Tensor) -> Tensor:
        return self.channel.reduce(self._partial.estimate(whiten(at, self.channel.ratio)))


def _guided(
    channel: Measurement, free: Tensor, guide: Tensor, seen: Tensor, config: Config
) -> Solved:
    """Solve a channel with the guide's help; ``free`` (H, W) is the image without."""
    trial = Trial(channel, guide, seen, config.seed)
    if trial.trust < LEAST_TRUST:
        return Solved(free, torch.zeros_like(free), trial.finding)
    rounds = held_out_rounds(config)
    predicted, guided = both(
        lambda: trial.held_out(rounds, FILTER_ROUNDS),
        lambda: trial.explained(free, FILTER_ROUNDS),
    )
    return Solved(*trial.mixed(free, guided, *trial.weighed(predicted)), trial.finding)


def held_out_rounds(config: Config) -> int:
    """Return the rounds without the guide where pixels are hidden."""
    return round(HELD_OUT_ROUNDS * config.denoising_rounds)


def joined(solved: list[Solved], guide: Tensor, alignment: Alignment) -> Solution:
    """Put the channels of a result together."""
    images, weights, findings = zip(*solved, strict=True)
    weight = torch.stack(weights).mean(0)
    return Solution(torch.stack(images)[None], weight, guide[None], alignment, findings=findings)
