"""The expected error of a result as a file: float32, in the target's unit, NaN in holes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmsr.io import raster_output
from cmsr.io.atomic import replacing
from cmsr.io.raster import Raster

NAME = "expected absolute error"


def error_raster(target: Raster) -> Raster:
    """Return what a file of expected errors inherits from a target: its place, names and units."""
    kept = ("crs", "transform", "gcps", "rpcs")
    count = len(target.data)
    names = target.profile.get("descriptions") or [None] * count
    profile = {
        **{key: target.profile[key] for key in kept if key in target.profile},
        "nodata": float("nan"),
        "descriptions": [f"{name}, {NAME}" if name else NAME for name in names],
        "units": [target.unit(channel)[2] for channel in range(count)],
    }
    blank = np.broadcast_to(np.float32(0), target.data.shape)
    return replace(target, data=blank, alpha=False, by_band=None, profile=profile)


Rows = Callable[[int, npt.NDArray[np.float32] | None, npt.NDArray[np.bool_]], None]
"""Writes rows from a given one on: errors (C, n, W), and where they are valid (n, W)."""


@contextmanager
def by_rows(path: Path | None, target: Raster, shape: tuple[int, int]) -> Iterator[Rows]:
    """Create a TIFF of height and width ``shape``, whole or not at all; nothing without a path.

    Raises
    ------
    OutputError
        If the file cannot be written; nothing is left behind.
    """
    if path is None:
        yield lambda *_: None
        return
    like = error_raster(target)
    with replacing(path) as temporary, raster_output.by_rows(temporary, like, shape) as write:
        yield lambda first, error, valid: None if error is None else write(first, error, valid)
