"""xarray's DataArrays as images: which dimension is which, where they lie, what their values mean.

xarray is not imported here: who hands over a DataArray has it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine

from cmsr.errors import InputError
from cmsr.io.raster_io import Grid

_DOWN = ("y", "lat", "latitude", "northing", "row", "rows", "height")
_ACROSS = ("x", "lon", "longitude", "long", "easting", "column", "columns", "col", "cols", "width")
_BANDS = ("band", "bands", "channel", "channels", "wavelength", "c", "rgb", "time")
"""Names of dimensions, in small letters."""

_EVEN = 0.01
"""Largest deviation of evenly spaced coordinates, in steps."""


def is_one(source: Any) -> bool:
    """Tell whether something is a DataArray.

    Raises
    ------
    InputError
        If it is a Dataset.
    """
    if not type(source).__module__.startswith("xarray."):
        return False
    if hasattr(source, "data_vars"):
        names = ", ".join(map(str, source.data_vars))
        raise InputError(f"a Dataset of {names or 'nothing'} is no image; name one variable of it")
    return hasattr(source, "dims") and hasattr(source, "coords")


def plain(array: Any, valid: Any) -> npt.NDArray[Any]:
    """Return a result, or a DataArray of one, as rows, columns and bands; ``valid`` is (H, W)."""
    if not is_one(array):
        return np.asarray(array)
    return np.asarray(array.transpose(*dimensions(valid, "the result"), ...).data)


def dimensions(array: Any, name: str, axis: int | None = None) -> tuple[Hashable, ...]:
    """Return the names of the rows', the columns' and, if there is one, the bands' dimension.

    Raises
    ------
    InputError
        If there are not two or three, or their names do not tell which is which.
    """
    dims = tuple(array.dims)
    down, across = (_one_of(array, *of) for of in ((_DOWN, "Y"), (_ACROSS, "X")))
    listed = ", ".join(map(str, dims))
    if len(dims) not in (2, 3):
        raise InputError(
            f"{name}: has the dimensions ({listed}); expected rows, columns and at most one more: "
            "take one of the others by .isel"
        )
    if axis is not None and len(dims) == 3:
        band = dims[axis]
        down, across = (dim for dim in dims if dim != band)
    elif down is None or across is None:
        bands = [dim for dim in dims if str(dim).lower() in _BANDS]
        rest = [dim for dim in dims if dim not in bands[:1]] if len(dims) == 3 else list(dims)
        if len(rest) != 2:
            raise InputError(
                f"{name}: which of its dimensions ({listed}) are rows and columns is not told by "
                "their names; rename them to y and x"
            )
        down, across = rest if down != rest[1] and across != rest[0] else rest[::-1]
    return down, across, *(dim for dim in dims if dim not in (down, across))


def _one_of(array: Any, names: tuple[str, ...], axis: str) -> Hashable | None:
    """Return the only dimension with one of some names, or whose coordinate says its axis."""
    named = [dim for dim in array.dims if str(dim).lower() in names]
    said = [dim for dim in array.dims
            if dim in array.coords and array.coords[dim].attrs.get("axis") == axis]  # fmt: skip
    found = said or named
    return found[0] if len(found) == 1 else None


def values_of(array: Any, name: str, axis: int | None) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Return a DataArray's values, (H, W) or (H, W, C), and its metadata; see `Raster.profile`."""
    dims = dimensions(array, name, axis)
    values = np.asarray(array.transpose(*dims).data)
    attrs, count = array.attrs, values.shape[2] if values.ndim == 3 else 1
    profile: dict[str, Any] = {
        "scales": [_number(attrs.get("scale_factor"), 1.0)] * count,
        "offsets": [_number(attrs.get("add_offset"), 0.0)] * count,
        "units": [str(attrs.get("units", ""))] * count,
    }
    grid = grid_of(array, name, axis)
    if grid is not None:
        profile |= {"crs": grid.crs, "transform": grid.transform}
    nodata = attrs.get("_FillValue", attrs.get("missing_value"))
    if nodata is not None and np.ndim(nodata) == 0:
        profile["nodata"] = float(nodata)
        values = np.ma.masked_array(values, values == nodata)
    return values, profile


def _number(value: Any, usual: float) -> float:
    try:
        return usual if value is None else float(value)
    except (TypeError, ValueError):
        return usual


def grid_of(array: Any, name: str, axis: int | None = None) -> Grid | None:
    """Return where a DataArray lies on the ground; None where its coordinates do not say.

    Coordinates that count pixels are no place, unless there is a coordinate system.
    """
    down, across = dimensions(array, name, axis)[:2]
    crs, shape = _crs(array), (array.sizes[down], array.sizes[across])
    if down not in array.coords and across not in array.coords:
        text = str(reference(array).get("GeoTransform", "")).split()
        return Grid(crs, Affine.from_gdal(*map(float, text)), shape) if len(text) == 6 else None
    lines = [_line(array, dim) for dim in (down, across)]
    if any(line is None for line in lines):
        return None
    (top, high), (left, wide) = (line for line in lines if line)
    if crs is None and (high, wide) == (1, 1) and (top, left) in ((0, 0), (1, 1), (0.5, 0.5)):
        return None
    return Grid(crs, Affine(wide, 0, left - wide / 2, 0, high, top - high / 2), shape)


def _line(array: Any, dim: Hashable) -> tuple[float, float] | None:
    """Return the first coordinate and the step of a dimension; None unless they are even."""
    if dim not in array.coords or array.coords[dim].dtype.kind not in "iuf":
        return None
    places = np.asarray(array.coords[dim].data, np.float64)
    if len(places) < 2:
        return None
    step = (places[-1] - places[0]) / (len(places) - 1)
    even = places[0] + step * np.arange(len(places))
    off = np.abs(places - even).max() > _EVEN * abs(step)
    return None if not step or off else (float(places[0]), float(step))


def _crs(array: Any) -> Any:
    """Return the coordinate system that rioxarray finds, or None."""
    try:
        import rioxarray  # noqa: F401 (adds .rio)
    except ImportError:
        return None
    return array.rio.crs


def reference(array: Any) -> Mapping[str, Any]:
    """Return what the coordinate that stands for the coordinate system says."""
    name = array.encoding.get("grid_mapping", array.attrs.get("grid_mapping", "spatial_ref"))
    return array.coords[name].attrs if name in array.coords else {}
