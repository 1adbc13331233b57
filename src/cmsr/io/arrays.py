"""Images in memory as arrays (H, W) or (H, W, C) of a type that is computed with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.io import MemoryFile
from rasterio.windows import Window

from cmsr.errors import InputError
from cmsr.io import data_arrays, raster_io
from cmsr.io.photo import cut
from cmsr.io.raster import DTYPES, Limits, Raster, from_array
from cmsr.io.raster_io import Grid
from cmsr.io.raster_output import encode

MOST_CHANNELS, LEAST_SIDE = 16, 4
"""Most channels that are taken for such without being told; and the least side of an image."""

_COLOURS = ("1", "L", "LA", "RGB", "RGBA", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
"""PIL's modes whose values are intensities."""


def in_memory(
    source: Any,
    name: str,
    axis: int | None = None,
    *,
    expand: bool = False,
    window: Window | None = None,
    **profile: Any,
) -> Raster:
    """Return an array, a masked array, a DataArray, a tensor or a PIL image as a raster.

    Parameters
    ----------
    source : array-like, shape (H, W), (H, W, C) or (C, H, W)
        float16, bool and 64-bit integers are computed with in types that hold all of their values.
    name : str
        For messages.
    axis : int, optional
        Where its channels are, if it has three axes: 2 or 0. By itself this is found as far as the
        shape tells.
    expand : bool
        Whether a PIL image with a palette is expanded to its colours, else it is refused.
    window : Window, optional
        Part of it, all otherwise.
    **profile
        Of the raster; its ``stored`` is the type that the result is to have.

    Raises
    ------
    InputError
        If it is no such image.
    """
    if data_arrays.is_one(source):
        array, described = data_arrays.values_of(source, name, axis)
        profile = described | profile
    else:
        array = _channels_last(_as_array(source, name, expand), name, axis)
    held = _held(array, name)
    if held.dtype.name != array.dtype.name:
        profile["stored"] = array.dtype.newbyteorder("=")
    raster = from_array(held, name, **profile)
    return raster if window is None else _part(raster, window)


def _part(raster: Raster, window: Window) -> Raster:
    """Return a part of a raster where it lies."""
    top, left, height, width = (
        int(n) for n in (window.row_off, window.col_off, window.height, window.width)
    )
    part = cut(raster, (top, left, top + height, left + width))
    moved = raster.profile["transform"] * Affine.translation(left, top)
    own = {"transform": moved, "window": (top, left, height, width)}
    return replace(part, profile=raster.profile | own)


def on_grid(raster: Raster, grid: Grid, limits: Limits) -> Raster:
    """Return a raster with a place on the ground resampled to a grid there, bicubically."""
    profile = {key: raster.profile.get(key) for key in ("crs", "transform", "nodata")}
    profile["transform"] = profile["transform"] or Affine.identity()
    if np.issubdtype(raster.data.dtype, np.floating):
        raster = replace(raster, data=np.where(raster.measured, raster.data, np.nan))
        profile["nodata"] = float("nan")
    elif not raster.valid.all():
        profile["mask"] = True
    stored = replace(raster, profile=profile, by_band=None)
    content = encode(Path("guide.tif"), [(raster.data, raster.valid, stored)])
    with MemoryFile(content, ext=".tif") as memory:
        return raster_io.read(raster.name, memory.name, grid=grid, limits=limits)


def _as_array(source: Any, name: str, expand: bool) -> npt.NDArray[Any]:
    """Return a tensor, whatever its device and gradient, a PIL image or an array-like."""
    try:
        if hasattr(source, "detach"):
            source = source.detach().cpu()
            return np.asarray(source.float() if "bfloat16" in str(source.dtype) else source)
        if hasattr(source, "getbands"):
            return _of_pil(source, name, expand)
        return np.ma.asanyarray(source) if np.ma.isMaskedArray(source) else np.asarray(source)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{name}: is not an array ({reason})") from error


def _of_pil(picture: Any, name: str, expand: bool) -> npt.NDArray[Any]:
    """Return a PIL image, turned upright as a file is, what is transparent masked."""
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(picture)
    mode = picture.mode
    if mode in ("P", "PA"):
        if not expand:
            raise InputError(
                f"{name}: is a PIL image with a palette, whose values are not intensities; "
                '.convert("RGB") expands it'
            )
        picture = picture.convert(
            "RGBA" if mode == "PA" or picture.has_transparency_data else "RGB"
        )
    elif mode not in _COLOURS:
        raise InputError(
            f"{name}: is a PIL image of mode {mode}, whose values are not intensities; "
            '.convert("RGB") makes them such'
        )
    array = np.asarray(picture)
    if picture.mode not in ("LA", "RGBA"):
        return array
    clear = np.broadcast_to(array[..., -1:] == 0, array[..., :-1].shape)
    shown = np.ma.masked_array(array[..., :-1], clear)
    return shown[..., 0] if picture.mode == "LA" else shown


def _channels_last(array: npt.NDArray[Any], name: str, axis: int | None) -> npt.NDArray[Any]:
    """Return (H, W, C) of (C, H, W), which the shape or ``axis`` tells beyond doubt."""
    if array.ndim != 3 or not array.size:
        return array
    if axis is not None:
        return np.moveaxis(array, axis, -1)
    first, middle, last = array.shape
    leading, trailing = _are_channels(first, (middle, last)), _are_channels(last, (first, middle))
    if leading != trailing:
        return np.moveaxis(array, 0, -1) if leading else array
    raise InputError(
        f"{name}: shape {array.shape} may be {last} channels of {middle} × {first} pixels "
        f"(axis=2, or --axis 2) or {first} channels of {last} × {middle} (axis=0, or --axis 0); "
        "say which"
    )


def _are_channels(count: int, sides: tuple[int, int]) -> bool:
    """Tell whether so many may be channels of an image with these sides."""
    least = min(sides)
    return least >= LEAST_SIDE and (
        count <= LEAST_SIDE or (count <= MOST_CHANNELS and 2 * count <= least)
    )


def _held(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return the values in one of `DTYPES` that holds them all."""
    kind = array.dtype
    if kind == np.float16:
        return array.astype(np.float32)
    if kind == np.bool_:
        return array.astype(np.uint8)
    if kind.kind in "iu" and kind.itemsize == 8 and array.size:
        low, high = int(array.min()), int(array.max())
        for narrow in (np.int32, np.uint32):
            if np.iinfo(narrow).min <= low and high <= np.iinfo(narrow).max:
                return array.astype(narrow)
        if max(-low, high) > 2**53:
            raise InputError(
                f"{name}: holds {kind.name} values from {low} to {high}, more than a 64-bit float "
                "holds exactly; rescale them"
            )
        return array.astype(np.float64)
    return array.astype(kind.newbyteorder("=")) if kind.name in DTYPES else array
