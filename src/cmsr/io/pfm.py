"""Portable float maps (PFM), in which depth and disparity are often published; GDAL reads none."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from cmsr.errors import InputError
from cmsr.io.raster import Limits, Raster, from_array

ENDING = ".pfm"

_HEADER = re.compile(rb"(P[Ff])\s+(\d+)\s+(\d+)\s+(-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s")


def read(path: Path, limits: Limits) -> Raster:
    """Read a PFM, grey or RGB, float32, whose rows go from the bottom up.

    Raises
    ------
    InputError
        If it is broken, truncated or too large.
    """
    with path.open("rb") as file:
        found = _HEADER.match(file.read(200))
        if found is None:
            raise InputError(f"{path}: not a PFM that can be read")
        width, height = int(found[2]), int(found[3])
        channels = 3 if found[1] == b"PF" else 1
        size = 4 * width * height * channels
        limits.check(str(path), (height, width, channels), size)
        file.seek(found.end())
        content = file.read(size)
    if len(content) < size:
        raise InputError(f"{path}: is truncated: {len(content)} of {size} bytes are there")
    order = "<f4" if float(found[4]) < 0 else ">f4"
    rows = np.frombuffer(content, order).reshape(height, width, channels)[::-1]
    image = rows.astype(np.float32)
    return from_array(image[..., 0] if channels == 1 else image, str(path), npy=True)
