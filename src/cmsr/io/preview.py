"""A false-colour picture of a result, with a scale bar in the data's units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from cmsr.errors import OptionError, OutputError
from cmsr.io.atomic import replacing
from cmsr.io.raster import Raster, from_array
from cmsr.pictures import colour, range_of, round_ticks, thinned

LARGEST = 4096
"""Longest side of a preview's image, in pixels; larger results are thinned out."""

_PAPER, _INK = (255, 255, 255), (24, 24, 28)


def check(path: Path, colour_map: str) -> None:
    """Check before any work that a preview can be written.

    Raises
    ------
    OutputError, OptionError
        If the ending is not .png, or no colour map has that name.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: a preview is a PNG; use a name that ends in .png")
    from matplotlib import colormaps

    if colour_map not in colormaps:
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
) -> None:
    """Write a preview, whole or not at all.

    Parameters
    ----------
    path : Path
        Ends in .png.
    image : array, shape (H, W) or (H, W, C)
        The first channel is shown.
    valid : array of bool, shape (H, W)
        Holes are grey.
    like : Raster, optional
        Gives the scale bar its scale, offset and unit.
    colour_map : str
        One of matplotlib's.
    """
    picture = draw(image, valid, like, colour_map)
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")


def draw(
    image: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    like: Raster | None = None,
    colour_map: str = "inferno",
) -> Image.Image:
    """Return the image in colours beside its scale bar."""
    like = like or from_array(image, "image")
    values = like.in_unit(thinned(image, LARGEST), thinned(valid, LARGEST))
    low, high = range_of(values)
    shown = Image.fromarray(colour(values, low, high, colour_map))
    bar = _scale_bar(shown.height, low, high, like.unit()[2], colour_map)
    sheet = Image.new("RGB", (shown.width + bar.width, max(shown.height, bar.height)), _PAPER)
    sheet.paste(shown, (0, 0))
    sheet.paste(bar, (shown.width, 0))
    return sheet


def _scale_bar(height: int, low: float, high: float, unit: str, colour_map: str) -> Image.Image:
    """Draw a colour bar with round numbers beside it and the unit above."""
    size = max(11, min(20, height // 24))
    font = ImageFont.load_default(size)
    ticks = round_ticks(low, high)
    wide = int(max([font.getlength(text) for _, text in [*ticks, (0, unit)]], default=0))
    sheet = Image.new("RGB", (4 * size + wide, max(height, 6 * size)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    top, bottom = 2 * size, sheet.height - size
    ramp = np.linspace(high, low, bottom - top)[:, None].repeat(size, axis=1)
    sheet.paste(Image.fromarray(colour(ramp, low, high, colour_map)), (size, top))
    pen.text((size, size // 3), unit, fill=_INK, font=font)
    for tick, text in ticks:
        y = top + (high - tick) / (high - low) * (bottom - top)
        pen.line([(2 * size, y), (2 * size + size // 2, y)], fill=_INK)
        pen.text((3 * size, y), text, fill=_INK, font=font, anchor="lm")
    return sheet
