"""Crops side by side: input, every method, truth, with the PSNR under each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.io.atomic import replacing
from cmsr.pictures import Box, Panel, colour, enlarge, range_of, sheet, window_of_most

SHARE = 4
"""An image's sides over those of its crop."""

WIDTH = 240
"""Width of a crop in the picture, in pixels."""


@dataclass(frozen=True)
class Strip:
    """One pair's row of images.

    Attributes
    ----------
    name : str
    target : array, shape (h, w)
        The input.
    truth : array, shape (H, W), or None
    images : list of (method, image of shape (H, W), PSNR or None)
    """

    name: str
    target: npt.NDArray[Any]
    truth: npt.NDArray[Any] | None
    images: list[tuple[str, npt.NDArray[Any], float | None]]

    @property
    def box(self) -> Box:
        """Crop in which the methods and the truth differ most from the first method."""
        first, *others = [image.astype(np.float64) for _, image, _ in self.images]
        if self.truth is not None:
            others.append(self.truth.astype(np.float64))
        height, width = first.shape
        total = sum(((other - first) ** 2 for other in others), np.zeros_like(first))
        return window_of_most(total, height // SHARE, width // SHARE)

    @property
    def low_box(self) -> Box:
        """The same crop in pixels of the input."""
        left, top, right, bottom = self.box
        height, width = (
            small / large
            for small, large in zip(self.target.shape, self.images[0][1].shape, strict=True)
        )
        return (
            round(left * width), round(top * height), round(right * width), round(bottom * height)
        )  # fmt: skip


def draw(path: Path, strips: Sequence[Strip]) -> None:
    """Draw a row for each strip: input, methods, truth, all in the row's own range of values."""
    picture = sheet([_panels(strip) for strip in strips])
    with replacing(path) as temporary:
        picture.save(temporary, "PNG")


def _panels(strip: Strip) -> list[Panel]:
    box = _slices(strip.box)
    shown = strip.truth if strip.truth is not None else strip.images[-1][1]
    low, high = range_of(shown[box])
    crops = [(f"{strip.name}\ninput", strip.target[_slices(strip.low_box)])]
    for name, image, psnr in strip.images:
        crops.append((name if psnr is None else f"{name}\n{psnr:.2f} dB", image[box]))
    if strip.truth is not None:
        crops.append(("truth", strip.truth[box]))
    left, top, right, bottom = strip.box
    shape = round(WIDTH * (bottom - top) / (right - left)), WIDTH
    return [
        Panel(caption, enlarge(colour(crop, low, high, "gray"), shape)) for caption, crop in crops
    ]


def _slices(box: Box) -> tuple[slice, slice]:
    left, top, right, bottom = box
    return slice(top, bottom), slice(left, right)
