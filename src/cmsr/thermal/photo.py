"""The photo that a thermal camera keeps beside its image: decoded, placed, cut to its field."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cmsr.thermal import parallax
from cmsr.thermal.crop import crop

_MAX_PIXELS = 2**26
"""Largest photo accepted."""

_BLACK, _LIT, _BAR = 24, 0.02, 2
"""Bars: brightest value of black, share of brighter pixels in a line of a photo, and width of their
blurred border in pixels; by eye."""

_FAINT, _OUTSIDE = 0.78, 0.01
"""Of a photo in YCbCr: most contrast of chroma, in that of luma, and most pixels of no colour.
Of 121, they are 0.05 to 0.69 and 0; of the same in RGB, 0.88 to 1.74 and 0.04 to 0.95."""

_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
"""JFIF's YCbCr to RGB, chroma less 128."""

Photo = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Placement:
    """Place of the thermal image in the photo, as the camera has it.

    Attributes
    ----------
    zoom : float
        How many times larger the photo's field of view is.
    right, down : int
        From the photo's centre to the thermal image's, in pixels of the photo.
    """

    zoom: float = 1.0
    right: int = 0
    down: int = 0

    def box(self, photo: tuple[int, int], thermal: tuple[int, int]) -> npt.NDArray[np.float64]:
        """Return top, left, bottom, right of the thermal image (h, w), in pixels of a photo."""
        (height, width), (rows, cols) = photo, thermal
        size = min(width / cols, height / rows) / self.zoom
        top = height / 2 + self.down - size * rows / 2
        left = width / 2 + self.right - size * cols / 2
        return np.array([top, left, top + size * rows, left + size * cols])


def decoded(content: bytes) -> Photo:
    """Decode a PNG or JPEG to RGB (H, W, 3); a PNG that holds YCbCr is converted.

    Raises
    ------
    ValueError, OSError, SyntaxError
        If it is broken, or larger than any such camera's.
    """
    with Image.open(io.BytesIO(content), formats=["JPEG", "PNG"]) as picture:
        if picture.width * picture.height > _MAX_PIXELS:
            raise ValueError(f"photo of {picture.width} × {picture.height} pixels")
        photo = np.asarray(picture.convert("RGB"))
        if picture.format == "PNG" and _is_ycbcr(photo):
            photo = np.asarray(Image.fromarray(photo, "YCbCr").convert("RGB"))
    return photo


def _is_ycbcr(photo: Photo) -> bool:
    """Tell whether three bands are luma and chroma, which a PNG does not say.

    Chroma has less contrast than luma, and converted, all are colours.
    """
    bands = photo - np.array([0.0, 128, 128])
    colours = bands @ _TO_RGB.T
    if ((colours < -4) | (colours > 259)).any(axis=2).mean() > _OUTSIDE:
        return False
    contrast = np.sqrt((np.diff(bands, axis=1) ** 2).mean(axis=(0, 1)))
    return bool(contrast[1:].max() < _FAINT * contrast[0])


def cut(photo: Photo, box: npt.NDArray[np.float64]) -> tuple[Photo, Mask]:
    """Return the part of a photo in a box, and where that holds an image.

    It does not beyond the photo, where the border is repeated, nor in black bars around it.
    """
    down = round(float(box[0])) + np.arange(max(1, round(float(box[2] - box[0]))))
    right = round(float(box[1])) + np.arange(max(1, round(float(box[3] - box[1]))))
    part, inside = crop(photo, down, right)
    return part, crop(shown(photo), down, right)[0] & inside


def shown(photo: Photo) -> Mask:
    """Mask (H, W) of a photo (H, W, 3) without the black bars along its border."""
    lit = photo.max(axis=2) > _BLACK
    rows, cols = (np.flatnonzero(lit.mean(axis=axis) > _LIT) for axis in (1, 0))
    everywhere = np.ones(lit.shape, bool)
    if not rows.size or not cols.size:
        return everywhere
    bars = ~everywhere
    bars[rows[0] + _BAR : rows[-1] + 1 - _BAR, cols[0] + _BAR : cols[-1] + 1 - _BAR] = True
    return bars if bars.mean() > 0.5 and not lit.all(axis=None) else everywhere


def placed(
    photo: Photo, thermal: npt.NDArray[Any], placement: Placement, digital_zoom: float
) -> tuple[Photo, Mask, list[str]]:
    """Cut a photo to the field of a thermal image (h, w) without holes.

    The camera's placement is corrected for its digital zoom, by which some cameras multiply the
    placement's, and for parallax, where the edges of both images say so.

    Parameters
    ----------
    digital_zoom : float
        What the file says of it; 1 if nothing.

    Returns
    -------
    photo, valid, notes
        The part (H, W, 3), where it holds an image (H, W), and what was corrected.
    """
    notes, valid = [], shown(photo)
    shapes = (photo.shape[0], photo.shape[1]), (thermal.shape[0], thermal.shape[1])

    def box_at(zoom: float) -> npt.NDArray[np.float64]:
        return replace(placement, zoom=placement.zoom / zoom).box(*shapes)

    zoom = parallax.digital_zoom(thermal, photo, valid, box_at, placement.zoom, digital_zoom)
    if zoom != 1:
        notes.append(f"the photo's placement is corrected for a digital zoom of {zoom:.3g}")
    box = box_at(zoom)
    down, right = parallax.displacement(thermal, photo, valid, box)
    if down or right:
        notes.append(
            f"the photo is moved by {right:+.0f} pixels horizontally and {down:+.0f} "
            "vertically from the camera's placement"
        )
    part, seen = cut(photo, box + np.array([down, right, down, right]))
    return part, seen, notes


def resized(photo: Photo, valid: Mask, shape: tuple[int, int]) -> tuple[Photo, Mask]:
    """Return a photo and its mask at another height and width."""
    import torch

    from cmsr.operators.resampling import resampler

    bands = torch.from_numpy(np.moveaxis(photo, -1, 0).astype(np.float32))
    made = resampler((photo.shape[0], photo.shape[1]), shape)(bands).numpy()
    rows, cols = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for old, new in zip(photo.shape, shape, strict=False)
    )
    colours = np.clip(np.rint(np.moveaxis(made, 0, -1)), 0, 255).astype(np.uint8)
    return colours, valid[np.ix_(rows, cols)]
