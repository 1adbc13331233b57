"""From a calibration to the image: tile by tile, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from cmsr.guided.calibration import Calibration
from cmsr.guided.expected_error import Traces
from cmsr.guided.overshoot import limited
from cmsr.guided.source import Sample, Source
from cmsr.operators.resampling import Box
from cmsr.parallel import in_order
from cmsr.progress import SOLVING, Progress, begin
from cmsr.tiling import Strip, Tile

TileMaker = Callable[[Source, Calibration], Iterator[Tensor]]
"""Yields the `layers` of each tile of a source's plan, in order."""


class Rows(NamedTuple):
    """Some rows of a result.

    Attributes
    ----------
    first : int
        The uppermost one.
    image : Tensor, shape (C, n, W)
        Normalised as the target is.
    weight : Tensor, shape (n, W)
        The guide's weight, 0 to 1.
    error : Tensor, shape (C, n, W), or None
        Expected absolute error of the image; None where nobody knows.
    """

    first: int
    image: Tensor
    weight: Tensor
    error: Tensor | None = None


class Solution(NamedTuple):
    """A tile of a result: image and its expected error (C, H, W), the guide's weight (H, W)."""

    image: Tensor
    error: Tensor
    weight: Tensor


def solve(
    source: Source, box: Box, calibration: Calibration, sample: Sample | None = None
) -> Solution:
    """Make one tile of a result.

    Parameters
    ----------
    source : Source
        Target and guide.
    box : Box
        The part of the target that the tile is computed from.
    calibration : Calibration
        What is the same for all tiles.
    sample : Sample, optional
        This very tile, where the calibration was made on it.
    """
    found = sample or source.sample(box, calibration.imaging.kernel, calibration.channels)
    view = found.view
    if view is None and calibration.guided:
        view = source.view(box, calibration)
    images, errors, weights = [], [], []
    for candidates, channel in zip(found.candidates, calibration.channels, strict=True):
        gain = None
        rounds = channel.rounds, channel.held_out_rounds
        if view is None:
            image = candidates.unguided(rounds, channel.prior)
            weight = torch.zeros_like(image)
        elif not channel.guided:
            free = candidates.unguided(rounds, channel.prior)
            image, weight = candidates.taught(view, free, channel.transfer)
        else:
            held_out = torch.tensor(channel.errors)
            share = channel.weight, channel.transfer, channel.prior
            image, weight = candidates.mixed(view, rounds, held_out, *share)
            gain = candidates.local_gain(view, rounds[1], held_out, channel.weight)
        guide = None if view is None else view.guide
        image = candidates.channel.settled(image, channel.straightness, guide, weight)
        images.append(limited(image, weight, candidates.channel))
        traces = Traces.of(images[-1], candidates.channel, channel.evenness, gain)
        errors.append(traces.error())
        weights.append(weight)
    return Solution(torch.stack(images), torch.stack(errors), torch.stack(weights).mean(0))


def layers(
    source: Source, box: Box, calibration: Calibration, sample: Sample | None = None
) -> Tensor:
    """Make one tile as `solve` does; return it as one tensor, (2 C + 1, H, W), the weight last."""
    image, error, weight = solve(source, box, calibration, sample)
    return torch.cat([image, error, weight[None]])


def layer_count(channels: int) -> int:
    """Return how many layers a tile of so many channels has, see `layers`."""
    return 2 * channels + 1


def rows(
    source: Source,
    calibration: Calibration,
    samples: dict[Box, Sample] | None = None,
    progress: Progress | None = None,
    tiles_at_once: int = 1,
    maker: TileMaker | None = None,
) -> Iterator[Rows]:
    """Make a result from top to bottom.

    The bytes of it do not depend on how many tiles are under way, nor where they are made: by
    threads of this process unless there is a ``maker``.
    """
    known, done = dict(samples or {}), 0

    def made(tile: Tile) -> Tensor:
        return layers(source, tile.outer, calibration, known.pop(tile.outer, None))

    bands = list(source.plan.bands())
    begin(progress, SOLVING, len(source.plan))
    if maker is None:
        tasks = [partial(made, tile) for band in bands for tile in band]
        results = in_order(tasks, tiles_at_once)
    else:
        results = maker(source, calibration)
    count = len(calibration.channels)
    strip = Strip(source.plan, layer_count(count))
    for band in bands:
        for tile in band:
            strip.add(tile, next(results))
            done += 1
            if progress:
                progress(SOLVING, done, len(source.plan), 0.0)
        first, finished = strip.finished(band)
        yield Rows(first, finished[:count], finished[-1], finished[count:-1])
