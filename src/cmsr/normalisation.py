"""Bring a target to [0, 1]: its trend, its range, its bounds, the value of its holes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cmsr.errors import InputError
from cmsr.io.raster import Raster
from cmsr.operators.trend import fitted_trend, surface


def levelled(target: Raster) -> tuple[Raster, npt.NDArray[np.float64] | None]:
    """Take smooth surfaces off a target; return what is left, as floats, and the surfaces.

    The target itself where no channel has one that explains most of it.
    """
    measured = np.broadcast_to(target.measured, target.data.shape)
    filled = np.where(measured, target.data, 0).astype(np.float64)
    if not np.abs(filled).max() < 1e150:  # squares of these overflow
        return target, None
    found = [fitted_trend(*each) for each in zip(filled, measured, strict=True)]
    if all(trend is None for trend in found):
        return target, None
    trends = np.stack([np.zeros(6) if trend is None else trend for trend in found])
    left = filled - np.stack([surface(trend, target.shape) for trend in trends])
    return replace(target, data=left), trends


def normalised(
    target: Raster,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Map the measured range of each channel to [0, 1]; a constant channel to 0."""
    data = np.where(target.measured, target.data, 0).astype(np.float64)
    seen = [target.seen(band) for band in range(len(data))]
    low, high = (
        np.array([float(bound(values)) if values.size else 0.0 for values in seen])[:, None, None]
        for bound in (np.min, np.max)
    )
    with np.errstate(over="ignore"):
        scale = high - low
    if not np.isfinite(scale).all():
        raise InputError(
            f"{target.name}: its values span more than a 64-bit float can hold, "
            f"{low.min():.3g} to {high.max():.3g}; rescale them"
        )
    return np.where(target.measured, data - low, 0) / np.where(scale > 0, scale, 1), low, scale


_SIGNED = ("celsius", "fahrenheit", "degc", "degf", "°c", "°f", "db")
"""Parts of units whose zero is no end."""


def bounds_of(
    target: Raster, given: tuple[float, float] | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the bounds of each channel in stored values: those given, in its unit, or 0."""
    bounds = []
    for band in range(len(target.data)):
        scale, offset, unit = target.unit(band)
        if given is not None and scale:
            ends = [(end - offset) / scale for end in given]
            bounds.append((min(ends), max(ends)))
            continue
        seen = target.seen(band)
        named = unit.lower().replace(" ", "")
        signed = offset != 0 or named in ("c", "f") or any(part in named for part in _SIGNED)
        positive = seen.size and seen.min() >= 0 and not signed
        bounds.append((0.0 if positive else -np.inf, np.inf))
    low, high = np.array(bounds).T[:, :, None, None]
    return low, high


def hole_of(target: Raster) -> float | None:
    """Return the value that marks holes, the file's own nodata, else NaN where the type has one."""
    nodata = target.profile.get("nodata")
    nodata = target.profile.get("hole") if nodata is None else nodata
    if nodata is not None:
        return float(nodata)
    return float("nan") if np.issubdtype(target.data.dtype, np.floating) else None
