"""A picture of a guide's segments: outlines, displacements, occlusions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation, distance_transform_edt

from cmsr.pictures import Box, Rgb, font
from cmsr.registration.alignment import Alignment
from cmsr.registration.transforms import displacement

_DARK, _LIGHT = (0, 0, 0), (255, 255, 255)

_STROKE = 1 / 350
"""Width of a line, in longer sides of the picture."""

_HATCH = 12
"""Distance of the stripes that mark occluded parts, in widths of a line."""

_NAMED = 0.01
"""Smallest segment that has an arrow, as a share of the picture."""

_COARSE = 150
"""Longer side, in pixels, at which the middle of a segment is sought."""

Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def draw_segments(picture: Rgb, alignment: Alignment) -> Rgb:
    """Draw the displacement of a guide's segments over a picture; without segments, return it.

    Every line is white between black ones, so that it is visible on any background.

    Parameters
    ----------
    picture : array of uint8, shape (H, W, 3)
        In the target's frame, at any size.
    alignment : Alignment
        Place of the guide. An arrow leads from a segment's place in the result to the place where
        the guide is read for it, with its length in pixels of the guide. Stripes cover parts that
        the guide does not show, or not for certain.
    """
    size = picture.shape[0], picture.shape[1]
    owners = alignment.owners(size)
    if owners is None:
        return picture
    labels = owners.numpy()
    stroke = max(1, round(max(size) * _STROKE))
    drawn = _hatched(picture, alignment.seen(size).numpy() < 1, stroke)
    outlines = outlined(labels)
    drawn = np.where(_widened(outlines, stroke)[..., None], np.uint8(0), drawn)
    drawn = np.where(_widened(outlines, stroke // 2)[..., None], np.uint8(255), drawn)
    moved = displacement(alignment.grid(size).cpu(), alignment.size)[0].numpy()
    return _with_arrows(drawn, labels, moved, size[0] / alignment.size[0], stroke)


def outlined(labels: Labels) -> Mask:
    """Mark the pixels of labels (H, W) that have another label beside, above or below them.

    >>> outlined(np.array([[1, 1, 2, 2]])).tolist()
    [[False, True, True, False]]
    """
    marked = np.zeros(labels.shape, bool)
    across, along = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    for half, unlike in (
        (marked[:, 1:], across), (marked[:, :-1], across), (marked[1:], along), (marked[:-1], along)
    ):  # fmt: skip
        half |= unlike
    return marked


def _widened(mask: Mask, radius: int) -> Mask:
    return binary_dilation(mask, iterations=radius) if radius else mask


def _hatched(picture: Rgb, hidden: Mask, stroke: int) -> Rgb:
    """Cover a mask with black and white stripes; the picture shows between them."""
    phase = np.indices((*hidden.shape, 1)).sum(0) % (_HATCH * stroke) // stroke
    striped = np.where(phase < 2, np.uint8(0), picture)
    striped = np.where((phase == 2) | (phase == 3), np.uint8(255), striped)
    return np.where(hidden[..., None], striped, picture)


def _with_arrows(
    picture: Rgb, labels: Labels, moved: npt.NDArray[np.float32], scale: float, stroke: int
) -> Rgb:
    """Add an arrow to scale and its length in words to every larger segment."""
    sheet = Image.fromarray(picture)
    draw, letters = ImageDraw.Draw(sheet), font(max(10, 9 * stroke))
    for label in np.unique(labels):
        own = labels == label
        if own.mean() < _NAMED:
            continue
        x, y = _middle(own)
        right, down = moved[own].mean(0)
        _arrow(draw, (x, y), (x + right * scale, y + down * scale), stroke)
        text = f"{np.hypot(right, down):.1f} px"
        at = (x, y + 4 * stroke)
        draw.text(at, text, _LIGHT, letters, "ma", stroke_width=stroke, stroke_fill=_DARK)
    return np.asarray(sheet)


def _middle(mask: Mask) -> tuple[float, float]:
    """Return the place (x, y) in a mask that is farthest from its border, about."""
    every = max(1, max(mask.shape) // _COARSE)
    depth = distance_transform_edt(np.pad(mask[::every, ::every], 1))
    row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    return float((col - 1) * every), float((row - 1) * every)


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
