"""Detection of truncated files, whose missing parts their readers take for zeros or no page."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import IO

from cmsr.errors import InputError

_PNM = re.compile(rb"P([56])(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s")
_LONGEST_HEADER = 2**16


def check_whole(path: Path, name: str) -> None:
    """Raise InputError if a TIFF, PNM or classic NetCDF file is shorter than it says.

    Readers notice missing parts of other formats, and of a TIFF's pixels, themselves.
    """
    checks = {b"II": _tiff_is_whole, b"MM": _tiff_is_whole, b"CD": _netcdf_is_whole}
    checks |= {b"P5": _pnm_is_whole, b"P6": _pnm_is_whole}
    with path.open("rb") as file:
        check = checks.get(file.read(2))
        try:
            whole = check is None or check(path, file)
        except (ValueError, TypeError, LookupError, OverflowError, OSError, struct.error):
            whole = False
    if not whole:
        raise InputError(f"{name}: is truncated or broken")


def _tiff_is_whole(path: Path, file: IO[bytes]) -> bool:
    """Return whether the directories of all pages are there; each holds the next one's offset."""
    file.seek(0)
    order = "<" if file.read(2) == b"II" else ">"
    big = _number(file, 2, order + "H") == 43
    count, place, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    page, seen = _number(file, 8 if big else 4, order + place), {0}
    while page not in seen:
        seen.add(page)
        entries = _number(file, page, order + count)
        page = _number(file, page + struct.calcsize(count) + entry * entries, order + place)
    return True


def _number(file: IO[bytes], place: int, kind: str) -> int:
    file.seek(place)
    return int(struct.unpack(kind, file.read(struct.calcsize(kind)))[0])


def _pnm_is_whole(path: Path, file: IO[bytes]) -> bool:
    """Return whether all pixels, which end the file, are there."""
    file.seek(0)
    header = _PNM.match(file.read(_LONGEST_HEADER))
    if header is None:
        return False
    kind, width, height, top = (int(number) for number in header.groups())
    pixels = width * height * (3 if kind == 6 else 1) * (2 if top > 255 else 1)
    return path.stat().st_size >= header.end() + pixels


def _netcdf_is_whole(path: Path, file: IO[bytes]) -> bool:
    """Return whether all variables of the header are there; nothing is loaded."""
    from scipy.io import netcdf_file

    file.seek(0)
    if file.read(4) == b"CDF\5":
        raise InputError(f"{path}: CDF-5 NetCDF files cannot be read; use nccopy -k nc4")
    with netcdf_file(path, mmap=True):
        return True
