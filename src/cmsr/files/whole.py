"""Whether a file is whole, where its reader takes what is cut off for zeros, or for no page."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np

from cmsr.errors import InputError

_PNM_HEADER = re.compile(rb"P[56]((\s|#[^\n]*\n)+\d+){3}\s")
_LONGEST_HEADER = 2**16

_CLASSIC = (b"CDF\1", b"CDF\2")
"""How classic NetCDF files begin; the newer ones are HDF5, which notices by itself."""


def check_whole(name: str, dataset: Any) -> None:
    """Raise InputError if an opened TIFF, PNM or classic NetCDF file is shorter than it says."""
    checks = {"GTiff": _tiff_is_whole, "PNM": _pnm_is_whole, "netCDF": _netcdf_is_whole}
    check = checks.get(dataset.driver)
    if check is not None and not check(Path(dataset.files[0]), dataset):
        raise InputError(f"{name}: is cut off; the end of the file is missing")


def _tiff_is_whole(path: Path, dataset: Any) -> bool:
    """Tell whether the directories of all pages are there; each names the place of the next."""
    seen = {0}
    with path.open("rb") as file:
        start = file.read(16)
        order = "<" if start[:2] == b"II" else ">"
        big = struct.unpack_from(order + "H", start, 2)[0] == 43
        count, place, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
        (page,) = struct.unpack_from(order + place, start, 8 if big else 4)
        while page not in seen:
            seen.add(page)
            try:
                entries = _number(file, page, order + count)
                page = _number(file, page + struct.calcsize(count) + entry * entries, order + place)
            except (struct.error, OSError, OverflowError):
                return False
    return True


def _number(file: IO[bytes], place: int, kind: str) -> int:
    """Read a number of a TIFF file."""
    file.seek(place)
    return int(struct.unpack(kind, file.read(struct.calcsize(kind)))[0])


def _pnm_is_whole(path: Path, dataset: Any) -> bool:
    """Tell whether the pixels, which end the file, are all there."""
    with path.open("rb") as file:
        header = _PNM_HEADER.match(file.read(_LONGEST_HEADER))
    height, width = dataset.shape
    pixels = height * width * dataset.count * np.dtype(dataset.dtypes[0]).itemsize
    return header is not None and path.stat().st_size >= header.end() + pixels


def _netcdf_is_whole(path: Path, dataset: Any) -> bool:
    """Tell whether a file that is a classic one has all its variables; nothing is loaded."""
    from scipy.io import netcdf_file

    with path.open("rb") as file:
        if file.read(4) not in _CLASSIC:
            return True
    try:
        with netcdf_file(path, mmap=True):
            return True
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, OSError):
        return False
