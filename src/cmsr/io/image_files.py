"""Image files of every format: located, checked, read, and written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.errors import InputError, OutputError
from cmsr.io import archives, array_io, raster_io, raster_output, text_table, tiff_pages, vrt
from cmsr.io.atomic import replacing as replacing
from cmsr.io.carried import Carried, added
from cmsr.io.raster import DTYPES as DTYPES
from cmsr.io.raster import USUAL
from cmsr.io.raster import Limits as Limits
from cmsr.io.raster import Raster as Raster
from cmsr.io.raster import from_array as from_array
from cmsr.io.raster_io import Grid, Header
from cmsr.io.whole import check_whole

PathLike = str | os.PathLike[str]

_VARIABLES = {
    ".nc": 'NETCDF:"{path}":{member}',
    ".cdf": 'NETCDF:"{path}":{member}',
    ".h5": 'HDF5:"{path}"://{member}',
    ".hdf5": 'HDF5:"{path}"://{member}',
    ".zarr": 'ZARR:"{path}":/{member}',
    ".tif": "GTIFF_DIR:{member}:{path}",
    ".tiff": "GTIFF_DIR:{member}:{path}",
}
"""rasterio's names for a variable, or a page, of a file."""


def locate(path: PathLike) -> tuple[Path, str]:
    """Split FILE:NAME into the file and its variable, page or array; NAME may be missing.

    Of an image in a ZIP, the file is the one that was unpacked.

    Raises
    ------
    InputError
        If there is no such file, or it is not a regular one.
    """
    text = os.fspath(path)
    packed = archives.split(text)
    if packed is not None:
        return archives.unpacked(*packed)
    file, member = Path(text), ""
    if not os.path.lexists(file) and ":" in text:
        before, _, after = text.rpartition(":")
        if os.path.lexists(before):
            file, member = Path(before), after.lstrip("/")
    try:
        status = file.stat()
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else _reason(error)
        raise InputError(f"{path}: {reason}") from error
    if file.is_dir() and file.suffix.lower() != ".zarr":
        raise InputError(f"{path}: is a folder; expected an image file")
    if not file.is_dir() and not file.is_file():
        raise InputError(f"{path}: is not a regular file; expected an image file")
    if status.st_size == 0:
        raise InputError(f"{path}: not an image that can be read (the file is empty)")
    return file, member


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _source(path: PathLike, file: Path, member: str) -> str:
    """Return rasterio's name for a file or its variable; raise InputError if it is truncated."""
    if file.is_file():
        check_whole(file, os.fspath(path))
    if vrt.holds(file):
        return vrt.checked(file, os.fspath(path))
    if not member:
        largest = tiff_pages.meant(file)
        inside = f"GTIFF_DIR:off:{largest[0].offset}:" if largest else ""
        return f"{inside}{file.absolute()}"
    pattern = _VARIABLES.get(file.suffix.lower())
    if pattern is None or '"' in str(file) or not member.isprintable():
        raise InputError(f"{file}: holds no variables or pages; leave out ':{member}'")
    return pattern.format(path=file.absolute(), member=member)


def is_array(path: PathLike) -> bool:
    """Tell whether a name is that of an NPY, NPZ or EXR file, or of a table in text."""
    file = locate(path)[0]
    return _holds_array(file) or text_table.holds(file)


def _holds_array(file: Path) -> bool:
    return file.suffix.lower() in array_io.ENDINGS


def describe(path: PathLike) -> Header:
    """Read the header of an image that rasterio reads.

    Raises
    ------
    InputError
        As `read`.
    """
    return raster_io.describe(os.fspath(path), _source(path, *locate(path)))


def parts(path: PathLike) -> tuple[str, ...]:
    """Return the names of the variables, arrays or pages in a file of several images.

    Raises
    ------
    InputError
        As `read`.
    """
    packed = archives.split(os.fspath(path))
    if packed is not None and not packed[1] and len(held := archives.images(packed[0])) > 1:
        return tuple(held)
    file, member = locate(path)
    if member:
        return ()
    if _holds_array(file):
        return array_io.parts(file)
    if text_table.holds(file):
        count = text_table.frames(file, os.fspath(path))
        return tuple(str(number + 1) for number in range(count)) if count > 1 else ()
    return raster_io.parts(os.fspath(path), _source(path, file, member))


def read(
    path: PathLike,
    *,
    bands: Sequence[int] = (),
    window: Any = None,
    grid: Grid | None = None,
    limits: Limits = USUAL,
    axis: int | None = None,
) -> Raster:
    """Read an image file; see `cmsr.io.raster_io.read` for the parameters.

    ``axis`` is where the channels of an array are, see `cmsr.io.arrays.in_memory`.

    Raises
    ------
    InputError
        If the file is missing, unreadable, not an image, too large, or of a type not in `DTYPES`.
    """
    file, member = locate(path)
    if _holds_array(file):
        return array_io.read(file, member, limits, axis)
    if text_table.holds(file):
        return text_table.read(file, os.fspath(path), limits, member)
    source = _source(path, file, member)
    return raster_io.read(
        os.fspath(path), source, bands=bands, window=window, grid=grid, limits=limits
    )


def check_distinct(outputs: Sequence[PathLike]) -> None:
    """Raise OutputError if two outputs have the same name."""
    seen: set[Path] = set()
    for path in outputs:
        if (place := Path(path).absolute()) in seen:
            raise OutputError(f"{path}: two outputs cannot have the same name")
        seen.add(place)


def check_output(
    path: PathLike,
    *,
    inputs: Sequence[PathLike] = (),
    like: Raster | None = None,
    overwrite: bool = False,
) -> None:
    """Check before any work that a result can be written.

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
        raise OutputError(f"{path}: is a folder; expected a file name")
    if os.path.lexists(path) and not overwrite:
        role = "is an input" if any(_same(path, other) for other in inputs) else "exists already"
        raise OutputError(f"{path}: {role}; choose another name or add --overwrite")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(f"{path}: cannot write there ({error.strerror})") from error
    if like is not None:
        _check_format(path, like.data.dtype, len(like.data) + like.alpha)


def _same(path: Path, other: PathLike) -> bool:
    return path.exists() and Path(other).exists() and path.samefile(other)


def _check_format(path: Path, dtype: np.dtype[Any], channels: int) -> None:
    if _holds_array(path):
        array_io.check_output(path, dtype, channels)
    else:
        raster_output.driver_for(path, dtype, channels)


def write(
    path: PathLike,
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
        Written as an alpha band, or a mask, if ``like`` had one.
    like : Raster, optional
        The input whose georeference (rescaled to the new grid), nodata, band names, units and tags
        the file inherits.

    Raises
    ------
    OutputError
        If the file cannot be written; nothing is left behind.
    """
    write_pages(path, [(image, valid, like)])


def write_pages(
    path: PathLike,
    pages: Sequence[tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None, Raster | None]],
    carried: Carried | None = None,
) -> None:
    """Write a file of one or more pages (TIFF); each page is what `write` takes.

    ``carried`` is what the target's file says besides its pixels.
    """
    path = Path(path)
    stacked = [
        (x[None] if x.ndim == 2 else np.moveaxis(x, -1, 0), valid, like) for x, valid, like in pages
    ]
    if not _holds_array(path):  # of the types that files of arrays alone hold
        stacked = [(x.astype(_written(x, like)), valid, like) for x, valid, like in stacked]
    image, _, like = stacked[0]
    _check_format(path, image.dtype, len(image) + (like is not None and like.alpha))
    if _holds_array(path) and len(pages) > 1:
        raise OutputError(f"{path}: holds one page only, not {len(pages)}; use .tif")
    with replacing(path) as temporary:
        match path.suffix.lower():
            case ".exr":
                array_io.write_exr(temporary, pages[0][0], _channel_names(pages[0][0], like))
            case ".npy":
                temporary.write_bytes(array_io.encode(pages[0][0]))
            case _:
                content = raster_output.encode(path, stacked)
                if carried is not None and like is not None:
                    cog = bool(like.profile.get("cog"))
                    content = added(content, carried.sized(image.shape[1:], like.shape), cog=cog)
                temporary.write_bytes(content)


def _written(image: npt.NDArray[Any], like: Raster | None) -> np.dtype[Any]:
    """Return the type of a result in a file of rasters."""
    return image.dtype if like is None or "stored" not in like.profile else like.data.dtype


def _channel_names(image: npt.NDArray[Any], like: Raster | None) -> list[str]:
    """Return an EXR's channel names: the input's, or else depth or RGB."""
    channels = image.shape[2] if image.ndim == 3 else 1
    names: list[str] = [] if like is None else like.profile.get("exr", [])
    return names if len(names) == channels else (["Z"] if channels == 1 else ["R", "G", "B"])
