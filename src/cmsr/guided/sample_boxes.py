"""Which parts of a large target its calibration is made from."""

from __future__ import annotations

from collections.abc import Sequence

from cmsr.guided.calibration import ChannelCalibration
from cmsr.guided.source import Sample, Source
from cmsr.operators.resampling import Box, Kernel
from cmsr.pair import Pair

SAMPLE, LEAST_SAMPLE = 384, 48
"""Side of a sample, of which there are at most four: in pixels of the result, and in those of the
target at least. One holds as many pixels as the smallest images that held-out pixels were tried
on."""


def sample_boxes(source: Source) -> list[Box]:
    """Choose the boxes of the target that a calibration is made from."""
    if len(source.plan) == 1:
        return [source.whole]
    sides = [
        min(small, max(LEAST_SAMPLE, round(SAMPLE * small / large)))
        for small, large in zip(source.plan.target, source.plan.result, strict=True)
    ]
    return [box for _, box in ranked(source.pair, (sides[0], sides[1]))]


def samples_of(
    source: Source, kernel: Kernel, channels: Sequence[ChannelCalibration]
) -> dict[Box, Sample]:
    """Return the boxes that a calibration is made on, nothing made of them yet."""
    return {box: source.sample(box, kernel, channels) for box in sample_boxes(source)}


def ranked(pair: Pair, sides: tuple[int, int]) -> list[tuple[float, Box]]:
    """Find, in each quarter of a target, the box with the most contrast; the best comes first."""
    (down, across), y, valid = sides, pair.target[0].mean(0), pair.valid[0].amin(0)
    height, width = y.shape
    best: dict[tuple[bool, bool], tuple[float, Box]] = {}
    for top in range(0, max(1, height - down + 1), max(1, down // 2)):
        for left in range(0, max(1, width - across + 1), max(1, across // 2)):
            box = (top, left, min(top + down, height), min(left + across, width))
            part, seen = (x[box[0] : box[2], box[1] : box[3]] for x in (y, valid))
            score = float(part.std() * seen.mean())
            quarter = 2 * top + down > height, 2 * left + across > width
            best[quarter] = max(best.get(quarter, (-1.0, box)), (score, box))
    return sorted(best.values(), reverse=True)
