"""How large a result may be: in pixels, and in memory."""

from __future__ import annotations

import math

from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.io.raster import Raster

WORK, RESULT = 900, 16
"""Bytes that a run takes for each pixel of a tile or of a network's result, and for each value."""

HELD = 24
"""Bytes that a result kept in memory takes for each pixel, its guide included, beside `RESULT`."""


def gigabytes(shape: tuple[int, int], channels: int) -> float:
    """Estimate the memory of a run with a result of this shape, in GB."""
    return shape[0] * shape[1] * (WORK + RESULT * channels) / 2**30


def check_pixels(name: str, shape: tuple[int, int], config: Config) -> None:
    """Raise InputError if a result of this shape has more than ``max_pixels``."""
    if shape[0] * shape[1] > config.max_pixels:
        raise InputError(
            f"{name}: a result of {shape[1]} × {shape[0]} pixels exceeds --max-pixels "
            f"{config.max_pixels}"
        )


def held_gigabytes(shape: tuple[int, int], channels: int) -> float:
    """Estimate what a finished result of this shape takes in memory."""
    return shape[0] * shape[1] * (HELD + RESULT * channels) / 2**30


def check_size(target: Raster, shape: tuple[int, int], config: Config) -> None:
    """Check that the options allow a result of this shape.

    Raises
    ------
    InputError
        If it has more than ``max_pixels``, or needs more than ``max_memory``.
    """
    check_pixels(target.name, shape, config)
    estimate = gigabytes if config.method == "two-branch" else held_gigabytes
    needed = estimate(shape, len(target.data))
    if needed > config.max_memory:
        network = config.method == "two-branch"
        remedy = "; --size makes it smaller, and preset default needs less" if network else ""
        raise InputError(
            f"{target.name}: the result of {shape[1]} × {shape[0]} pixels needs about "
            f"{needed:.1f} GB of memory; --max-memory {math.ceil(needed)} allows it{remedy}"
        )
