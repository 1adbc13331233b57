"""Points set by hand: two Points layers, one on each image, as a file for the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Points

from cmsr.app.napari.layers import on_field_of, size_of
from cmsr.errors import InputError
from cmsr.registration.points import COLUMNS

NUMBER = "number"
"""The feature that is written beside each point."""


def rows_of(
    target: Image, guide: Image, on_target: Points, on_guide: Points
) -> npt.NDArray[np.float64]:
    """Return rows (n, 4) of places in pixels, from the top left corners of both images.

    Raises
    ------
    InputError
        If the layers do not hold the same number of points.
    """
    here, there = len(on_target.data), len(on_guide.data)
    if here != there:
        raise InputError(
            f"{on_target.name} has {here} points, {on_guide.name} {there}; set the same places in "
            "both, in the same order"
        )
    return np.hstack([_places(target, on_target), _places(guide, on_guide)])


def write(path: Path, rows: npt.NDArray[np.float64]) -> None:
    """Write points as `cmsr.registration.points` reads them."""
    lines = [",".join(COLUMNS), *(",".join(f"{x:.4f}" for x in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def empty_on(image: Image) -> Points:
    """Return a layer for points on an image, each with its number."""
    size = size_of(image)
    made = Points(
        ndim=2,
        name=f"points on {image.name}",
        size=max(size) / 40,
        face_color="transparent",
        border_color="cyan",
        border_width=0.2,
        features={NUMBER: np.empty(0, np.int64)},
        text={
            "string": f"{{{NUMBER}}}",
            "color": "cyan",
            "size": 14,
            "anchor": "upper_left",
            "translation": np.full(2, max(size) / 80),
        },
        **on_field_of(image, size),
    )
    made.events.data.connect(lambda: _count(made))
    return made


def _count(points: Points) -> None:
    """Give points numbers, in the order in which they were set."""
    points.features = {NUMBER: np.arange(len(points.data)) + 1}


def _places(image: Image, points: Points) -> npt.NDArray[np.float64]:
    """Return x and y of points (n, 2) in an image's pixels; a pixel's centre lies at a half."""
    at = [image.world_to_data(points.data_to_world(point))[-2:] for point in points.data]
    return np.array(at, np.float64).reshape(-1, 2)[:, ::-1] + 0.5
