"""An image in memory as its file holds it: values, holes and metadata."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.fill import fillnodata

from cmsr.errors import InputError

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


@dataclass(frozen=True)
class Limits:
    """Largest image that is read, in pixels and in bytes."""

    pixels: int = 2**28
    bytes: int = 4 * 2**30

    def check(self, name: str, shape: Sequence[int], size: int) -> None:
        """Refuse an image of a shape (height, width, …) and size in bytes that is too large.

        Raises
        ------
        InputError
            With the option that allows more.

        >>> Limits(pixels=100).check("a.tif", (20, 10), 200)
        Traceback (most recent call last):
        cmsr.errors.InputError: a.tif: 10 × 20 values are too many; --max-pixels is 100
        """
        values = " × ".join(map(str, (*shape[1::-1], *shape[2:])))
        if math.prod(shape[:2]) > self.pixels:
            raise InputError(f"{name}: {values} values are too many; --max-pixels is {self.pixels}")
        if size > self.bytes:
            raise InputError(
                f"{name}: {values} values are too many: they take {size / 2**30:.1f} GB; "
                f"--max-memory is {self.bytes / 2**30:g}"
            )


USUAL = Limits()
"""The limits unless others are given."""


@dataclass(frozen=True)
class Raster:
    """An image as its file holds it.

    Attributes
    ----------
    data : array, shape (C, H, W)
        The values, in the file's own type and units, without an alpha band.
    valid : array of bool, shape (H, W)
        False where a band holds no measurement (nodata, masked, transparent, NaN or infinite).
    name : str
        Its name in messages: the path, or "target" for an array.
    alpha : bool
        Whether an alpha band was taken off.
    flat : bool
        Whether it is one band without a channel axis, to be returned as (H, W).
    profile : dict
        Metadata for the result: ``crs``, ``transform``, ``nodata``, ``descriptions``,
        ``scales``, ``offsets``, ``units``, ``colorinterp``, ``tags``, ``band_tags``; ``mask``,
        whether a mask of its own marks the holes; ``opaque``, what alpha is where it is solid.
    by_band : array of bool, shape (C, H, W), or None
        ``valid`` band by band; None where all bands have the same holes.
    """

    data: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]
    name: str
    alpha: bool = False
    flat: bool = False
    profile: dict[str, Any] = field(default_factory=dict)
    by_band: npt.NDArray[np.bool_] | None = None

    @property
    def measured(self) -> npt.NDArray[np.bool_]:
        """Where each band was measured, (C, H, W), or (1, H, W) where that is the same for all."""
        return self.valid[None] if self.by_band is None else self.by_band

    def seen(self, band: int) -> npt.NDArray[Any]:
        """Return the measured values of a band, (N,)."""
        return np.asarray(self.data[band][self.measured[band if self.by_band is not None else 0]])

    def with_measured(self, measured: npt.NDArray[np.bool_]) -> Raster:
        """Return the same with other holes, (C, H, W) or (1, H, W)."""
        valid = np.asarray(measured.all(axis=0))
        return replace(self, valid=valid, by_band=None if (measured == valid).all() else measured)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.data.shape[1], self.data.shape[2]

    @property
    def place(self) -> Raster:
        """The same with its place on the ground alone, for an image of something else there."""
        place = {key: value for key, value in self.profile.items() if key in ("crs", "transform")}
        return replace(self, alpha=False, profile=place)

    def unit(self, channel: int = 0) -> tuple[float, float, str]:
        """Return scale, offset and unit of a channel: ``value * scale + offset`` is in that unit.

        The unit is "" if the file names none.
        """
        scales, offsets, units = (
            self.profile.get(key) or () for key in ("scales", "offsets", "units")
        )
        return (
            float(scales[channel]) if channel < len(scales) else 1.0,
            float(offsets[channel]) if channel < len(offsets) else 0.0,
            (units[channel] if channel < len(units) else None) or "",
        )

    def in_unit(
        self, image: npt.NDArray[Any], valid: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """Return the first channel of an image (H, W) or (H, W, C) in this file's unit.

        What is not valid becomes NaN.
        """
        scale, offset, _ = self.unit()
        channel = image if image.ndim == 2 else image[..., 0]
        return np.where(valid, channel.astype(np.float64) * scale + offset, np.nan)


def from_array(array: npt.ArrayLike, name: str, **profile: Any) -> Raster:
    """Return an array of shape (H, W) or (H, W, C) as a raster.

    NaN, infinities and what a masked array hides are holes.

    The last of 2 or 4 channels stays a channel; only the caller knows whether it is alpha.

    Raises
    ------
    InputError
        If the array is not two- or three-dimensional, or of a type not in `DTYPES`.
    """
    data, hidden = np.ma.getdata(array), np.ma.getmaskarray(np.ma.asanyarray(array))
    if data.ndim not in (2, 3):
        raise InputError(f"{name}: has {data.ndim} axes; expected (H, W) or (H, W, channels)")
    if not data.size:
        raise InputError(f"{name}: is {data.shape[1]} × {data.shape[0]} pixels: holds no image")
    check_dtype(name, data.dtype)
    stacked, masked = (x[None] if x.ndim == 2 else np.moveaxis(x, -1, 0) for x in (data, hidden))
    raster = Raster(stacked, ~masked[0], name, flat=data.ndim == 2, profile=profile)
    return raster.with_measured(np.isfinite(stacked) & ~masked)


_PER_BAND = ("descriptions", "scales", "offsets", "units", "colorinterp", "band_tags", "exr")


def chosen(raster: Raster, bands: Sequence[int]) -> Raster:
    """Return some bands, counted from 0, with their metadata."""
    profile = {
        key: [value[band] for band in bands] if key in _PER_BAND and value else value
        for key, value in raster.profile.items()
    }
    some = replace(raster, data=raster.data[list(bands)], flat=len(bands) == 1, profile=profile)
    return some if raster.by_band is None else some.with_measured(raster.by_band[list(bands)])


def check_dtype(name: str, dtype: np.dtype[Any]) -> None:
    """Raise InputError unless the type is one of `DTYPES`."""
    if dtype.name not in DTYPES:
        raise InputError(f"{name}: holds {dtype.name} values; supported are {', '.join(DTYPES)}")


def fitted(values: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> npt.NDArray[np.float64]:
    """Clip values to what a type can hold; for integers, round them.

    >>> fitted(np.array([-3.0, 7.5, 300.0]), np.dtype("uint8")).tolist()
    [0.0, 8.0, 255.0]
    """
    if not np.issubdtype(dtype, np.integer):
        most = float(np.finfo(dtype).max)
        return np.clip(values, -most, most)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max)


def fill_holes(
    data: npt.NDArray[np.float64], valid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Fill the holes of (C, H, W) from their surroundings by inverse distance weighting.

    ``valid`` is (H, W), or (C, H, W). A band without a valid pixel is returned as it is.
    """
    if valid.all() or not valid.any():
        return data
    masks = np.broadcast_to(valid, data.shape)
    return np.stack([_filled(*each) for each in zip(data, masks, strict=True)]).astype(np.float64)


def _filled(band: npt.NDArray[np.float64], valid: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    if valid.all() or not valid.any():
        return band
    reach = float(np.hypot(*valid.shape))
    return np.asarray(
        fillnodata(band.astype(np.float32), valid.astype(np.uint8), max_search_distance=reach)
    )
