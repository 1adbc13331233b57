"""A picture of a result that every viewer opens: colours, and a scale bar in the data's units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from cmsr.errors import OptionError, OutputError
from cmsr.io.atomic import replacing
from cmsr.io.raster import Raster
from cmsr.pictures import colour, round_ticks

LARGEST = 4096
"""Longest side of a preview's image, in pixels; larger results are thinned out."""

_PAPER, _INK = (255, 255, 255), (24, 24, 28)
_CLIP = (0.5, 99.5)
"""Percentiles of the values at the two ends of the scale."""


def check(path: Path, colour_map: str) -> None:
    """Find out before any work whether a preview can be made.

    Raises
    ------
    OutputError, OptionError
        If the ending is not .png, or no colour map has that name.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: a preview is a PNG; give a name that ends in .png")
    if colour_map not in mpl.colormaps:
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
        Of several channels the first is shown.
    valid : array of bool, shape (H, W)
        Holes are grey.
    like : Raster, optional
        Its scale, offset and unit are those of the scale bar.
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
    values, unit = _physical(image, valid, like)
    seen = values[np.isfinite(values)]
    low, high = np.percentile(seen, _CLIP) if seen.size else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    shown = Image.fromarray(colour(values, low, high, colour_map))
    bar = _scale_bar(shown.height, float(low), float(high), unit, colour_map)
    sheet = Image.new("RGB", (shown.width + bar.width, max(shown.height, bar.height)), _PAPER)
    sheet.paste(shown, (0, 0))
    sheet.paste(bar, (shown.width, 0))
    return sheet


def _physical(
    image: npt.NDArray[Any], valid: npt.NDArray[np.bool_], like: Raster | None
) -> tuple[npt.NDArray[np.float64], str]:
    """Return the first channel in the unit that the file names, thinned out, and that unit."""
    every = max(1, -(-max(valid.shape) // LARGEST))
    channel = (image if image.ndim == 2 else image[..., 0])[::every, ::every].astype(np.float64)
    values = np.where(valid[::every, ::every], channel, np.nan)
    scale, offset, unit = like.unit() if like is not None else (1.0, 0.0, "")
    return values * scale + offset, unit


def _scale_bar(height: int, low: float, high: float, unit: str, colour_map: str) -> Image.Image:
    """Draw a bar of colours with round numbers beside it and the unit above."""
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
