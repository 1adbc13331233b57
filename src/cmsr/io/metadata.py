"""Metadata of a raster file: what a result inherits, read and written with rasterio."""

from __future__ import annotations

import math
from copy import copy
from typing import Any

import numpy as np
from rasterio._err import CPLE_BaseError
from rasterio.control import GroundControlPoint
from rasterio.errors import RasterioError
from rasterio.windows import Window

_INTERNAL_TAGS = {"AREA_OR_POINT", "TIFFTAG_XRESOLUTION", "TIFFTAG_YRESOLUTION"}
"""Tags about the pixel grid, which a result does not share."""


def read(dataset: Any, bands: list[int], window: Window | None) -> dict[str, Any]:
    """Return the metadata of some bands, the first is 1, and of a window; see `Raster.profile`."""
    here = [band - 1 for band in bands]
    transform = dataset.transform
    if window is not None and not transform.is_identity:
        transform = dataset.window_transform(window)
    return {
        "crs": dataset.crs,
        "transform": transform,
        "nodata": _representable(dataset.nodata, dataset.dtypes[here[0]]),
        "descriptions": [dataset.descriptions[i] for i in here],
        "scales": [dataset.scales[i] for i in here],
        "offsets": [dataset.offsets[i] for i in here],
        "units": [dataset.units[i] for i in here],
        "colorinterp": [dataset.colorinterp[i] for i in here],
        "tags": {
            name: text
            for name, text in tags(dataset).items()
            if name not in _INTERNAL_TAGS and not name.startswith("EXIF_")  # see cmsr.io.carried
        },
        "band_tags": [_without_statistics(tags(dataset, band)) for band in bands],
        "gcps": dataset.gcps if window is None else ([], None),
        "rpcs": _rpcs(dataset) if window is None else None,
        "cog": dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG",
    }


def _representable(nodata: float | None, dtype: str) -> float | None:
    """Return a nodata value that values of a type can have; None for any other."""
    if nodata is None or dtype.startswith(("complex", "float64")):
        return nodata
    if dtype == "float32":
        return nodata if not math.isfinite(nodata) or abs(nodata) < 3.5e38 else None
    limits = np.iinfo(dtype)
    return nodata if limits.min <= nodata <= limits.max and nodata == int(nodata) else None


def write(dataset: Any, profile: dict[str, Any]) -> None:
    """Set band names, units, scales, colours and tags."""
    dataset.update_tags(**profile.get("tags", {}))
    for index, text in enumerate(profile.get("descriptions", ()), start=1):
        dataset.set_band_description(index, text or "")
    for index, of_band in enumerate(profile.get("band_tags", ()), start=1):
        dataset.update_tags(index, **of_band)
    for index, unit in enumerate(profile.get("units", ()), start=1):
        dataset.set_band_unit(index, unit or "")
    for name, usual in (("scales", 1.0), ("offsets", 0.0)):
        values = profile.get(name, [])
        if any(value != usual for value in values):
            setattr(dataset, name, (*values, *[usual] * (dataset.count - len(values))))
    colours = profile.get("colorinterp", ())
    if 0 <= dataset.count - len(colours) <= 1:  # one more: alpha
        dataset.colorinterp = [*colours, *dataset.colorinterp[len(colours) :]]


def _rpcs(dataset: Any) -> Any:
    """Return the rational polynomials of a file; None if there are none, or they are broken."""
    try:
        return dataset.rpcs
    except (RasterioError, CPLE_BaseError, ValueError, KeyError):
        return None


def write_points(dataset: Any, profile: dict[str, Any], growth: tuple[float, float]) -> None:
    """Set ground control points and RPCs, for a grid so many times as fine (down, across)."""
    points, crs = profile.get("gcps") or ([], None)
    if points:
        moved = [
            GroundControlPoint(p.row * growth[0], p.col * growth[1], p.x, p.y, p.z, p.id, p.info)
            for p in points
        ]
        dataset.gcps = (moved, crs)
    rpcs = profile.get("rpcs")
    if rpcs is not None:
        changed = copy(rpcs)
        # the first pixel's centre is 0 there
        changed.line_off = (rpcs.line_off + 0.5) * growth[0] - 0.5
        changed.samp_off = (rpcs.samp_off + 0.5) * growth[1] - 0.5
        changed.line_scale = rpcs.line_scale * growth[0]
        changed.samp_scale = rpcs.samp_scale * growth[1]
        dataset.rpcs = changed


def tags(dataset: Any, band: int = 0) -> dict[str, str]:
    """Return the tags of a file or band; none if they are broken."""
    try:
        return dict(dataset.tags(band))
    except (RasterioError, CPLE_BaseError):
        return {}


def _without_statistics(found: dict[str, str]) -> dict[str, str]:
    """Return the tags without statistics of the values, which a result does not share."""
    return {name: text for name, text in found.items() if not name.startswith("STATISTICS_")}
