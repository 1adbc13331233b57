"""Holes of a target: a value that stands for no measurement, given or recognised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from cmsr.config import Config
from cmsr.io.raster import Raster

_LOSSY = (".jpg", ".jpeg")


def with_holes(target: Raster, config: Config, notes: list[str]) -> Raster:
    """Mark pixels whose value stands for no measurement as not valid."""
    value = config.invalid
    if value == "none":
        return target
    if value == "auto":
        if not _zeros_are_holes(target):
            return target
        value = 0.0
        notes.append(f"{target.name}: 0 is taken for no measurement (--invalid none if it is one)")
    nowhere = (target.data == value).all(axis=0)
    valid = target.valid & ~nowhere
    return replace(target, valid=valid, profile={**target.profile, "hole": value})


_LEAST_ZEROS = 1e-4
"""Smallest share of zeros that are taken for holes."""

_LEAST_STEP = 0.1
"""Smallest gap between zero and the measured values, as a share of their 99th percentile."""

_MOST_BETWEEN = 0.01
"""Most pixels in this gap per zero: more of them show that zeros were interpolated as values."""


def _zeros_are_holes(target: Raster) -> bool:
    """Recognise holes: zeros far below all other values, with next to nothing in between.

    Only in a single band without a nodata value and without negative values, and never in a lossy
    format.
    """
    path = Path(target.name)
    marked = target.profile.get("nodata") is not None or target.alpha
    if marked or len(target.data) > 1 or path.suffix.lower() in _LOSSY:
        return False
    seen = target.data[0][target.valid]
    zeros = np.count_nonzero(seen == 0)
    if zeros < max(2, _LEAST_ZEROS * seen.size) or zeros == seen.size or seen.min() < 0:
        return False
    above = seen[seen > 0].astype(np.float64)
    step = _LEAST_STEP * float(np.percentile(above, 99))
    return bool(np.count_nonzero(above < step) <= _MOST_BETWEEN * zeros)
