"""Arrays on disk: NPY, NPZ and OpenEXR. Nothing is ever unpickled."""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from cmsr.errors import InputError, OutputError
from cmsr.io import pfm
from cmsr.io.arrays import in_memory
from cmsr.io.raster import Limits, Raster, from_array

ENDINGS = (".npy", ".npz", ".exr", pfm.ENDING)

_BROKEN = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    SyntaxError,
    TypeError,
    OverflowError,
    MemoryError,
    TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Exceptions of NumPy, zipfile and OpenEXR over broken files."""


@contextmanager
def _readable(name: str, kind: str) -> Iterator[None]:
    """Turn the exceptions over a broken file into an InputError."""
    try:
        yield
    except _BROKEN as error:
        raise InputError(f"{name}: not {kind} that can be read ({error})") from error


def read(path: Path, member: str, limits: Limits, axis: int | None = None) -> Raster:
    """Read an array of shape (H, W), (H, W, C) or (C, H, W).

    Parameters
    ----------
    path : Path
        Ends in one of `ENDINGS`.
    member : str
        Name of the array in an NPZ; "" for the only one.
    limits : Limits
        Larger arrays are refused before anything is allocated.
    axis : int, optional
        As in `cmsr.io.arrays.in_memory`.

    Raises
    ------
    InputError
        If the file is broken, too large, holds objects, or no such array.
    """
    name = f"{path}:{member}" if member else str(path)
    if member and path.suffix.lower() != ".npz":
        raise InputError(f"{path}: holds one image, and no part that ':{member}' could name")
    if path.suffix.lower() == pfm.ENDING:
        return pfm.read(path, limits)
    if path.suffix.lower() == ".exr":
        return _read_exr(path, limits)
    with _readable(name, "an array"):
        if path.suffix.lower() == ".npz":
            array = _read_npz(path, member, limits)
        else:
            with path.open("rb") as file:
                array = _read_npy(name, file, path.stat().st_size, limits)
    return in_memory(array, name, axis, npy=True)


def _read_npy(name: str, file: IO[bytes], length: int, limits: Limits) -> npt.NDArray[Any]:
    version = npy_format.read_magic(file)
    header = npy_format.read_array_header_1_0 if version == (1, 0) else None
    shape, fortran, dtype = (header or npy_format.read_array_header_2_0)(file)
    if any(n < 0 for n in shape):
        raise ValueError(f"shape {shape}")
    if dtype.hasobject:
        raise InputError(f"{name}: holds Python objects; only numbers are read")
    size = math.prod(shape) * dtype.itemsize
    limits.check(name, shape, size)
    content = file.read(min(size, length))
    if len(content) < size:
        raise InputError(f"{name}: is truncated: {len(content)} of {size} bytes are there")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), order="C")


def parts(path: Path) -> tuple[str, ...]:
    """Return the names of the arrays of an NPZ that holds several; () for any other file.

    Raises
    ------
    InputError
        If the file is broken.
    """
    if path.suffix.lower() != ".npz":
        return ()
    with _readable(str(path), "an array"), zipfile.ZipFile(path) as archive:
        names = _members(archive)
    return tuple(names) if len(names) > 1 else ()


def _members(archive: zipfile.ZipFile) -> list[str]:
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def _read_npz(path: Path, member: str, limits: Limits) -> npt.NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        members = _members(archive)
        if not member and len(members) != 1:
            raise InputError(f"{path}: holds {', '.join(members)}; name one as FILE:NAME")
        chosen = member or members[0]
        if chosen not in members:
            raise InputError(f"{path}: holds no {chosen}; it holds {', '.join(members)}")
        with archive.open(f"{chosen}.npy") as file:
            length = archive.getinfo(f"{chosen}.npy").file_size
            return _read_npy(f"{path}:{chosen}", file, length, limits)


def _openexr(path: Path) -> Any:
    """Import the OpenEXR library; raise InputError if it is not installed."""
    try:
        import OpenEXR
    except ImportError as error:
        raise InputError(f"{path}: EXR needs an extra package: pip install 'cmsr[exr]'") from error
    return OpenEXR


@contextmanager
def _silent() -> Iterator[None]:
    """Suppress the messages that OpenEXR prints from Python and C besides raising."""
    terminal = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def _read_exr(path: Path, limits: Limits) -> Raster:
    """Read the first part: depth first, then luminance and colours, then others by name."""
    openexr = _openexr(path)
    with _readable(str(path), "an EXR"):
        with _silent(), openexr.File(str(path), header_only=True) as header:
            low, high = header.header()["dataWindow"]
            width, height = (int(n) + 1 for n in np.subtract(high, low))
        limits.check(str(path), (height, width), 4 * height * width)
        with _silent(), openexr.File(str(path), separate_channels=True) as file:
            channels = {name: np.asarray(c.pixels) for name, c in file.channels().items()}
    order = {name: rank for rank, name in enumerate(("Z", "Y", "R", "G", "B"))}
    names = sorted(channels.keys() - {"A"}, key=lambda name: (order.get(name, 9), name))
    if not names or any(channels[name].shape != (height, width) for name in names):
        raise InputError(f"{path}: its channels differ in size; expected one size")
    data = np.stack([channels[name] for name in names], axis=-1)
    kind = np.uint32 if data.dtype.kind == "u" else np.float32
    array = data.astype(kind)
    return from_array(array[..., 0] if len(names) == 1 else array, str(path), exr=names)


def encode(image: npt.NDArray[Any]) -> bytes:
    """Return the bytes of an NPY file of an image (H, W) or (H, W, C)."""
    buffer = io.BytesIO()
    np.save(buffer, image, allow_pickle=False)
    return buffer.getvalue()


def check_output(path: Path, dtype: np.dtype[Any], channels: int) -> None:
    """Raise OutputError unless the format can hold such values."""
    ending = path.suffix.lower()
    if ending in (".npz", pfm.ENDING):
        raise OutputError(f"{path}: {ending[1:].upper()} is read only; use .npy")
    if ending == ".exr" and (dtype.name not in ("float32", "uint32") or channels not in (1, 3)):
        raise OutputError(
            f"{path}: EXR holds 1 or 3 channels of float32 here, not {channels} of {dtype.name}; "
            f"use .tif or .npy"
        )


def write_exr(path: Path, image: npt.NDArray[Any], names: list[str]) -> None:
    """Write an image (H, W) or (H, W, C) as an EXR file with these channel names.

    Raises
    ------
    OSError
        If the system refuses to write.
    """
    openexr = _openexr(path)
    stacked = image[..., None] if image.ndim == 2 else image
    channels = {n: np.ascontiguousarray(stacked[..., i]) for i, n in enumerate(names)}
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    try:
        openexr.File(header, channels).write(str(path))
    except RuntimeError as error:
        raise OSError(str(error)) from error
