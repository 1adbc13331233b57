"""A result cut into tiles that overlap and fade into each other.

The plan depends on the sizes of target and result alone. A small result is one tile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from cmsr.operators.resampling import Box, Kernel, Resampler, Shape, Window, resampler

SIDE = 640
"""Side of a tile without its overlap, about, in pixels of the result. Larger tiles spend less on
their overlap and more on the dense products along their axes; 640 costs the least per pixel."""

LEAST_SIDE = 64
"""The same at least, in pixels of the target."""

OVERLAP = 20
"""Pixels of the target beyond a seam that a tile is computed from. Moving the plan by half a tile
changes a result by less than 1e-4 of its span with it."""

FADE = 4
"""Pixels of the target on each side of a seam over which two tiles fade into each other."""

SLACK = 8
"""Pixels of the target by which a seam may move to where pixels of both grids begin together."""


class Tile(NamedTuple):
    """A part of the target, and the larger part that it is computed from."""

    core: Box
    outer: Box


@dataclass(frozen=True)
class Plan:
    """Where a result is cut.

    Attributes
    ----------
    target, result : (int, int)
        Heights and widths.
    seams : (rows, columns) of tuples of int
        Where tiles begin and end along both axes, in pixels of the target, borders included.
    """

    target: Shape
    result: Shape
    seams: tuple[tuple[int, ...], tuple[int, ...]]

    @classmethod
    def of(cls, target: Shape, result: Shape, shift: float = 0.0) -> Plan:
        """Cut a result into tiles of about `SIDE` pixels, moved by a share of a tile."""
        rows, columns = (
            _seams(small, large, shift) for small, large in zip(target, result, strict=True)
        )
        return cls(target, result, (rows, columns))

    def __len__(self) -> int:
        """Return the number of tiles."""
        return (len(self.seams[0]) - 1) * (len(self.seams[1]) - 1)

    def bands(self) -> Iterator[list[Tile]]:
        """Yield rows of tiles from top to bottom, each from left to right."""
        rows, columns = self.seams
        for top, bottom in pairwise(rows):
            cores = [(top, left, bottom, right) for left, right in pairwise(columns)]
            yield [Tile(core, self._around(core)) for core in cores]

    def row_parts(self) -> Iterator[tuple[int, int]]:
        """Yield where rows of tiles begin and end, in pixels of the target."""
        yield from pairwise(self.seams[0])

    def _around(self, core: Box) -> Box:
        """Add the overlap to a tile."""
        top, left, bottom, right = core
        (height, width), (down, across) = self.target, zip(self.target, self.result, strict=True)
        return (
            _coincident(max(0, top - OVERLAP), *down),
            _coincident(max(0, left - OVERLAP), *across),
            _coincident(min(height, bottom + OVERLAP), *down),
            _coincident(min(width, right + OVERLAP), *across),
        )

    def fine(self, box: Box) -> Box:
        """Return a box of the target in pixels of the result."""
        (h, w), (big_h, big_w) = self.target, self.result
        top, left, bottom, right = box
        return (
            round(top * big_h / h),
            round(left * big_w / w),
            round(bottom * big_h / h),
            round(right * big_w / w),
        )

    def reducer(self, box: Box, kernel: Kernel, device: str) -> Resampler:
        """Return the imaging operator of a box of the target."""
        return resampler(self.result, self.target, kernel, device, Window(self.fine(box), box))

    def enlarger(self, box: Box, device: str) -> Resampler:
        """Return bilinear interpolation from a box of the target to the result."""
        window = Window(box, self.fine(box))
        return resampler(self.target, self.result, "bilinear", device, window)


def _seams(small: int, large: int, shift: float) -> tuple[int, ...]:
    side = max(SIDE, LEAST_SIDE * large / small)
    count = max(1, round(large / side))
    if count == 1:
        return 0, small
    places = [small * (i + shift) / count for i in range(0 if shift else 1, count)]
    return 0, *(_coincident(round(place), small, large) for place in places), small


def _coincident(place: int, small: int, large: int) -> int:
    """Move a place on an axis of the target to where a pixel of the result begins, or nearly so."""
    if place in (0, small):
        return place

    def cost(at: int) -> tuple[float, int]:
        exact = at * large / small
        return round(abs(exact - round(exact)), 6), abs(at - place)

    near = range(max(1, place - SLACK), min(small - 1, place + SLACK) + 1)
    return min(near, key=cost)


class Strip:
    """Rows of a result under work: tiles added with fading borders, whose weights sum to one."""

    def __init__(self, plan: Plan, layers: int) -> None:
        self._plan, self._first = plan, 0
        self._values = torch.zeros(layers, 0, plan.result[1])

    def add(self, tile: Tile, layers: Tensor) -> None:
        """Add one tile's layers (L, H, W)."""
        top, left, bottom, right = self._plan.fine(tile.outer)
        missing = bottom - self._first - self._values.shape[1]
        if missing > 0:
            empty = self._values.new_zeros(len(layers), missing, self._values.shape[2])
            self._values = torch.cat([self._values, empty], 1)
        rows, cols = (self._ramp(tile, axis) for axis in (0, 1))
        done = max(0, self._first - top)
        inside = self._values[:, top + done - self._first : bottom - self._first, left:right]
        inside += layers[:, done:].cpu() * (rows[done:, None] * cols)

    def _ramp(self, tile: Tile, axis: int) -> Tensor:
        """Weights from 0 to 1 across each seam along an axis."""
        core, outer = self._plan.fine(tile.core), self._plan.fine(tile.outer)
        fade = FADE * self._plan.result[axis] / self._plan.target[axis]
        place = torch.arange(outer[axis], outer[axis + 2]) + 0.5
        ramp = torch.ones(len(place))
        if core[axis] > 0:
            ramp *= ((place - core[axis]) / (2 * fade) + 0.5).clamp(0, 1)
        if core[axis + 2] < self._plan.result[axis]:
            ramp *= ((core[axis + 2] - place) / (2 * fade) + 0.5).clamp(0, 1)
        return ramp

    def finished(self, band: list[Tile]) -> tuple[int, Tensor]:
        """Take off, from the top, the rows that no later band adds to: the first one, layers."""
        end = self._plan.fine(band[0].core)[2]
        if end < self._plan.result[0]:
            end -= math.ceil(FADE * self._plan.result[0] / self._plan.target[0]) + 1
        count = end - self._first
        done, self._values = self._values[:, :count], self._values[:, count:]
        first, self._first = self._first, end
        return first, done
