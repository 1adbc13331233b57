"""The pixels of an open data set: bands, masks, alpha, palettes and orientation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from cmsr.errors import InputError
from cmsr.io import metadata
from cmsr.io.orientation import turned
from cmsr.io.raster import Limits, Raster, check_dtype

MAX_BANDS = 4096
"""Most bands of a file that is read: with more, GDAL takes minutes for a kilobyte."""


def check_size(name: str, dataset: Any, window: Window | None, limits: Limits) -> None:
    """Refuse a file without pixels, of too many bands, or larger than the limits."""
    height, width = (window.height, window.width) if window else dataset.shape
    if height * width * dataset.count == 0:
        raise InputError(f"{name}: holds no image")
    if dataset.count > MAX_BANDS:
        raise InputError(f"{name}: has {dataset.count} bands; at most {MAX_BANDS} are read")
    pixel = sum(np.dtype(_numpy_name(kind)).itemsize for kind in dataset.dtypes)
    limits.check(name, (height, width, dataset.count), height * width * pixel)


def _numpy_name(kind: str) -> str:
    return "complex64" if kind == "complex_int16" else kind


def chosen_bands(name: str, dataset: Any, wanted: Sequence[int]) -> list[int]:
    """List the bands to read: those wanted, or all but alpha."""
    meanings = dict(zip(dataset.indexes, dataset.colorinterp, strict=True))
    for band in wanted:
        if band not in meanings:
            raise InputError(f"{name}: has no band {band}; there are {dataset.count}")
    return list(wanted) or [
        band for band, meaning in meanings.items() if meaning != ColorInterp.alpha
    ]


def raster_of(name: str, dataset: Any, bands: list[int], window: Window | None) -> Raster:
    """Read bands, or a window of them, upright, with holes and metadata."""
    if not bands:
        raise InputError(f"{name}: holds no band but alpha")
    check_dtype(name, np.dtype(_numpy_name(dataset.dtypes[bands[0] - 1])))
    data = dataset.read(bands, window=window)
    measured = _measured(dataset, bands, window) & np.isfinite(data)
    opaque = _opaque(dataset, window)
    if opaque is not None:
        measured &= opaque > 0
    paletted = dataset.colorinterp[bands[0] - 1] == ColorInterp.palette and len(bands) == 1
    if paletted:
        data = _painted(data[0], dataset.colormap(bands[0]))
    turn = orientation_of(dataset) if window is None else 1
    if turn > 1:
        data, measured = turned(data, turn), turned(measured, turn)
    profile = metadata.read(dataset, bands, window)
    if paletted:
        kept = {name: profile[name] for name in ("crs", "transform", "gcps", "rpcs", "tags")}
        profile = {**kept, "nodata": None, "palette": True}
    if opaque is not None:
        profile |= {"opaque": opaque.max()}
    elif MaskFlags.per_dataset in dataset.mask_flag_enums[0]:
        profile |= {"mask": True}
    data, measured = np.ascontiguousarray(data), np.ascontiguousarray(measured)
    raster = Raster(data, measured[0], name, opaque is not None, len(data) == 1, profile)
    return raster.with_measured(measured)


def _measured(dataset: Any, bands: list[int], window: Window | None) -> npt.NDArray[np.bool_]:
    """Return where bands are valid (C, H, W), by nodata values and masks."""
    seen = dataset.read_masks(bands, window=window) > 0
    if isinstance(dataset, WarpedVRT) and ColorInterp.alpha in dataset.colorinterp:
        alpha = dataset.read(dataset.colorinterp.index(ColorInterp.alpha) + 1, window=window)
        seen = seen & (alpha > 0) & (alpha == alpha.max())
    return np.asarray(seen, bool)


def _opaque(dataset: Any, window: Window | None) -> npt.NDArray[Any] | None:
    """Return the alpha band (H, W) of a file; None where it has none.

    GDAL takes alpha of 8 and 16 bits alone for a mask.
    """
    if ColorInterp.alpha not in dataset.colorinterp or isinstance(dataset, WarpedVRT):
        return None
    return np.asarray(dataset.read(dataset.colorinterp.index(ColorInterp.alpha) + 1, window=window))


def _painted(indices: npt.NDArray[Any], colours: dict[int, Sequence[int]]) -> npt.NDArray[Any]:
    """Return the colours (3, H, W), or the greys (1, H, W), of a paletted image (H, W)."""
    table = np.zeros((int(indices.max()) + 1, 3), np.uint8)
    for index, colour in colours.items():
        if index < len(table):
            table[index] = colour[:3]
    grey = (table == table[:, :1]).all()
    return np.moveaxis(table[indices][..., :1] if grey else table[indices], -1, 0)


def orientation_of(dataset: Any) -> int:
    """Return Exif's orientation of the camera, 1 to 8; always 1 for a georeferenced image."""
    if not dataset.transform.is_identity:
        return 1
    text = metadata.tags(dataset).get("EXIF_Orientation", "1")
    return int(text) if text in tuple("12345678") else 1
