"""Two georeferenced images: a common grid, cropped to their overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.errors import RasterioError
from rasterio.warp import calculate_default_transform, transform
from rasterio.windows import Window

from cmsr.errors import InputError
from cmsr.io.raster_io import Grid

Array = npt.NDArray[Any]

_SAME = 0.02
"""Largest difference of two outlines that count as equal, in pixels of the target."""

LEAST_OVERLAP = 4
"""Least sides of the part of a target that a guide covers, in its pixels."""

_OUTLINE = 21
"""Points along each side of an image's outline."""


@dataclass(frozen=True)
class Overlap:
    """The overlap of two images.

    Attributes
    ----------
    window : Window
        Whole pixels of the target; these are not resampled.
    grid : Grid
        Covers the same area at about the guide's resolution; the guide is brought onto it.
    share : float
        Of the target that the guide covers.
    """

    window: Window
    grid: Grid
    share: float


def overlap(
    target: Grid, guide: Grid, names: tuple[str, str], *, whole: bool = False
) -> Overlap | None:
    """Find the common grid of two georeferenced images; None if they cover the same area.

    Parameters
    ----------
    target, guide : Grid
        Any coordinate systems, pixel sizes, rotations.
    names : (str, str)
        Their names in messages.
    whole : bool
        Whether all of the target is kept, the guide unknown where it does not reach.

    Raises
    ------
    InputError
        If they do not overlap, or one cannot be transformed to the other's coordinate system.
    """
    try:
        cols, rows = _outline_in(target, guide)
        finer = _ratio(target, guide)
    except RasterioError as error:
        raise InputError(f"{names[1]}: cannot be put on the target's grid ({error})") from error
    height, width = target.shape
    corners = np.array([cols.min(), rows.min(), cols.max(), rows.max()])
    parallel = target.crs == guide.crs and _parallel(target.transform, guide.transform)
    if parallel and np.abs(corners - [0, 0, width, height]).max() < _SAME:
        return None
    left, top = (max(0, math.ceil(corner - _SAME)) for corner in corners[:2])
    right, bottom = (
        min(size, math.floor(corner + _SAME))
        for size, corner in zip((width, height), corners[2:], strict=True)
    )
    if right <= left or bottom <= top:
        raise InputError(f"{names[0]} and {names[1]} do not overlap on the ground")
    area = (bottom - top) * (right - left)
    if whole:
        left, top, right, bottom = 0, 0, width, height
    if min(bottom - top, right - left) < LEAST_OVERLAP <= min(height, width):
        raise InputError(
            f"{names[1]}: covers only a sliver of {names[0]}, {right - left} × {bottom - top} "
            f"pixels; at least {LEAST_OVERLAP} × {LEAST_OVERLAP} are needed, or --extent target"
        )
    shape = round((bottom - top) * finer[0]), round((right - left) * finer[1])
    scale = Affine.scale((right - left) / shape[1], (bottom - top) / shape[0])
    fine = target.transform * Affine.translation(left, top) * scale
    window = Window(left, top, right - left, bottom - top)
    return Overlap(window, Grid(target.crs, fine, shape), area / (height * width))


def _apply(matrix: Affine, x: Array, y: Array) -> tuple[Array, Array]:
    return matrix.a * x + matrix.b * y + matrix.c, matrix.d * x + matrix.e * y + matrix.f


def _outline_in(target: Grid, guide: Grid) -> tuple[Array, Array]:
    """Return the guide's outline in pixels (columns, rows) of the target."""
    height, width = guide.shape
    along = np.linspace(0, 1, _OUTLINE)
    cols = np.concatenate([along * width, along * width, 0 * along, 0 * along + width])
    rows = np.concatenate([0 * along, 0 * along + height, along * height, along * height])
    ground = _apply(guide.transform, cols, rows)
    x, y = ground
    if guide.crs != target.crs:
        x, y = (np.asarray(axis) for axis in transform(guide.crs, target.crs, *ground))
    there = np.isfinite(x) & np.isfinite(y)
    if not there.any():
        raise RasterioError("none of its points has coordinates there")
    return _apply(~target.transform, x[there], y[there])


def _ratio(target: Grid, guide: Grid) -> tuple[float, float]:
    """Return the ratio of pixel sizes, target to guide, vertically and horizontally."""
    height, width = guide.shape
    local = guide.transform
    if guide.crs != target.crs:
        bounds = _bounds(guide)
        local, _, _ = calculate_default_transform(guide.crs, target.crs, width, height, *bounds)

    def sizes(a: Affine) -> tuple[float, float]:
        return math.hypot(a.b, a.e), math.hypot(a.a, a.d)

    coarse, fine = sizes(target.transform), sizes(local)
    return coarse[0] / fine[0], coarse[1] / fine[1]


def _bounds(grid: Grid) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top on the ground."""
    height, width = grid.shape
    x, y = _apply(grid.transform, np.array([0, width, 0, width]), np.array([0, 0, height, height]))
    return float(min(x)), float(min(y)), float(max(x)), float(max(y))


def _parallel(a: Affine, b: Affine) -> bool:
    """Return whether the axes of two grids have the same directions."""
    return all(
        abs(a_x * b_y - a_y * b_x) < 1e-6 * math.hypot(a_x, a_y) * math.hypot(b_x, b_y)
        and a_x * b_x + a_y * b_y > 0
        for a_x, a_y, b_x, b_y in ((a.a, a.d, b.a, b.d), (a.b, a.e, b.b, b.e))
    )
