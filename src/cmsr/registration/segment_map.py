"""Segments of a guide as a picture: their outlines, how far each moves, what is occluded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from cmsr.pictures import Box, Rgb
from cmsr.registration.alignment import Alignment
from cmsr.registration.transforms import displacement

_DARK, _LIGHT = (0, 0, 0), (255, 255, 255)

_STROKE = 1 / 350
"""Width of a line, in longer sides of the picture."""

_HATCH = 12
"""Distance of the stripes that mark occluded parts, in widths of a line."""

_NAMED = 0.01
"""Share of the picture from which on a segment has an arrow."""

_COARSE = 150
"""Longer side, in pixels, at which the middle of a segment is sought."""

Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def draw_segments(picture: Rgb, alignment: Alignment) -> Rgb:
    """Draw over a picture how the segments of a guide are moved; leave it where all is one.

    Every line is white between black ones: it shows on any ground, in any colours.

    Parameters
    ----------
    picture : array of uint8, shape (H, W, 3)
        Of the target's frame, at any size.
    alignment : Alignment
        Where the guide lies. An arrow leads from a place to where the guide is read for it, with
        its length in pixels of the guide; stripes cover what the guide does not surely show.
    """
    size = picture.shape[0], picture.shape[1]
    owners = alignment.owners(size)
    if owners is None:
        return picture
    labels = owners.numpy()
    stroke = max(1, round(max(size) * _STROKE))
    drawn = _hatched(picture, alignment.seen(size).numpy() < 1, stroke)
    drawn = np.where(_widened(_outlines(labels), stroke)[..., None], np.uint8(0), drawn)
    drawn = np.where(_widened(_outlines(labels), stroke // 2)[..., None], np.uint8(255), drawn)
    moved = displacement(alignment.grid(size).cpu(), alignment.size)[0].numpy()
    return _with_arrows(drawn, labels, moved, size[0] / alignment.size[0], stroke)


def _outlines(labels: Labels) -> Mask:
    """Mark (H, W) the pixels whose right or lower neighbour is another segment's."""
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    edge[:-1] |= labels[1:] != labels[:-1]
    return edge


def _widened(mask: Mask, radius: int) -> Mask:
    for _ in range(radius):
        wide = mask.copy()
        wide[1:] |= mask[:-1]
        wide[:-1] |= mask[1:]
        wide[:, 1:] |= mask[:, :-1]
        wide[:, :-1] |= mask[:, 1:]
        mask = wide
    return mask


def _hatched(picture: Rgb, hidden: Mask, stroke: int) -> Rgb:
    """Cover a mask with stripes of black, white and picture."""
    phase = np.indices((*hidden.shape, 1)).sum(0) % (_HATCH * stroke) // stroke
    striped = np.where(phase < 2, np.uint8(0), picture)
    striped = np.where((phase == 2) | (phase == 3), np.uint8(255), striped)
    return np.where(hidden[..., None], striped, picture)


def _with_arrows(
    picture: Rgb, labels: Labels, moved: npt.NDArray[np.float32], scale: float, stroke: int
) -> Rgb:
    """Add an arrow and its length to every larger segment, as long in the picture as it is."""
    sheet = Image.fromarray(picture)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(max(10, 9 * stroke))
    for label in np.unique(labels):
        own = labels == label
        if own.mean() < _NAMED:
            continue
        x, y = _middle(own)
        right, down = moved[own].mean(0)
        _arrow(draw, (x, y), (x + right * scale, y + down * scale), stroke)
        text = f"{np.hypot(right, down):.1f} px"
        at = (x, y + 4 * stroke)
        draw.text(at, text, _LIGHT, font, "ma", stroke_width=stroke, stroke_fill=_DARK)
    return np.asarray(sheet)


def _middle(mask: Mask) -> tuple[float, float]:
    """Return about the place (x, y) in a mask that is farthest from its border."""
    every = max(1, max(mask.shape) // _COARSE)
    inner = left = mask[::every, ::every]
    while left.any():
        inner, left = left, ~_widened(~np.pad(left, 1), 1)[1:-1, 1:-1]
    rows, cols = np.nonzero(inner if inner.any() else mask)
    return float(cols[len(cols) // 2] * every), float(rows[len(rows) // 2] * every)


def _arrow(
    draw: ImageDraw.ImageDraw, start: tuple[float, float], end: tuple[float, float], stroke: int
) -> None:
    """Draw a white arrow within a black one, with a dot where it starts."""
    along = np.subtract(end, start)
    length = float(np.hypot(*along))
    for width, colour in ((3 * stroke, _DARK), (stroke, _LIGHT)):
        draw.ellipse(_around(start, width), fill=colour)
        if length < 1:
            continue
        draw.line((*start, *end), colour, width)
        tip = min(length, 5.0 * stroke) * along / length
        side = np.array([-tip[1], tip[0]]) * 0.6
        for wing in (side, -side):
            draw.line((*end, *(np.subtract(end, tip) + wing)), colour, width)


def _around(centre: tuple[float, float], radius: int) -> Box:
    x, y = (round(value) for value in centre)
    return x - radius, y - radius, x + radius, y + radius
