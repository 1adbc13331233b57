"""Images in memory as arrays (H, W) or (H, W, C) of a type that is computed with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.errors import InputError
from cmsr.io.raster import DTYPES, Raster, from_array

MOST_CHANNELS, FEW_CHANNELS = 16, 4
"""Most channels before the rows of an image that are taken for such; and so few that they are
channels where they come last, however small the image is."""


def in_memory(
    source: Any, name: str, axis: int | None = None, *, expand: bool = False, **profile: Any
) -> Raster:
    """Return an array, a masked array, a tensor or a PIL image as a raster.

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
    **profile
        Of the raster; its ``stored`` is the type that the result is to have.

    Raises
    ------
    InputError
        If it is no such image.
    """
    array = _channels_last(_as_array(source, name, expand), name, axis)
    held = _held(array, name)
    if held.dtype.name != array.dtype.name:
        profile["stored"] = array.dtype.newbyteorder("=")
    return from_array(held, name, **profile)


def _as_array(source: Any, name: str, expand: bool) -> npt.NDArray[Any]:
    """Return a tensor, whatever its device and gradient, a PIL image or an array-like."""
    if hasattr(source, "detach"):
        source = source.detach().cpu()
        source = (source.float() if "bfloat16" in str(source.dtype) else source).numpy()
    if getattr(source, "mode", "") in ("P", "PA"):
        if expand:
            return np.asarray(source.convert("RGB"))
        raise InputError(
            f"{name}: is a PIL image with a palette, whose values are not intensities; "
            '.convert("RGB") expands it'
        )
    try:
        return np.ma.asanyarray(source) if np.ma.isMaskedArray(source) else np.asarray(source)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}: is not an array ({error})") from error


def _channels_last(array: npt.NDArray[Any], name: str, axis: int | None) -> npt.NDArray[Any]:
    """Return (H, W, C) of (C, H, W), which the shape or ``axis`` tells."""
    if array.ndim != 3 or not array.size:
        return array
    if axis is not None:
        return np.moveaxis(array, axis, -1)
    first, middle, last = array.shape
    if last <= FEW_CHANNELS or last < min(first, middle):
        return array
    if first <= MOST_CHANNELS and 2 * first <= min(middle, last):
        return np.moveaxis(array, 0, -1)
    raise InputError(
        f"{name}: shape {array.shape} may be {last} channels of {middle} × {first} pixels "
        f"(axis=2, or --axis 2) or {first} channels of {last} × {middle} (axis=0, or --axis 0); "
        "say which"
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
