"""Crops side by side: input, every method, truth, with the PSNR under each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from cmsr.files.atomic import replacing
from cmsr.pictures import Box, window_of_most

SHARE = 4
"""A crop's sides are this part of the image's."""


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
        """Where the methods, and the truth, differ most from the first."""
        first, *others = [image.astype(np.float64) for _, image, _ in self.images]
        if self.truth is not None:
            others.append(self.truth.astype(np.float64))
        height, width = first.shape
        total = sum(((other - first) ** 2 for other in others), np.zeros_like(first))
        return window_of_most(total, height // SHARE, width // SHARE)


def draw(path: Path, strips: Sequence[Strip], colour_map: str = "gray") -> None:
    """Draw strips of the same methods, each in the range of values that its crop needs."""
    columns = 1 + max(len(s.images) for s in strips) + any(s.truth is not None for s in strips)
    left, top, right, bottom = strips[0].box
    height = 1.5 * (bottom - top) / (right - left) + 0.45
    figure = Figure(figsize=(1.5 * columns, height * len(strips)), layout="constrained")
    grid = figure.subplots(len(strips), columns, squeeze=False)
    for row, strip in zip(grid, strips, strict=True):
        for axes, (name, crop, note) in zip(row, _cells(strip), strict=False):
            shown = strip.truth if strip.truth is not None else strip.images[-1][1]
            low, high = np.percentile(shown[_slices(strip.box)], [0.5, 99.5])
            axes.imshow(crop, cmap=colour_map, vmin=low, vmax=high, interpolation="nearest")
            axes.set_title(name, fontsize=7)
            axes.set_xlabel(note, fontsize=7)
        for axes in row:
            axes.set_xticks([])
            axes.set_yticks([])
        row[0].set_ylabel(strip.name, fontsize=7)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=200)


def _cells(strip: Strip) -> list[tuple[str, npt.NDArray[Any], str]]:
    """Name, crop and what to write below it."""
    shape, box = strip.images[0][1].shape, strip.box
    low = tuple(
        round(edge * small / large)
        for edge, small, large in zip(
            box, (*strip.target.shape[::-1],) * 2, (*shape[::-1],) * 2, strict=True
        )
    )
    left, top, right, bottom = low
    cells = [("input", strip.target[_slices((left, top, right, bottom))], "")]
    for name, image, psnr in strip.images:
        cells.append((name, image[_slices(box)], "" if psnr is None else f"{psnr:.2f} dB"))
    if strip.truth is not None:
        cells.append(("truth", strip.truth[_slices(box)], ""))
    return cells


def _slices(box: Box) -> tuple[slice, slice]:
    left, top, right, bottom = box
    return slice(top, bottom), slice(left, right)
