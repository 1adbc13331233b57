"""Reading what rasterio (GDAL) knows: PNG, JPEG, TIFF, GeoTIFF, NetCDF, HDF5 and others."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from cmsr.errors import InputError
from cmsr.io.raster import USUAL, Limits, Raster
from cmsr.io.raster_pixels import check_size, chosen_bands, orientation_of, raster_of

READABLE = (
    "GTiff",
    "PNG",
    "JPEG",
    "JP2OpenJPEG",
    "BMP",
    "PNM",
    "WEBP",
    "netCDF",
    "HDF5",
    "HDF5Image",
    "Zarr",
    "ENVI",
    "HFA",
    "AAIGrid",
)
"""Formats that are opened as they are; virtual ones name further files or addresses: of these only
a VRT is, after `cmsr.io.vrt` has looked at it."""


@dataclass(frozen=True)
class Grid:
    """A pixel grid on the ground: coordinate system, affine transform, height and width."""

    crs: Any
    transform: Affine
    shape: tuple[int, int]


@dataclass(frozen=True)
class Header:
    """The header of a file.

    Attributes
    ----------
    grid : Grid
    oriented : bool
        Whether it is turned upright when it is read whole.
    pages : tuple of str
        rasterio's names of its pages, if it has more than one.
    """

    grid: Grid
    oriented: bool
    pages: tuple[str, ...]

    @property
    def georeferenced(self) -> bool:
        """Whether it has a transform; a coordinate system may be missing."""
        return not self.grid.transform.is_identity


_CONVERT = "gdal_translate IN OUT.tif makes a TIFF of most others"

_NOWHERE = "EPSG:3857"
"""Coordinate system, of metres, that stands for none while an image without is resampled."""

QUIET = {"GDAL_PAM_ENABLED": "NO"}
"""Write no sidecar files."""

_SIDECARS, _SIDECAR = {"GDAL_PAM_ENABLED": "YES"}, ".aux.xml"
"""Read them: nodata values, coordinate systems and more may stand in FILE.aux.xml."""

_STRICT = {"GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO"}
"""GDAL's shortcut for whole PNG files reads missing rows as zeros."""


@contextmanager
def _opened(name: str, source: str) -> Iterator[Any]:
    """Open a data set without warnings; raise InputError if it cannot be read."""
    try:
        with warnings.catch_warnings(), rasterio.Env(**_beside(source), **_STRICT):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with _undecodable_dropped():
                checked = source.startswith("<VRT")  # by cmsr.io.vrt
                dataset = DatasetReader(source, driver=["VRT"] if checked else list(READABLE))
            with dataset:
                yield dataset
    except (RasterioError, CPLE_BaseError, OSError, MemoryError, ValueError) as error:
        hint = f" ({reason_of(error)})" if isinstance(error, RasterioIOError) else ""
        if "not recognized as being in a supported" in hint:
            hint = f" (its format is none of {', '.join(READABLE)}, NPY, NPZ, EXR, PFM; {_CONVERT})"
        raise InputError(f"{name}: not an image that can be read{hint}") from error


def _beside(source: str) -> dict[str, str]:
    """Let GDAL read a file's sidecar, and write none where there is none: it notes odd tags so."""
    alone = os.path.exists(source) and not os.path.exists(source + _SIDECAR)
    return QUIET if alone else _SIDECARS


@contextmanager
def _undecodable_dropped() -> Iterator[None]:
    """Drop GDAL's messages that are not UTF-8: rasterio cannot log them, and prints why."""
    usual, unraisable = sys.excepthook, sys.unraisablehook
    sys.excepthook, sys.unraisablehook = (lambda *_: None), (lambda _: None)
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook = usual, unraisable


def reason_of(error: Exception) -> str:
    """Return the first line of GDAL's message, with paths relative to the working directory."""
    lines = str(error.__cause__ or error).replace(f"{Path.cwd()}{os.sep}", "").splitlines()
    return lines[0].strip(" .") if lines else "no reason given"


def describe(name: str, source: str | None = None) -> Header:
    """Read a file's header.

    Parameters
    ----------
    name : str
        Its name in messages.
    source : str, optional
        Its name for rasterio, if that differs.

    Raises
    ------
    InputError
        If it is not an image of a format in `READABLE`.
    """
    with _opened(name, source or name) as dataset:
        _check_variables(name, dataset)
        pages = tuple(page for page in _subdatasets(dataset) if page.startswith("GTIFF_DIR:"))
        return Header(
            Grid(dataset.crs, dataset.transform, dataset.shape),
            oriented=orientation_of(dataset) > 1,
            pages=pages if len(pages) > 1 else (),
        )


def parts(name: str, source: str) -> tuple[str, ...]:
    """Return the names of a file's variables, or pages, for FILE:NAME; () for one image.

    Parameters and errors are those of `describe`.
    """
    with _opened(name, source) as dataset:
        pages = [page for page in _subdatasets(dataset) if page.startswith("GTIFF_DIR:")]
        if pages:
            return tuple(str(number + 1) for number in range(len(pages))) if pages[1:] else ()
        return () if dataset.count else _variables(dataset)


def _subdatasets(dataset: Any) -> list[str]:
    """Return the names of what a file holds; a JPEG is one image.

    GDAL looks for them in the blocks of thermal cameras there, and crashes on broken ones.
    """
    return [] if dataset.driver == "JPEG" else list(dataset.subdatasets)


def _variables(dataset: Any) -> tuple[str, ...]:
    return tuple(part.rsplit(":", 1)[-1].lstrip("/") for part in _subdatasets(dataset))


def _check_variables(name: str, dataset: Any) -> None:
    """Raise InputError if a file holds several variables and none is named."""
    if _subdatasets(dataset) and not dataset.count:
        known = ", ".join(_variables(dataset))
        raise InputError(f"{name}: holds several variables; name one as FILE:NAME ({known})")


def read(
    name: str,
    source: str | None = None,
    *,
    bands: Sequence[int] = (),
    window: Window | None = None,
    grid: Grid | None = None,
    limits: Limits = USUAL,
) -> Raster:
    """Read an image, a window of it, or the image resampled to another grid.

    Parameters
    ----------
    name, source
        As in `describe`.
    bands : sequence of int, optional
        Bands to read, the first is 1; all otherwise.
    window : Window, optional
        Part to read, in pixels of the file, or of ``grid``.
    grid : Grid, optional
        Grid to reproject it to, bicubically; pixels outside the image are not valid.
    limits : Limits
        Larger images are refused before anything is allocated.

    Raises
    ------
    InputError
        If the file is unreadable, not an image, too large, or of a type not in `DTYPES`.
    """
    with _opened(name, source or name) as dataset:
        _check_variables(name, dataset)
        if grid is None:
            check_size(name, dataset, window, limits)
            return raster_of(name, dataset, chosen_bands(name, dataset, bands), window)
        height, width = grid.shape
        crs = grid.crs or _NOWHERE
        options = {"crs": crs, "transform": grid.transform, "width": width, "height": height}
        alpha = ColorInterp.alpha in dataset.colorinterp or dataset.nodata is not None
        with WarpedVRT(
            dataset,
            src_crs=dataset.crs or crs,
            resampling=Resampling.cubic,
            add_alpha=not alpha,
            **options,
        ) as warped:
            check_size(name, warped, window, limits)
            read = raster_of(name, warped, chosen_bands(name, warped, bands), window)
            return replace(read, profile={**read.profile, "crs": grid.crs})


def thinned(name: str, longest: int) -> Raster:
    """Read every n-th pixel of an image, so that its longer side is at most ``longest``."""
    with _opened(name, str(Path(name).absolute())) as dataset:
        every = max(1, -(-max(dataset.shape) // longest))
        shape = tuple(-(-n // every) for n in dataset.shape)
        data = dataset.read(out_shape=(dataset.count, *shape))
        valid = dataset.read_masks(1, out_shape=shape) != 0
        return Raster(data, valid & np.isfinite(data).all(axis=0), name, flat=len(data) == 1)
