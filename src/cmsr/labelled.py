"""Results as DataArrays of xarray: the dimensions and attributes of the target, new coordinates."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine

from cmsr.config import Config
from cmsr.io.data_arrays import dimensions
from cmsr.io.raster import Raster
from cmsr.result import Result

_PACKING = ("scale_factor", "add_offset", "_FillValue", "missing_value", "dtype", "grid_mapping",
            "rasterio_dtype")  # fmt: skip
"""What of a DataArray's encoding holds for its result; chunks and the file's name do not."""

_OUTDATED = ("transform", "res", "actual_range", "valid_range", "valid_min", "valid_max")
"""Attributes of the old grid and its values."""

Array = npt.NDArray[Any]
Coords = dict[Hashable, tuple[tuple[Hashable, ...], Array, Mapping[Hashable, Any]]]


def labelled(result: Result, source: Any, config: Config) -> Result:
    """Return a result whose image, validity, guide weight and expected error are DataArrays.

    Parameters
    ----------
    result : Result
        With its evidence.
    source : DataArray
        The target.
    config : Config
        The options.
    """
    if result.evidence is None:
        raise ValueError("what the result was made from is missing")
    dims = dimensions(source, "target", config.axis)
    plain = _with_bands(source.transpose(*dims), result, config)
    coords = _coords(plain, dims[:2], result.evidence.target, result.valid.shape)

    def like(values: Array, **described: Any) -> Any:
        own = plain.dims[: values.ndim]
        kept = {name: coord for name, coord in coords.items() if {*coord[0]} <= {*own}}
        made = type(source)(values, kept, own, **described)
        return made.transpose(*(dim for dim in source.dims if dim in own))

    attrs = {name: value for name, value in source.attrs.items()
             if name not in _OUTDATED and not str(name).startswith("STATISTICS_")}  # fmt: skip
    image = like(_packable(result.image, source.encoding), name=source.name, attrs=attrs)
    image = _with_crs(image, result.evidence.target.profile.get("crs"))
    image.encoding = {name: source.encoding[name] for name in _PACKING if name in source.encoding}
    valid, weight = like(result.valid, name="valid"), like(result.guide_weight, name="guide_weight")
    error = None if result.error is None else like(result.error, name="expected_error")
    return replace(result, image=image, valid=valid, guide_weight=weight, error=error)


def _with_bands(plain: Any, result: Result, config: Config) -> Any:
    """Return a DataArray (y, x) or (y, x, band) with the bands that its result has."""
    if plain.ndim == 2:
        return plain
    band = plain.dims[2]
    if config.bands:
        plain = plain.isel({band: [number - 1 for number in config.bands]})
    return plain if result.image.ndim == 3 else plain.isel({band: 0}, drop=not config.bands)


def _coords(
    plain: Any, dims: tuple[Hashable, ...], target: Raster, size: tuple[int, int]
) -> Coords:
    """Return the coordinates at a result's pixel centres, and those that have no pixels.

    Texts and dates along rows or columns have no values between the pixels, and are left out.
    """
    top, left, height, width = target.profile.get("window", (0, 0, *plain.shape[:2]))
    spans = {dims[0]: (top, height, size[0]), dims[1]: (left, width, size[1])}
    coords: Coords = {}
    for name, coord in plain.coords.items():
        values = np.asarray(coord.data)
        if {*coord.dims} & {*dims} and values.dtype.kind not in "iuf":
            continue
        for axis, dim in enumerate(coord.dims):
            values = _between(values, axis, *spans[dim]) if dim in spans else values
        coords[name] = coord.dims, values, coord.attrs
    own = target.profile.get("transform", Affine.identity())
    if own.is_identity:
        return coords
    grown = own * Affine.scale(target.shape[1] / size[1], target.shape[0] / size[0])
    return _placed(coords, dims, size, grown)


def _between(values: Array, axis: int, first: int, count: int, size: int) -> Array:
    """Return coordinates at the centres of ``size`` pixels that cover ``count`` old ones."""
    place = first + (np.arange(size) + 0.5) * count / size - 0.5
    before = np.clip(np.floor(place).astype(int), 0, values.shape[axis] - 2)
    share = (place - before).reshape(-1, *[1] * (values.ndim - 1 - axis))
    low, high = (values.astype(np.float64).take(before + n, axis) for n in (0, 1))
    return np.asarray(low + share * (high - low))


def _placed(
    coords: Coords, dims: tuple[Hashable, ...], size: tuple[int, int], transform: Affine
) -> Coords:
    """Say where a result lies on the ground, as far as the target's own coordinates did not."""
    text = " ".join(map(str, transform.to_gdal()))
    said: Coords = {
        name: (own, values, {**attrs, "GeoTransform": text})
        for name, (own, values, attrs) in coords.items()
        if "GeoTransform" in attrs
    }
    if said or {*dims} & {*coords} or transform.b or transform.d:
        return {**coords, **said}
    down = transform.f + transform.e * (np.arange(size[0]) + 0.5)
    across = transform.c + transform.a * (np.arange(size[1]) + 0.5)
    return {**coords, dims[0]: ((dims[0],), down, {}), dims[1]: ((dims[1],), across, {})}


def _with_crs(image: Any, crs: Any) -> Any:
    """Write a coordinate system that a result has from its guide, if rioxarray is there."""
    if crs is None:
        return image
    try:
        import rioxarray  # noqa: F401 (adds .rio)
    except ImportError:
        return image
    return image if image.rio.crs else image.rio.write_crs(crs)


def _packable(image: Array, encoding: Mapping[str, Any]) -> Array:
    """Limit values to those that the integers of an encoding hold, besides their fill value."""
    kind = np.dtype(encoding.get("dtype", float))
    if kind.kind not in "iu" or image.dtype.kind != "f":
        return image
    ends, fill = np.iinfo(kind), encoding.get("_FillValue")
    packed = np.array([ends.min + (fill == ends.min), ends.max - (fill == ends.max)], np.float64)
    limits = packed * encoding.get("scale_factor", 1.0) + encoding.get("add_offset", 0.0)
    return image.clip(*np.sort(limits).astype(image.dtype))
