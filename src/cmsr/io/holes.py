"""Holes of a target: values that stand for no measurement, given or recognised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.config import Config
from cmsr.io.raster import Raster

_LOSSY = (".jpg", ".jpeg")


def with_holes(target: Raster, config: Config, notes: list[str]) -> Raster:
    """Mark, band by band, what stands for no measurement as not measured."""
    value = config.invalid
    if value == "none":
        return target
    if value != "auto":
        return _without(target, value)
    if Path(target.name).suffix.lower() in _LOSSY:
        return target
    target = _without_sentinels(target, notes)
    if not _zeros_are_holes(target):
        return target
    notes.append(f"{target.name}: 0 is treated as no measurement; if it is one, use --invalid none")
    return _without(target, 0.0)


def _without(target: Raster, value: float) -> Raster:
    """Mark a value as not measured; in a picture of 8 bits, where all bands have it."""
    nowhere = target.data == np.float64(value)
    if target.data.dtype == np.uint8:
        nowhere = np.broadcast_to(nowhere.all(axis=0), nowhere.shape)
    marked = target.with_measured(target.measured & ~nowhere)
    return replace(marked, profile={**target.profile, "hole": value})


_SENTINELS = (
    *(sign * value for value in (99, 999, 9999, 99999, 999999, 9999999) for sign in (-1, 1)),
    *(-32768, -32767, 32767, 65535, -(2**31), -(2**31) + 1, 2**31 - 1, 2**32 - 1),
)
"""Values that files use for no measurement besides zero and anything beyond `_BEYOND`."""

_BEYOND = 1e19
"""Magnitude that no measurement has: fill values of NetCDF (1e20, 9.97e36), largest floats."""

_APART = 1.0
"""Least gap between a sentinel and the measured values, in spans of the latter; a saturated pixel
of 16 bits in a scene that fills a third of them is a value."""

_LEAST_VALUES = 8
"""Different values that must be left: fewer are a class map, whose extremes are classes."""


def _without_sentinels(target: Raster, notes: list[str]) -> Raster:
    """Mark extremes that no measurement has and that lie apart from all else."""
    for _ in range(2):  # one below and one above
        found = {band: _sentinel(target.seen(band)) for band in range(len(target.data))}
        values = sorted({value for value in found.values() if value is not None})
        if not values:
            break
        measured = np.broadcast_to(target.measured, target.data.shape).copy()
        for band, value in found.items():
            if value is not None:
                measured[band] &= target.data[band] != target.data.dtype.type(value)
        named = ", ".join(f"{value:g}" for value in values)
        notes.append(
            f"{target.name}: {named} is treated as no measurement; if it is one, use --invalid none"
        )
        profile = dict(target.profile)
        if profile.get("nodata") is None and not (target.alpha or profile.get("mask")):
            profile["nodata"] = values[0]
        target = replace(target.with_measured(measured), profile=profile)
    return target


def _sentinel(seen: npt.NDArray[Any]) -> float | None:
    """Return the value of a band (N,) that stands for no measurement; None if there is none."""
    if seen.size == 0 or seen.dtype == np.uint8:
        return None
    for value in (float(seen.min()), float(seen.max())):
        beyond = abs(value) > _BEYOND
        if not beyond and value not in _SENTINELS:
            continue
        rest = seen[seen != seen.dtype.type(value)].astype(np.float64)
        if np.unique(rest[: 2**16]).size < _LEAST_VALUES:
            continue
        low, high = rest.min(), rest.max()
        gap = low - value if value < low else value - high
        if gap > _APART * (high - low):
            return value
    return None


_LEAST_ZEROS = 1e-4
"""Smallest share of zeros that are taken for holes."""

_LEAST_STEP = 0.1
"""Smallest gap between zero and the measured values, as a share of their 99th percentile."""

_MOST_BETWEEN = 0.01
"""Most pixels in this gap per zero: more of them show that zeros were interpolated as values."""


def _zeros_are_holes(target: Raster) -> bool:
    """Recognise holes: zeros far below all other values, with next to nothing in between.

    Only in a single band without a nodata value and without negative values.
    """
    marked = target.profile.get("nodata") is not None or target.alpha or target.profile.get("mask")
    truths = target.profile.get("stored") == np.bool_
    if marked or truths or len(target.data) > 1 or target.profile.get("palette"):
        return False
    seen = target.seen(0)
    zeros = np.count_nonzero(seen == 0)
    if zeros < max(2, _LEAST_ZEROS * seen.size) or zeros == seen.size or seen.min() < 0:
        return False
    above = seen[seen > 0].astype(np.float64)
    step = _LEAST_STEP * float(np.percentile(above, 99))
    return bool(np.count_nonzero(above < step) <= _MOST_BETWEEN * zeros)
