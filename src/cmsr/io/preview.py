"""A false-colour picture of a result, with a scale bar in the data's units."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from cmsr.colour_maps import known
from cmsr.errors import OptionError, OutputError
from cmsr.io.atomic import replacing
from cmsr.io.raster import Raster, from_array
from cmsr.pictures import Rgb, colour, enlarge, font, range_of, round_ticks, thinned

LARGEST = 4096
"""Longest side of a preview's image, in pixels; larger results are thinned out."""

SMALLEST = 240
"""The same below which each pixel is shown as a block, so that image and scale bar are legible."""

_PAPER, _INK = (255, 255, 255), (24, 24, 28)


Range = tuple[float, float]


def check(path: Path, colour_map: str, given: Range | None = None) -> None:
    """Check before any work that a preview can be written.

    Raises
    ------
    OutputError, OptionError
        If the ending is not .png, no colour map has that name, or the range is empty.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: a preview is a PNG; use a name that ends in .png")
    if given is not None and not given[0] < given[1]:
        raise OptionError(f"--range {given[0]:g} {given[1]:g}: MIN must be below MAX")
    if not known(colour_map):
        raise OptionError(
            f"colour-map is {colour_map!r}; choose one of matplotlib's, for example inferno, "
            "viridis, cividis, gray"
        )


def write(
    path: Path,
    image: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    like: Raster | None = None,
    colour_map: str = "inferno",
    given: Range | None = None,
) -> None:
    """Write a preview, whole or not at all.

    Parameters
    ----------
    path : Path
        Ends in .png.
    image : array, shape (H, W) or (H, W, C)
        One channel is shown in false colours; of three or more, those marked as red, green and
        blue, or the first three, as a colour picture without a scale bar.
    valid : array of bool, shape (H, W)
        Holes are grey.
    like : Raster, optional
        Gives the scale bar its scale, offset and unit.
    colour_map : str
        One of matplotlib's.
    given : (float, float), optional
        Values from which to which the colours go, in the unit of the bar; by default those without
        half a percent at either end.
    """
    picture = draw(image, valid, like, colour_map, given)
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")


def draw(
    image: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    like: Raster | None = None,
    colour_map: str = "inferno",
    given: Range | None = None,
) -> Image.Image:
    """Return the image in colours beside its scale bar; colours themselves need none."""
    like = like or from_array(image, "image")
    image, valid = thinned(image, LARGEST), thinned(valid, LARGEST)
    if image.ndim == 3 and image.shape[2] > 2:
        return Image.fromarray(_legible(_colours(image, valid, like, given)))
    like = _in_celsius(like, image, valid)
    values = like.in_unit(image, valid)
    low, high = given or range_of(values)
    shown = Image.fromarray(_legible(colour(values, low, high, colour_map)))
    bar = _scale_bar(shown.height, low, high, like.unit()[2], colour_map)
    sheet = Image.new("RGB", (shown.width + bar.width, max(shown.height, bar.height)), _PAPER)
    sheet.paste(shown, (0, 0))
    sheet.paste(bar, (shown.width, 0))
    return sheet


def _legible(picture: Rgb) -> Rgb:
    """Enlarge a small picture, each pixel to a block, until its longer side is `SMALLEST`."""
    height, width = picture.shape[:2]
    times = -(-SMALLEST // max(height, width))
    return enlarge(picture, (times * height, times * width)) if times > 1 else picture


def _colours(
    image: npt.NDArray[Any], valid: npt.NDArray[np.bool_], like: Raster, given: Range | None
) -> Rgb:
    """Return three channels as a colour picture; values of 8 bits as they are, holes grey."""
    meanings = [str(getattr(one, "name", one)) for one in like.profile.get("colorinterp") or ()]
    named = [meanings.index(name) for name in ("red", "green", "blue") if name in meanings]
    bands = image[..., named if len(named) == 3 else [0, 1, 2]].astype(np.float64)
    bands[~valid] = np.nan
    eight = image.dtype == np.uint8
    low, high = given or ((0.0, 255.0) if eight else range_of(bands))
    shown = np.clip((bands - low) / (high - low), 0, 1)
    return np.asarray(np.rint(255 * np.where(np.isfinite(shown), shown, 0.5)), dtype=np.uint8)


_CENTI_KELVIN, _KELVIN = 0.01, 273.15
_LIKELY, _MEDIAN = (-60.0, 250.0), (-25.0, 60.0)
"""Temperatures in °C of scenes, and their medians: where whole numbers, read as hundredths of a
kelvin, lie there, they are taken for such. Counts of 14 bits are below them."""


def _in_celsius(like: Raster, image: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> Raster:
    """Give whole numbers without a unit that look like hundredths of a kelvin the unit °C."""
    plain = like.unit() == (1.0, 0.0, "") and like.data.dtype == np.uint16
    if not plain or not valid.any():
        return like
    celsius = image[valid].astype(np.float64) * _CENTI_KELVIN - _KELVIN
    low, middle, high = np.percentile(celsius, (1, 50, 99))
    if not (_LIKELY[0] < low and high < _LIKELY[1] and _MEDIAN[0] < middle < _MEDIAN[1]):
        return like
    unit = {"scales": [_CENTI_KELVIN], "offsets": [-_KELVIN], "units": ["°C if cK"]}
    return replace(like, profile={**like.profile, **unit})


def _scale_bar(height: int, low: float, high: float, unit: str, colour_map: str) -> Image.Image:
    """Draw a colour bar with round numbers beside it and the unit above."""
    size = max(11, min(20, height // 24))
    letters = font(size)
    ticks = round_ticks(low, high)
    wide = int(max([letters.getlength(text) for _, text in [*ticks, (0, unit)]], default=0))
    sheet = Image.new("RGB", (4 * size + wide, max(height, 6 * size)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    top, bottom = 2 * size, sheet.height - size
    ramp = np.linspace(high, low, bottom - top)[:, None].repeat(size, axis=1)
    sheet.paste(Image.fromarray(colour(ramp, low, high, colour_map)), (size, top))
    pen.text((size, size // 3), unit, fill=_INK, font=letters)
    for tick, text in ticks:
        y = top + (high - tick) / (high - low) * (bottom - top)
        pen.line([(2 * size, y), (2 * size + size // 2, y)], fill=_INK)
        pen.text((3 * size, y), text, fill=_INK, font=letters, anchor="lm")
    return sheet
