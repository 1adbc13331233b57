"""Crops side by side: input, every method, truth, with the PSNR under each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from cmsr.io.atomic import replacing
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

    @property
    def low_box(self) -> Box:
        """The same place in the input."""
        left, top, right, bottom = self.box
        height, width = (
            small / large
            for small, large in zip(self.target.shape, self.images[0][1].shape, strict=True)
        )
        return (
            round(left * width), round(top * height), round(right * width), round(bottom * height)
        )  # fmt: skip


def draw(path: Path, strips: Sequence[Strip], colour_map: str = "gray") -> None:
    """Draw a row for each strip, a column for each method; every row in its own range of values."""
    rows = [_cells(strip) for strip in strips]
    methods = list(dict.fromkeys(name for strip in strips for name, _, _ in strip.images))
    columns = ["input", *methods, *(["truth"] if any("truth" in row for row in rows) else [])]
    left, top, right, bottom = strips[0].box
    height = 1.5 * (bottom - top) / (right - left) + 0.3
    figure = Figure(figsize=(1.5 * len(columns), height * len(strips)), layout="constrained")
    grid = figure.subplots(len(strips), len(columns), squeeze=False)
    for line, strip, cells in zip(grid, strips, rows, strict=True):
        shown = strip.truth if strip.truth is not None else strip.images[-1][1]
        low, high = np.percentile(shown[_slices(strip.box)], [0.5, 99.5])
        for axes, name in zip(line, columns, strict=True):
            if name in cells:
                crop, note = cells[name]
                axes.imshow(crop, cmap=colour_map, vmin=low, vmax=high, interpolation="nearest")
                axes.set_xlabel(note, fontsize=7)
            axes.set(xticks=[], yticks=[], frame_on=name in cells)
        line[0].set_ylabel(strip.name, fontsize=7)
    for axes, name in zip(grid[0], columns, strict=True):
        axes.set_title(name, fontsize=7)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=200, bbox_inches="tight")


def _cells(strip: Strip) -> dict[str, tuple[npt.NDArray[Any], str]]:
    """Crop and what to write below it, by the column's name."""
    cells = {"input": (strip.target[_slices(strip.low_box)], "")}
    for name, image, psnr in strip.images:
        cells[name] = image[_slices(strip.box)], "" if psnr is None else f"{psnr:.2f} dB"
    if strip.truth is not None:
        cells["truth"] = strip.truth[_slices(strip.box)], ""
    return cells


def _slices(box: Box) -> tuple[slice, slice]:
    left, top, right, bottom = box
    return slice(top, bottom), slice(left, right)
