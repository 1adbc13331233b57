"""Pictures for people: colour maps and panels side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw, ImageFont

Rgb = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

_INK, _PAPER = (24, 24, 28), (255, 255, 255)
_MARGIN, _CAPTION = 12, 30


@dataclass(frozen=True)
class Panel:
    """A picture and what to write above it; the picture has shape (H, W, 3)."""

    caption: str
    picture: Rgb


def colour(values: npt.NDArray[Any], low: float, high: float, colour_map: str = "inferno") -> Rgb:
    """Show values of shape (H, W) in a colour map from ``low`` to ``high``; NaN is grey."""
    scaled = (values.astype(np.float64) - low) / max(high - low, np.finfo(float).tiny)
    painted = mpl.colormaps[colour_map].with_extremes(bad="0.5")(np.ma.masked_invalid(scaled))
    return np.asarray(np.rint(painted[..., :3] * 255), dtype=np.uint8)


def round_ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Return round numbers between two values and how they are written, to equal digits."""
    locator = MaxNLocator(most, steps=[1, 2, 5, 10], min_n_ticks=4)
    ticks = [float(tick) for tick in locator.tick_values(low, high) if low <= tick <= high]
    step = ticks[1] - ticks[0] if len(ticks) > 1 else high - low
    digits = max(0, -int(np.floor(np.log10(step))))
    return [(tick, f"{tick:.{digits}f}") for tick in ticks]


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


def side_by_side(panels: Sequence[Panel], details: Sequence[Box] = ()) -> Image.Image:
    """Lay panels of one size in a row, and below each its enlarged details.

    Parameters
    ----------
    panels : sequence of Panel
        All pictures of one shape.
    details : sequence of (left, top, right, bottom)
        Boxes in pixels, each shown below at the panel's full width.
    """
    height, width = panels[0].picture.shape[:2]
    zooms = [round(width * (bottom - top) / (right - left)) for left, top, right, bottom in details]
    total = height + sum(zooms) + _MARGIN * (2 + len(zooms)) + _CAPTION
    sheet = Image.new("RGB", (len(panels) * (width + _MARGIN) + _MARGIN, total), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(17)
    for column, panel in enumerate(panels):
        left = _MARGIN + column * (width + _MARGIN)
        draw.text((left, _MARGIN - 2), panel.caption, fill=_INK, font=font)
        top = _MARGIN + _CAPTION
        picture = Image.fromarray(panel.picture)
        sheet.paste(picture, (left, top))
        top += height + _MARGIN
        for box, zoom in zip(details, zooms, strict=True):
            detail = picture.crop(box).resize((width, zoom), Image.Resampling.NEAREST)
            sheet.paste(detail, (left, top))
            top += zoom + _MARGIN
    return sheet


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
