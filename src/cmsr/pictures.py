"""Pictures for people: values in colours, round ticks, sheets of captioned panels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from cmsr.colour_maps import colours

Rgb = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

_INK, _PAPER, _HOLE = (24, 24, 28), (255, 255, 255), np.uint8(128)

_LEAST_TICKS = 4
"""Round numbers on a scale, where the steps of 1, 2 and 5 allow."""

_FONT = Path(__file__).parent / "assets" / "DejaVuSans.ttf"


@dataclass(frozen=True)
class Panel:
    """A picture of shape (H, W, 3) and the text above it."""

    caption: str
    picture: Rgb


def colour(values: npt.NDArray[Any], low: float, high: float, colour_map: str = "inferno") -> Rgb:
    """Paint values of shape (H, W) in a colour map from ``low`` to ``high``; NaN is grey.

    >>> colour(np.array([[0.0, 1.0, np.nan]]), 0, 1, "gray").tolist()
    [[[0, 0, 0], [255, 255, 255], [128, 128, 128]]]
    """
    scaled = (values.astype(np.float64) - low) / max(high - low, np.finfo(float).tiny)
    level = (256 * np.clip(np.nan_to_num(scaled), 0, 1)).astype(np.int64).clip(max=255)
    return np.where(np.isfinite(scaled)[..., None], colours(colour_map)[level], _HOLE)


def range_of(values: npt.NDArray[Any], clip: float = 0.5) -> tuple[float, float]:
    """Return the range of finite values without ``clip`` percent at either end; never empty.

    >>> range_of(np.array([3.0, np.nan, 3.0]))
    (2.5, 3.5)
    """
    seen = values[np.isfinite(values)]
    low, high = np.percentile(seen, (clip, 100 - clip)) if seen.size else (0.0, 1.0)
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(high) + 0.5)


def font(size: float) -> ImageFont.FreeTypeFont:
    """Return the font of all pictures, at a height of its letters in pixels."""
    return ImageFont.truetype(_FONT, size)


def thinned(values: npt.NDArray[Any], longest: int) -> npt.NDArray[Any]:
    """Keep every n-th row and column, so that neither side is longer than ``longest``.

    >>> thinned(np.zeros((10, 25)), 10).shape
    (4, 9)
    """
    every = max(1, -(-max(values.shape[:2]) // longest))
    return values[::every, ::every]


def round_ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Return round numbers between two values, and their texts with equal decimals.

    >>> round_ticks(11, 19, 5)
    [(12.0, '12'), (14.0, '14'), (16.0, '16'), (18.0, '18')]
    """
    widest = high / most - low / most
    power = math.floor(math.log10(widest))
    steps = [(factor, power + more) for more in (-1, 0, 1) for factor in (1, 2, 5)]
    first = next(i for i, (factor, ten) in enumerate(steps) if float(f"{factor}e{ten}") >= widest)
    for factor, ten in reversed(steps[: first + 1]):
        step = float(f"{factor}e{ten}")
        places = range(math.ceil(low / step), math.floor(high / step) + 1)
        if len(places) >= _LEAST_TICKS:
            break
    ticks = [float(f"{place * factor}e{ten}") for place in places]
    return [(tick, f"{tick:.{max(0, -ten)}f}") for tick in ticks]


def enlarge(picture: Rgb, shape: tuple[int, int]) -> Rgb:
    """Enlarge a picture so that every pixel shows as a block."""
    size = (shape[1], shape[0])
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.NEAREST))


SQUARES = 8
"""Fields of a checkerboard along its longer side."""


def checkerboard(target: npt.NDArray[np.float32], moved: npt.NDArray[np.float32]) -> Rgb:
    """Show a target (h, w) and a moved guide (G, H, W), both in [0, 1], field by field."""
    shape = moved.shape[1:]
    sensor = enlarge(colour(target, 0, 1), (shape[0], shape[1]))
    photo = np.moveaxis(np.broadcast_to(moved.clip(0, 1), (3, *shape)), 0, -1)
    rows, cols = np.indices(shape) // max(1, round(max(shape) / SQUARES))
    dark = ((rows + cols) % 2 == 0)[..., None]
    return np.where(dark, sensor, np.rint(photo * 255).astype(np.uint8))


def sheet(rows: Sequence[Sequence[Panel]], size: int = 12) -> Image.Image:
    """Lay out rows of captioned pictures in columns.

    Parameters
    ----------
    rows : sequence of sequence of Panel
        A column is as wide as its widest picture or caption, a row as high as its highest picture.
        Captions may have several lines; a row without any takes no room for them.
    size : int
        Height of the letters, in pixels.
    """
    drawn_with = font(size)
    gap = round(0.7 * size)
    measure = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox
    boxes = [[measure((0, 0), panel.caption, font=drawn_with) for panel in row] for row in rows]
    widths = [0] * max(len(row) for row in rows)
    for row, captions in zip(rows, boxes, strict=True):
        for column, (panel, box) in enumerate(zip(row, captions, strict=True)):
            widths[column] = max(widths[column], panel.picture.shape[1], math.ceil(box[2]))
    captions_high = [max(math.ceil(box[3]) for box in line) for line in boxes]
    captions_high = [high and high + gap // 2 for high in captions_high]
    pictures_high = [max(panel.picture.shape[0] for panel in row) for row in rows]
    height = sum(captions_high) + sum(pictures_high) + gap * (len(rows) + 1)
    whole = Image.new("RGB", (sum(widths) + gap * (len(widths) + 1), height), _PAPER)
    pen, top = ImageDraw.Draw(whole), gap
    for row, caption_high, picture_high in zip(rows, captions_high, pictures_high, strict=True):
        left = gap
        for panel, width in zip(row, widths, strict=False):
            pen.multiline_text((left, top), panel.caption, fill=_INK, font=drawn_with)
            whole.paste(Image.fromarray(panel.picture), (left, top + caption_high))
            left += width + gap
        top += caption_high + picture_high + gap
    return whole


def side_by_side(panels: Sequence[Panel], details: Sequence[Box] = ()) -> Image.Image:
    """Lay panels of one size in a row, and below each its details.

    Parameters
    ----------
    panels : sequence of Panel
        All pictures of one shape.
    details : sequence of (left, top, right, bottom)
        Boxes in pixels, each shown below enlarged to the panel's width.
    """
    width = panels[0].picture.shape[1]
    rows = [list(panels)]
    for left, top, right, bottom in details:
        shape = round(width * (bottom - top) / (right - left)), width
        rows.append([Panel("", enlarge(p.picture[top:bottom, left:right], shape)) for p in panels])
    return sheet(rows, size=17)


def window_of_most(values: npt.NDArray[Any], height: int, width: int) -> Box:
    """Find the window of a given size in which values (H, W) have the largest sum."""
    total = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = (
        total[height:, width:]
        - total[:-height, width:]
        - total[height:, :-width]
        + total[:-height, :-width]
    )
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(left), int(top), int(left) + width, int(top) + height
