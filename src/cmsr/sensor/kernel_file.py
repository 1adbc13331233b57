"""Read a user's own imaging kernel from an array, text or image file."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmsr.errors import InputError
from cmsr.io import image_files, raster_output
from cmsr.operators.point_spread import PointSpread, check_shape

MAX_TEXT = 2**20
"""Largest text file that is read, in bytes."""

TEXT = (".csv", ".txt")
ENDINGS = (".npy", *TEXT, *raster_output.DRIVERS)


def is_kernel_file(name: str) -> bool:
    """Tell whether ``name`` means a file: by its ending, or because there is one."""
    path = Path(name)
    return bool(name) and (path.suffix.lower() in ENDINGS or path.is_file())


def read_kernel(name: str) -> PointSpread:
    """Read a kernel: weights in pixels of the result, centred; they are normalised to sum one.

    Parameters
    ----------
    name : str
        A NumPy array (.npy, never unpickled), numbers separated by commas or blanks
        (.csv, .txt), or an image with one channel.

    Raises
    ------
    InputError
        If the file cannot be read, or does not hold a small finite two-dimensional array with a
        positive sum.
    """
    path = Path(name)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix.lower() == ".npy":
        return PointSpread.of(_array(path), name)
    if path.suffix.lower() in TEXT:
        return PointSpread.of(_text(path), name)
    raster = image_files.read(path)
    if len(raster.data) > 1:
        raise InputError(f"{path}: a kernel image has one channel; this one has {len(raster.data)}")
    check_shape(raster.shape, name)
    return PointSpread.of(np.where(raster.valid, raster.data[0], np.nan), name)


def _array(path: Path) -> npt.NDArray[np.generic]:
    """Look at the header before reading the values."""
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: not a NumPy array that can be read ({error})") from error
    if not isinstance(mapped, np.ndarray):
        raise InputError(f"{path}: holds several arrays; expected one")
    check_shape(mapped.shape, str(path))
    return np.array(mapped)


def _text(path: Path) -> npt.NDArray[np.float64]:
    """Read rows of numbers."""
    if path.stat().st_size > MAX_TEXT:
        raise InputError(f"{path}: too large for a kernel; at most {MAX_TEXT} bytes are read")
    try:
        text = path.read_text(encoding="utf-8-sig").replace(",", " ").replace(";", " ")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return np.loadtxt(text.splitlines(), ndmin=2)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not rows of numbers of equal length ({error})") from error
