"""Files to arrays and back, with what the file says of them; everything goes through rasterio."""

from __future__ import annotations

import os
import secrets
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

from cmsr.errors import InputError, OutputError

MAX_VALUES = 2**31
"""Largest number of values (pixels × channels) read from one file."""

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
DRIVERS = {".png": "PNG", ".tif": "GTiff", ".tiff": "GTiff", ".jpg": "JPEG", ".jpeg": "JPEG"}
_DRIVER_DTYPES = {"PNG": ("uint8", "uint16"), "JPEG": ("uint8",), "GTiff": DTYPES}
_DRIVER_CHANNELS = {"PNG": (1, 2, 3, 4), "JPEG": (1, 3)}
_CREATION: dict[str, dict[str, Any]] = {
    "GTiff": {"compress": "deflate", "bigtiff": "if_safer"},
    "JPEG": {"quality": 95},
    "PNG": {},
}


@dataclass(frozen=True)
class Raster:
    """An image as its file holds it.

    Attributes
    ----------
    data : array, shape (C, H, W)
        The values, in the file's own type and units, without an alpha band.
    valid : array of bool, shape (H, W)
        False where the file holds no measurement (nodata, transparent, NaN or infinite).
    name : str
        What to call it in messages: the path, or "target" for an array.
    alpha : bool
        Whether an alpha band was taken off.
    flat : bool
        Whether it is one band without a channel axis, to be given back as (H, W).
    profile : dict
        Georeference, nodata value, band names and tags, to be carried to the result.
    """

    data: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]
    name: str
    alpha: bool = False
    flat: bool = False
    profile: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.data.shape[1], self.data.shape[2]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what is no news here: pictures without a georeference; leave no side files."""
    with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED="NO"):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def read(path: str | os.PathLike[str]) -> Raster:
    """Read an image file.

    Raises
    ------
    InputError
        If the file is missing, unreadable, not an image, too large, or of a type not in `DTYPES`.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give an image file")
    try:
        with _quiet(), rasterio.open(path) as dataset:
            _check_size(path, dataset)
            return _raster(path, dataset)
    except (RasterioError, OSError, MemoryError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()
        hint = f" ({reason[0]})" if reason and isinstance(error, RasterioIOError) else ""
        raise InputError(f"{path}: not an image that can be read{hint}") from error


def _check_size(path: Path, dataset: Any) -> None:
    values = dataset.width * dataset.height * dataset.count
    if values == 0:
        raise InputError(f"{path}: holds no image")
    if values > MAX_VALUES:
        size = f"{dataset.width} × {dataset.height} × {dataset.count}"
        raise InputError(f"{path}: {size} values are too many; at most {MAX_VALUES} are read")


def _raster(path: Path, dataset: Any) -> Raster:
    alpha = ColorInterp.alpha in dataset.colorinterp
    bands = [
        index
        for index, meaning in zip(dataset.indexes, dataset.colorinterp, strict=True)
        if meaning != ColorInterp.alpha
    ]
    data = dataset.read(bands)
    _check_dtype(str(path), data.dtype)
    valid = (dataset.dataset_mask() != 0) & np.isfinite(data).all(axis=0)
    profile = {
        "crs": dataset.crs,
        "transform": dataset.transform,
        "nodata": dataset.nodata,
        "descriptions": [dataset.descriptions[index - 1] for index in bands],
        "tags": dataset.tags(),
    }
    return Raster(data, valid, str(path), alpha=alpha, flat=len(data) == 1, profile=profile)


def from_array(array: npt.ArrayLike, name: str) -> Raster:
    """Take an array of shape (H, W) or (H, W, C); NaN and infinite values are holes.

    A last axis of 2 or 4 in a guide is grey or RGB with alpha; that is for the caller to say.

    Raises
    ------
    InputError
        If the array is not two- or three-dimensional, or of a type not in `DTYPES`.
    """
    data = np.asarray(array)
    if data.ndim not in (2, 3):
        raise InputError(f"{name}: has {data.ndim} axes; give (H, W) or (H, W, channels)")
    _check_dtype(name, data.dtype)
    stacked = data[None] if data.ndim == 2 else np.moveaxis(data, -1, 0)
    valid = np.isfinite(stacked).all(axis=0)
    return Raster(stacked, valid, name, flat=data.ndim == 2)


def _check_dtype(name: str, dtype: np.dtype[Any]) -> None:
    if dtype.name not in DTYPES:
        raise InputError(f"{name}: holds {dtype.name} values; supported are {', '.join(DTYPES)}")


def check_output(
    path: str | os.PathLike[str],
    *,
    inputs: Sequence[str | os.PathLike[str]] = (),
    like: Raster | None = None,
    overwrite: bool = False,
) -> None:
    """Find out before any work whether a result can be written.

    Raises
    ------
    OutputError
        If the folder is missing or not writable, the file exists (or is an input) and must not be
        overwritten, or its format cannot hold the values of ``like``.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give a file name")
    if path.exists() and not overwrite:
        role = "is an input" if any(_same(path, other) for other in inputs) else "exists already"
        raise OutputError(f"{path}: {role}; choose another name or add --overwrite")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(f"{path}: cannot write there ({error.strerror})") from error
    if like is not None:
        _driver(path, like.data.dtype, len(like.data) + like.alpha)


def _same(path: Path, other: str | os.PathLike[str]) -> bool:
    return Path(other).exists() and path.samefile(other)


def _driver(path: Path, dtype: np.dtype[Any], channels: int) -> str:
    """Name the format that the file's ending asks for, if it can hold such values."""
    driver = DRIVERS.get(path.suffix.lower())
    if driver is None:
        raise OutputError(f"{path}: unknown ending; use one of {', '.join(DRIVERS)}")
    if dtype.name not in _DRIVER_DTYPES[driver]:
        raise OutputError(f"{path}: {driver} cannot hold {dtype.name} values; use .tif")
    if channels not in _DRIVER_CHANNELS.get(driver, (channels,)):
        raise OutputError(f"{path}: {driver} cannot hold {channels} channels; use .tif")
    return driver


def write(
    path: str | os.PathLike[str],
    image: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_] | None = None,
    like: Raster | None = None,
) -> None:
    """Write an image of shape (H, W) or (H, W, C), whole or not at all.

    Parameters
    ----------
    path : path
        Its ending chooses the format.
    image : array
        Of a type in `DTYPES`.
    valid : array of bool, shape (H, W), optional
        Becomes the alpha band again where ``like`` had one.
    like : Raster, optional
        The input whose georeference (rescaled to the new grid), nodata, band names and tags are
        carried over.

    Raises
    ------
    OutputError
        If the file cannot be written; nothing is left behind.
    """
    path = Path(path)
    data = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    alpha = like is not None and like.alpha
    if alpha:
        seen = np.ones(data.shape[1:], bool) if valid is None else valid
        top = np.iinfo(data.dtype).max if np.issubdtype(data.dtype, np.integer) else 1
        data = np.concatenate([data, (seen * top).astype(data.dtype)[None]])
    driver = _driver(path, data.dtype, len(data))
    try:
        with replacing(path) as temporary:
            _write(temporary, data, driver, alpha, like)
    except RasterioError as error:
        raise OutputError(f"{path}: cannot be written ({error})") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Hand out a name beside ``path``; what is written there replaces ``path`` if all goes well.

    Raises
    ------
    OutputError
        If the system refuses to write; nothing is left behind, and an old file stays as it was.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _write(
    path: Path, data: npt.NDArray[Any], driver: str, alpha: bool, like: Raster | None
) -> None:
    profile = like.profile if like is not None else {}
    options: dict[str, Any] = {"nodata": profile.get("nodata"), "crs": profile.get("crs")}
    if like is not None and "transform" in profile and not profile["transform"].is_identity:
        (height, width), (new_height, new_width) = like.shape, data.shape[1:]
        scale = profile["transform"].scale(width / new_width, height / new_height)
        options["transform"] = profile["transform"] * scale
    count, height, width = data.shape
    with (
        _quiet(),
        rasterio.open(
            path,
            "w",
            driver=driver,
            count=count,
            height=height,
            width=width,
            dtype=data.dtype,
            **{key: value for key, value in options.items() if value is not None},
            **_CREATION[driver],
        ) as dataset,
    ):
        dataset.write(data)
        if alpha:
            dataset.colorinterp = [*dataset.colorinterp[:-1], ColorInterp.alpha]
        if driver == "GTiff":
            dataset.update_tags(**profile.get("tags", {}))
            for index, text in enumerate(profile.get("descriptions", []), start=1):
                dataset.set_band_description(index, text or "")
