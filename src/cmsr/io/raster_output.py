"""Writing images with rasterio (GDAL): PNG, JPEG, TIFF, GeoTIFF and COG; at once or row by row."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window

from cmsr.errors import OutputError
from cmsr.io import metadata
from cmsr.io.raster import DTYPES, Raster
from cmsr.io.raster_io import QUIET, reason_of

DRIVERS = {".png": "PNG", ".tif": "GTiff", ".tiff": "GTiff", ".jpg": "JPEG", ".jpeg": "JPEG"}
_DRIVER_DTYPES = {"PNG": ("uint8", "uint16"), "JPEG": ("uint8",), "GTiff": DTYPES}
_DRIVER_CHANNELS = {"PNG": (1, 2, 3, 4), "JPEG": (1, 3)}
_TILE = 256
"""Side of the tiles of a written GeoTIFF that is larger than one tile."""

_CREATION: dict[str, dict[str, Any]] = {
    "GTiff": {"compress": "deflate", "bigtiff": "if_safer"},
    "JPEG": {"quality": 95},
    "PNG": {},
    "COG": {
        "compress": "deflate",
        "predictor": "yes",
        "bigtiff": "if_safer",
        "blocksize": _TILE,
        "overview_resampling": "average",
    },
}

Page = tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None, Raster | None]
"""An image (C, H, W), where it is valid (H, W), and what it inherits from."""

Rows = Callable[[int, npt.NDArray[Any], npt.NDArray[np.bool_]], None]
"""Writes rows from a given one on: values (C, n, W), and where they are valid (n, W)."""


def driver_for(path: Path, dtype: np.dtype[Any], channels: int) -> str:
    """Return the format of the file's ending.

    Raises
    ------
    OutputError
        If there is none, or it cannot hold such values.
    """
    driver = DRIVERS.get(path.suffix.lower())
    if driver is None:
        raise OutputError(f"{path}: unknown ending; use one of {', '.join(DRIVERS)}, .npy, .exr")
    if dtype.name not in _DRIVER_DTYPES[driver]:
        raise OutputError(f"{path}: {driver} cannot hold {dtype.name} values; use .tif")
    if channels not in _DRIVER_CHANNELS.get(driver, (channels,)):
        raise OutputError(f"{path}: {driver} cannot hold {channels} channels; use .tif")
    return driver


def with_alpha(
    data: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None, like: Raster | None, driver: str
) -> npt.NDArray[Any]:
    """Add the valid pixels to (C, H, W) as an alpha band if ``like`` had one.

    In a PNG, which holds no mask, also if ``like`` had a mask.
    """
    if like is None or not (like.alpha or (driver == "PNG" and like.profile.get("mask"))):
        return data
    seen = np.ones(data.shape[1:], bool) if valid is None else valid
    top = np.iinfo(data.dtype).max if np.issubdtype(data.dtype, np.integer) else 1
    alpha = np.where(seen, like.profile.get("opaque") or top, 0)
    return np.concatenate([data, alpha.astype(data.dtype)[None]])


def _write_mask(
    dataset: Any, valid: npt.NDArray[np.bool_] | None, like: Raster | None, **where: Window
) -> None:
    """Mask the holes of a TIFF if those of ``like`` were masked."""
    if dataset.driver == "GTiff" and valid is not None and like and like.profile.get("mask"):
        dataset.write_mask(np.where(valid, np.uint8(255), np.uint8(0)), **where)


def encode(path: Path, pages: Sequence[Page]) -> bytes:
    """Return the bytes of a file with these pages.

    Parameters
    ----------
    path : Path
        Its ending chooses the format; more than one page needs TIFF.
    pages : sequence
        Images (C, H, W) without alpha, where they are valid (H, W), and what they inherit from.

    Raises
    ------
    OutputError
        If the format cannot hold them.
    OSError
        If rasterio cannot write them.
    """
    driver = driver_for(path, pages[0][0].dtype, len(pages[0][0]))
    if len(pages) > 1 and driver != "GTiff":
        raise OutputError(f"{path}: {driver} cannot hold {len(pages)} pages; use .tif")
    with MemoryFile(ext=path.suffix) as memory:
        for number, (colours, valid, like) in enumerate(pages):
            extra = {"append_subdataset": "yes"} if number else {}
            data = with_alpha(colours, valid, like, driver)
            with _created(memory.name, driver, data.shape, data.dtype, like, **extra) as dataset:
                dataset.write(data)
                _write_mask(dataset, valid, like)
        if driver != "GTiff" or len(pages) > 1 or not _is_cog(pages[0][2]):
            return bytes(memory.getbuffer())
        with MemoryFile(ext=path.suffix) as copy:
            _copy_as_cog(memory.name, copy.name)
            return bytes(copy.getbuffer())


@contextmanager
def by_rows(path: Path, like: Raster, shape: tuple[int, int]) -> Iterator[Rows]:
    """Create a TIFF of height and width ``shape``, and provide the function that writes its rows.

    If ``like`` is a COG, the whole file is copied into one in the end. All rows are then read
    again, because GDAL may not report a full disk.

    Raises
    ------
    OSError
        If the finished file does not hold the rows that were written.
    """
    sums: list[tuple[Window, int]] = []
    count = len(like.data) + like.alpha
    with _created(path, "GTiff", (count, *shape), like.data.dtype, like) as dataset:

        def write(first: int, rows: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> None:
            window = Window(0, first, shape[1], rows.shape[1])
            full = np.ascontiguousarray(with_alpha(rows, valid, like, "GTiff"))
            dataset.write(full, window=window)
            _write_mask(dataset, valid, like, window=window)
            sums.append((window, zlib.crc32(full.data)))

        yield write
    if _is_cog(like):
        copy = path.with_suffix(".cog.tif")
        try:
            _copy_as_cog(path, copy)
            copy.replace(path)
        finally:
            copy.unlink(missing_ok=True)
    _check_written(path, sums)


def _is_cog(like: Raster | None) -> bool:
    return like is not None and bool(like.profile.get("cog"))


@contextmanager
def _gdal() -> Iterator[None]:
    """Suppress warnings, and raise OSError for GDAL's errors."""
    try:
        with warnings.catch_warnings(), rasterio.Env(**QUIET, GDAL_TIFF_INTERNAL_MASK="YES"):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    except (RasterioError, CPLE_BaseError) as error:
        raise OSError(reason_of(error)) from error


def _copy_as_cog(source: str | Path, target: str | Path) -> None:
    with _gdal():
        rasterio.shutil.copy(source, target, driver="COG", **_CREATION["COG"])


def _check_written(path: Path, sums: Sequence[tuple[Window, int]]) -> None:
    """Raise OSError unless each window of a file has the checksum that it should."""
    with _gdal(), rasterio.open(path) as dataset:
        if any(zlib.crc32(dataset.read(window=window).data) != given for window, given in sums):
            raise OSError("not all of it arrived there; is the disk full?")


@contextmanager
def _created(
    target: str | Path,
    driver: str,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    like: Raster | None,
    **extra: Any,
) -> Iterator[Any]:
    """Create a file of shape (C, H, W) that inherits the metadata of ``like``."""
    count, height, width = shape
    profile = like.profile if like is not None else {}
    options = {"nodata": profile.get("nodata"), "crs": profile.get("crs")} | extra
    if like is not None and not profile.get("transform", Affine.identity()).is_identity:
        old_height, old_width = like.shape
        scale = Affine.scale(old_width / width, old_height / height)
        options["transform"] = profile["transform"] * scale
    if driver == "GTiff":
        options |= {"predictor": 3 if np.issubdtype(dtype, np.floating) else 2}
        if min(height, width) > _TILE:
            options |= {"tiled": True, "blockxsize": _TILE, "blockysize": _TILE}
    given = {key: value for key, value in options.items() if value is not None}
    size = {"count": count, "height": height, "width": width, "dtype": dtype}
    with (
        _gdal(),
        rasterio.open(target, "w", driver, **size, **given, **_CREATION[driver]) as dataset,
    ):
        if driver == "GTiff":
            metadata.write(dataset, profile)
            if like is not None:
                growth = height / like.shape[0], width / like.shape[1]
                metadata.write_points(dataset, profile, growth)
        if like is not None and like.alpha:
            dataset.colorinterp = [*dataset.colorinterp[:-1], ColorInterp.alpha]
        yield dataset
