"""A result cut into tiles that overlap and are faded into each other.

They begin and end where pixels of target and result do, so that each is an ordinary pair.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cmsr.errors import InputError
from cmsr.pair import Pair

OVERLAP = 24
"""Pixels of the target beyond a seam that a window is computed from."""

FADE = 4
"""Pixels of the target on each side of a seam over which two windows fade into each other."""

Box = tuple[int, int, int, int]
"""Top, left, bottom, right."""


class Tile(NamedTuple):
    """A part of the target, and the larger part that it is computed from."""

    core: Box
    outer: Box


@dataclass(frozen=True)
class Plan:
    """How a result is cut up.

    Attributes
    ----------
    target, result : (int, int)
        Heights and widths.
    side : (int, int)
        Height and width of a window in pixels of the target; the result has a pixel border
        wherever it begins.
    """

    target: tuple[int, int]
    result: tuple[int, int]
    side: tuple[int, int]

    @classmethod
    def of(cls, target: tuple[int, int], result: tuple[int, int], name: str, side: int) -> Plan:
        """Choose windows of about ``side`` pixels of the result.

        Raises
        ------
        InputError
            If the ratio leaves no place to cut.
        """
        sides = []
        for small, large in zip(target, result, strict=True):
            unit = small // math.gcd(small, large)
            wanted = max(2 * OVERLAP, side * small // large)
            if unit > 2 * wanted:
                raise InputError(
                    f"{name}: {large} : {small} pixels leave no place to cut the image into "
                    "windows; crop it so that the ratio is simpler, or raise --max-memory"
                )
            sides.append(max(unit, wanted // unit * unit))
        return cls(target, result, (sides[0], sides[1]))

    def bands(self) -> Iterator[list[Tile]]:
        """Yield rows of tiles from top to bottom, each from left to right."""
        height, width = self.target
        for top in _starts(height, self.side[0]):
            bottom = _end(top, height, self.side[0])
            yield [
                Tile((top, left, bottom, right), self._around((top, left, bottom, right)))
                for left in _starts(width, self.side[1])
                for right in [_end(left, width, self.side[1])]
            ]

    def _around(self, core: Box) -> Box:
        """Add the overlap, in steps at which pixels of the result begin too."""
        steps = [small // math.gcd(small, large)
                 for small, large in zip(self.target, self.result, strict=True)]  # fmt: skip
        down, across = (math.ceil(OVERLAP / step) * step for step in steps)
        top, left, bottom, right = core
        return (
            max(0, top - down),
            max(0, left - across),
            min(self.target[0], bottom + down),
            min(self.target[1], right + across),
        )

    def fine(self, box: Box) -> Box:
        """Return a box of the target in pixels of the result."""
        (h, w), (big_h, big_w) = self.target, self.result
        top, left, bottom, right = box
        return top * big_h // h, left * big_w // w, bottom * big_h // h, right * big_w // w


def _starts(length: int, side: int) -> range:
    """Where windows begin; what would be left of less than half a window joins the last."""
    count = max(1, (2 * length + side) // (2 * side))
    return range(0, count * side, side)


def _end(start: int, length: int, side: int) -> int:
    return length if start == _starts(length, side)[-1] else start + side


class Strip:
    """The rows of the result under work: tiles added with fading borders.

    Where tiles overlap, the weights of all sum to one.
    """

    def __init__(self, plan: Plan, channels: int, like: Pair) -> None:
        self.plan, self.first = plan, 0
        self.dtype, self.hole = like.dtype, 0 if like.hole is None else like.hole
        self.values = np.zeros((channels, 0, plan.result[1]))
        self.valid = np.zeros((0, plan.result[1]), bool)

    def add(self, tile: Tile, image: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> None:
        """Add one tile's result."""
        top, left, bottom, right = self.plan.fine(tile.outer)
        missing = bottom - self.first - self.values.shape[1]
        if missing > 0:
            self.values = np.pad(self.values, ((0, 0), (0, missing), (0, 0)))
            self.valid = np.pad(self.valid, ((0, missing), (0, 0)))
        inside = np.s_[top - self.first : bottom - self.first, left:right]
        weight = np.outer(*self._weights(tile))
        self.values[:, *inside] += np.where(valid, image, 0) * weight
        self.valid[inside] = valid

    def _weights(self, tile: Tile) -> list[npt.NDArray[np.float64]]:
        """Ramps from 0 to 1 across each seam, along both axes."""
        core, outer = self.plan.fine(tile.core), self.plan.fine(tile.outer)
        ramps = []
        for axis in (0, 1):
            fade = FADE * self.plan.result[axis] / self.plan.target[axis]
            place = np.arange(outer[axis], outer[axis + 2]) + 0.5
            ramp = np.ones(len(place))
            if core[axis] > 0:
                ramp *= np.clip((place - core[axis]) / (2 * fade) + 0.5, 0, 1)
            if core[axis + 2] < self.plan.result[axis]:
                ramp *= np.clip((core[axis + 2] - place) / (2 * fade) + 0.5, 0, 1)
            ramps.append(ramp)
        return ramps

    def finished(self, band: list[Tile]) -> tuple[int, npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Take off, from the top, the rows that no later band adds to: first row, values, valid."""
        core, outer = self.plan.fine(band[0].core), self.plan.fine(band[0].outer)
        end = core[2] if core[2] == self.plan.result[0] else 2 * core[2] - outer[2]
        count = end - self.first
        values, valid, first = self.values[:, :count], self.valid[:count], self.first
        self.values, self.valid, self.first = self.values[:, count:], self.valid[count:], end
        if np.issubdtype(self.dtype, np.integer):
            values = np.rint(values)
        return first, np.where(valid, values, self.hole).astype(self.dtype), valid
