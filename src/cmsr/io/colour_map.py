"""Colour-mapped pictures: three bands whose colours stand for one quantity, and the way back to it.

Colours of such a picture lie on a curve in RGB; those of a photo do not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_closing, binary_opening, find_objects, label

from cmsr import colour_maps
from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io.raster import Raster

Rgb = npt.NDArray[np.uint8]

_IRON = ((10, 25, 45), (45, 15, 115), (95, 10, 155), (140, 15, 160), (180, 35, 145),
         (205, 55, 110), (225, 85, 70), (235, 120, 35), (245, 150, 10), (245, 180, 10),
         (240, 205, 45), (235, 225, 115), (230, 240, 235))  # fmt: skip
"""Colours, evenly spaced from cold to hot, of what thermal cameras call iron: rounded readings."""

KNOWN = ("iron", "inferno", "plasma", "magma", "viridis", "cividis", "turbo", "jet", "hot",
         "afmhot", "bone", "gnuplot2", "gnuplot", "rainbow", "gist_rainbow", "hsv", "coolwarm",
         "CMRmap", "copper", "cool", "Spectral", "nipy_spectral")  # fmt: skip
"""Maps that are tried: `_IRON`, and matplotlib's."""

_NEAR = 24.0
"""Distance in RGB, of 255, up to which a colour lies on a curve: JPEG's own errors at edges."""

_CLOSE, _ON = 12.0, 0.7
"""Median distance up to which a picture's colours follow a known map, and the share of its pixels
that must lie on it; the others are text, logos and scale bars. Of 32 photos none is closer than 17
(`benchmarks/fit_colour_map.py`, as the next)."""

_COLOURED, _SPREAD, _SEEN = 0.1, 30.0, 4096
"""Share of pixels that must be coloured, their least range of brightness, and pixels looked at."""

_BINS = 48
"""Levels of brightness at which the curve of an unknown map is measured."""

_OWN, _OWN_CLOSE, _OWN_ON, _LEAST_SWING = "its own", 5.0, 0.9, 90.0
"""An unknown map: the same for its curve, which any colours follow a little, and the least range of
its hues, which hardly leave grey in photos whose curve fits."""

_OWN_BETTER = 3.0
"""How many times closer than a known map the curve of a picture must be that is taken instead."""

_TEXT, _BAR_CORRELATION, _BAR_RANGE = 0.001, 0.985, 180
"""Share of pixels off the curve that is worth a word; what a scale bar is recognised by."""


@dataclass(frozen=True)
class ColourMap:
    """A map: its name, and its colours (256, 3) from low to high."""

    name: str
    colours: npt.NDArray[np.float64]

    def levels(self, picture: Rgb) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
        """Return for (3, H, W) the level of each pixel, 0 to 255, and its distance from the map."""
        flat = np.moveaxis(picture, 0, -1).reshape(-1, 3).astype(np.float64)
        distance, level = self.nearest(flat)
        shape = picture.shape[1:]
        return level.reshape(shape).astype(np.uint8), distance.reshape(shape)

    def nearest(self, some: npt.NDArray[np.float64]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return how far colours (N, 3) are from the map, and their levels, (N,)."""
        from scipy.spatial import cKDTree

        distance, level = cKDTree(self.colours).query(some)
        return distance, level


@cache
def named(name: str) -> ColourMap:
    """Return iron, or one of matplotlib's maps.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    if name == "iron":
        places, colours = np.linspace(0, 1, len(_IRON)), np.array(_IRON, np.float64)
        bands = [np.interp(np.linspace(0, 1, 256), places, band) for band in colours.T]
        return ColourMap(name, np.stack(bands, axis=1))
    if not colour_maps.known(name):
        raise OptionError(
            f"--colour-mapped is {name!r}; choose auto, iron or one of matplotlib's colour maps, "
            "for example inferno, jet or gray"
        )
    return ColourMap(name, colour_maps.colours(name).astype(np.float64))


def found(picture: Rgb) -> ColourMap | None:
    """Find the map of a picture (3, H, W); None where its colours are no map's, or grey."""
    flat = picture.reshape(3, -1).T.astype(np.float64)
    some = flat[:: max(1, len(flat) // _SEEN)]
    if (np.ptp(some, axis=1) > _NEAR).mean() < _COLOURED or np.ptp(some @ _WEIGHTS) < _SPREAD:
        return None
    own = _own(some)
    misfit, _, best = min((_misfit(some, one), one.name, one) for one in map(named, KNOWN))
    unknown = _misfit(some, own)
    if unknown * _OWN_BETTER < misfit:
        best, misfit = own, unknown
    return best if np.isfinite(misfit) else None


_WEIGHTS = np.array([0.299, 0.587, 0.114])


def _misfit(some: npt.NDArray[np.float64], tried: ColourMap) -> float:
    """Return the median distance of colours from a map; infinite if too few or none lie on it."""
    distance, _ = tried.nearest(some)
    own = tried.name == _OWN
    close, share = (_OWN_CLOSE, _OWN_ON) if own else (_CLOSE, _ON)
    on, middle = (distance < _NEAR).mean(), float(np.median(distance))
    swings = not own or _swing(tried) >= _LEAST_SWING
    return middle if on >= share and middle < close and swings else np.inf


def _swing(tried: ColourMap) -> float:
    """Return how far the hue of a curve goes; that of photos stays near grey."""
    colours = tried.colours
    return float(np.ptp(colours - colours.mean(axis=1, keepdims=True), axis=0).max())


def _own(some: npt.NDArray[np.float64]) -> ColourMap:
    """Return the curve of the median colours at each brightness, from dark to bright."""
    bright = some @ _WEIGHTS
    edges = np.unique(np.quantile(bright, np.linspace(0, 1, _BINS + 1)))
    place = np.clip(np.searchsorted(edges, bright, "right") - 1, 0, max(len(edges) - 2, 0))
    used = np.unique(place)
    middle = np.array([np.median(some[place == one], axis=0) for one in used])
    at = middle @ _WEIGHTS
    order = np.argsort(at)
    levels = np.linspace(at.min(), at.max(), 256)
    colours = np.stack([np.interp(levels, at[order], middle[order, i]) for i in range(3)], axis=1)
    return ColourMap(_OWN, colours)


def resolved(target: Raster, config: Config, notes: list[str]) -> Raster:
    """Turn a colour-mapped target into one band if the options say so; else say what it is.

    Raises
    ------
    OptionError
        If there is no such map, or the target is no picture of three bands of 8 bits.
    InputError
        If no map is found, or the target does not follow the one that is named.
    """
    asked = config.colour_mapped
    if target.data.dtype != np.uint8 or len(target.data) != 3:
        config.refuse(["colour_mapped"], f"requires 3 bands of 8 bits; {target.name} has others")
        return target
    colour_map = found(target.data) if asked in (None, "auto") else named(asked)
    if colour_map is None:
        if asked:
            raise InputError(f"{target.name}: no colour map fits its colours; name one "
                             "(--colour-mapped inferno)")  # fmt: skip
        return target
    if asked is None:
        notes.append(
            f"{target.name}: seems to be a false-colour picture (colour map {colour_map.name}); "
            "--colour-mapped upscales the quantity behind the colours, relative and without a "
            "unit; measured values need the camera's own file"
        )
        return target
    level, distance = colour_map.levels(target.data)
    notes.append(
        f"{target.name}: one band of 0 to 255, relative and without a unit, from the colour map "
        f"({colour_map.name}); {np.mean(distance < _NEAR):.0%} of the pixels are on it"
    )
    notes.extend(_overlaid(target, level, distance))
    kept = {"descriptions": ["relative"], "units": [""]}
    profile = {k: v for k, v in target.profile.items() if k in ("crs", "transform", "tags")} | kept
    measured = target.valid[None]
    return replace(target, data=level[None], flat=True, profile=profile).with_measured(measured)


def _overlaid(
    target: Raster, level: npt.NDArray[np.uint8], distance: npt.NDArray[np.float64]
) -> list[str]:
    """Say where text, and a scale bar, seem to be burnt in."""
    off = distance > _NEAR
    boxes = [box for box in (_box_of(off), _bar(level)) if box]
    if not boxes:
        return []
    words = ";".join(boxes)
    return [
        f"{target.name}: text or a scale bar seems to be burnt in; leave it out with "
        f"--ignore '{words}' (left, top, width, height), or with a mask file"
    ]


def _box_of(off: npt.NDArray[np.bool_]) -> str:
    """Return the boxes around pixels off the curve, where they are close to each other."""
    if off.mean() < _TEXT:
        return ""
    joined = binary_closing(np.pad(off, 8), iterations=4)[8:-8, 8:-8]
    joined = binary_opening(joined, iterations=1)
    groups, _ = label(joined)
    places = [place for place in find_objects(groups) if place is not None]
    places.sort(key=lambda one: -(one[0].stop - one[0].start) * (one[1].stop - one[1].start))
    return ";".join(
        f"{cols.start},{rows.start},{cols.stop - cols.start},{rows.stop - rows.start}"
        for rows, cols in places[:4]
    )


def _bar(level: npt.NDArray[np.uint8]) -> str:
    """Return the box of a vertical bar of all levels near the left or right border; "" for none."""
    height, width = level.shape
    rows = np.arange(height)
    columns = [
        x for x in range(width) if min(x, width - 1 - x) < width / 5 and _is_bar(level[:, x])
    ]
    if not columns:
        return ""
    inside = level[:, columns[len(columns) // 2]].astype(float)
    changing = rows[np.abs(np.gradient(inside)) > 0.2]
    top, bottom = (int(changing.min()), int(changing.max())) if changing.size else (0, height - 1)
    return f"{columns[0]},{top},{columns[-1] - columns[0] + 1},{bottom - top + 1}"


def _is_bar(column: npt.NDArray[np.uint8]) -> bool:
    """Tell whether most of a column runs evenly through all levels."""
    inner = column[len(column) // 4 : -len(column) // 4].astype(float)
    if np.ptp(column) < _BAR_RANGE or np.ptp(inner) < _BAR_RANGE / 3:
        return False
    return bool(abs(np.corrcoef(inner, np.arange(len(inner)))[0, 1]) > _BAR_CORRELATION)


def ignoring(target: Raster, config: Config, read: Any) -> Raster:
    """Mark boxes, or what a mask file shows, as not measured.

    Parameters
    ----------
    target : Raster
    config : Config
        ``ignore`` is ``x,y,w,h``, several boxes separated by ";", or the name of a file.
    read : callable
        Reads the mask, `cmsr.io.image_files.read`.

    Raises
    ------
    OptionError
        If a box lies outside the image.
    InputError
        If the mask is of another size.
    """
    if config.ignore is None:
        return target
    height, width = target.shape
    boxes = boxes_of(config.ignore)
    hidden = np.zeros(target.shape, bool)
    if boxes is None:
        mask = read(config.ignore)
        if mask.shape != target.shape:
            raise InputError(f"{config.ignore}: is {mask.shape[1]} × {mask.shape[0]} pixels; "
                             f"expected the target's {width} × {height}")  # fmt: skip
        hidden = (mask.data != 0).any(axis=0)
    for left, top, wide, high in boxes or ():
        if wide < 1 or high < 1 or left < 0 or top < 0 or left >= width or top >= height:
            raise OptionError(f"--ignore {left},{top},{wide},{high} is not in the target's "
                              f"{width} × {height} pixels")  # fmt: skip
        hidden[top : top + high, left : left + wide] = True
    if hidden.all():
        raise OptionError("--ignore leaves no pixel of the target")
    return target.with_measured(target.measured & ~hidden[None])


def boxes_of(text: str) -> list[tuple[int, int, int, int]] | None:
    """Return the boxes that a text names; None if it is the name of a file."""
    try:
        boxes = [tuple(int(part) for part in one.split(",")) for one in text.split(";") if one]
    except ValueError:
        return None
    return [(x, y, w, h) for x, y, w, h in boxes] if all(len(box) == 4 for box in boxes) else None
