"""From a calibration to the image: tile by tile, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from cmsr.guided.calibration import Calibration
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
    """

    first: int
    image: Tensor
    weight: Tensor


def solve(
    source: Source, box: Box, calibration: Calibration, sample: Sample | None = None
) -> tuple[Tensor, Tensor]:
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

    Returns
    -------
    image : Tensor, shape (C, H, W)
        Normalised as the target is.
    weight : Tensor, shape (H, W)
        The guide's weight, 0 to 1.
    """
    found = sample or source.sample(box, calibration.imaging.kernel, calibration.channels)
    view = found.view
    if view is None and calibration.guided:
        view = source.view(box, calibration)
    images, weights = [], []
    for candidates, channel in zip(found.candidates, calibration.channels, strict=True):
        rounds = channel.rounds, channel.held_out_rounds
        if view is None:
            image = candidates.unguided(rounds, channel.prior)
            weight = torch.zeros_like(image)
        elif not channel.guided:
            free = candidates.unguided(rounds, channel.prior)
            image, weight = candidates.taught(view, free, channel.transfer)
        else:
            image, weight = candidates.mixed(
                view,
                rounds,
                torch.tensor(channel.errors),
                channel.weight,
                channel.transfer,
                channel.prior,
            )
        images.append(limited(image, weight, candidates.channel))
        weights.append(weight)
    return torch.stack(images), torch.stack(weights).mean(0)


def layers(
    source: Source, box: Box, calibration: Calibration, sample: Sample | None = None
) -> Tensor:
    """Make one tile as `solve` does; return image and weight as one tensor, (C + 1, H, W)."""
    image, weight = solve(source, box, calibration, sample)
    return torch.cat([image, weight[None]])


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
    strip = Strip(source.plan, len(calibration.channels) + 1)
    for band in bands:
        for tile in band:
            strip.add(tile, next(results))
            done += 1
            if progress:
                progress(SOLVING, done, len(source.plan), 0.0)
        first, finished = strip.finished(band)
        yield Rows(first, finished[:-1], finished[-1])
