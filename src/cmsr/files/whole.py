"""Whether a file is whole, for formats whose readers take what is cut off for zeros."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from cmsr.errors import InputError

_PNM_HEADER = re.compile(rb"P[56]((\s|#[^\n]*\n)+\d+){3}\s")
_LONGEST_HEADER = 2**16

_CLASSIC = (b"CDF\1", b"CDF\2")
"""How classic NetCDF files begin; the newer ones are HDF5, which notices by itself."""


def check_whole(name: str, dataset: Any) -> None:
    """Raise InputError if an opened PNM or classic NetCDF file is shorter than it says."""
    if dataset.driver == "PNM":
        whole = _pnm_is_whole(Path(dataset.files[0]), dataset)
    elif dataset.driver == "netCDF":
        whole = _netcdf_is_whole(Path(dataset.files[0]))
    else:
        return
    if not whole:
        raise InputError(f"{name}: is cut off; the end of the file is missing")


def _pnm_is_whole(path: Path, dataset: Any) -> bool:
    """Tell whether the pixels, which end the file, are all there."""
    with path.open("rb") as file:
        header = _PNM_HEADER.match(file.read(_LONGEST_HEADER))
    height, width = dataset.shape
    pixels = height * width * dataset.count * np.dtype(dataset.dtypes[0]).itemsize
    return header is not None and path.stat().st_size >= header.end() + pixels


def _netcdf_is_whole(path: Path) -> bool:
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
