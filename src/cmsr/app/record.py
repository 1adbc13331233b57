"""Records of runs and files, as JSON and as a line of text."""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from cmsr import __version__
from cmsr.io.atomic import write_text
from cmsr.io.raster import Raster


def of_run(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a run: `Result.info`, the peak of memory, and versions."""
    import torch

    return {
        **info,
        "peak_memory_mb": round(peak_memory_mb()),
        "versions": {
            "cmsr": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "rasterio": rasterio.__version__,
            "numpy": np.__version__,
        },
    }


def of_pages(pages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one record for a file from those of its pages."""
    return pages[0] if len(pages) == 1 else {"pages": pages}


def summary(info: Mapping[str, Any]) -> str:
    """Return a line on `Result.info`: size, ratio, kernel, seconds."""
    height, width = info["size"]
    ratio = ratio_text(*info["ratio"])
    return f"{width} × {height}, ratio {ratio}, kernel {info['kernel']}, {info['seconds']:.1f} s"


def ratio_text(vertical: float, horizontal: float) -> str:
    """Return a ratio as text, with both axes if they differ.

    >>> ratio_text(4.0, 4.0), ratio_text(2.5, 3.0)
    ('4', '2.5 × 3')
    """
    return f"{vertical:.4g}" + (f" × {horizontal:.4g}" if vertical != horizontal else "")


def of_file(raster: Raster) -> dict[str, Any]:
    """Return size, type, range, holes, georeference, camera of a file, as JSON values."""
    height, width = raster.shape
    seen = raster.data[np.broadcast_to(raster.measured, raster.data.shape)]
    crs = raster.profile.get("crs")
    return {
        "file": raster.name,
        "size": f"{width} × {height}",
        "width": width,
        "height": height,
        "channels": len(raster.data),
        "alpha": raster.alpha,
        "type": raster.data.dtype.name,
        "minimum": seen.min().item() if seen.size else None,
        "maximum": seen.max().item() if seen.size else None,
        "mean": float(seen.mean(dtype=np.float64)) if seen.size else None,
        "valid": f"{raster.measured.mean():.2%}",
        "valid_share": float(raster.measured.mean()),
        "nodata": _finite(raster.profile.get("nodata")),
        "unit": (raster.profile.get("units") or [None])[0],
        "crs": str(crs) if crs else None,
        **({"camera": camera} if (camera := raster.profile.get("camera")) else {}),
    }


def peak_memory_mb() -> float:
    """Return the largest resident size of this process so far, in MB."""
    if sys.platform == "win32":
        return _peak_on_windows() / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _peak_on_windows() -> int:
    """Return the peak of the working set of this process, in bytes; 0 if Windows does not tell."""
    import ctypes
    from ctypes import wintypes

    sizes = ("peak", "size", *(f"other_{number}" for number in range(6)))

    class Counters(ctypes.Structure):
        """PROCESS_MEMORY_COUNTERS of Windows."""

        _fields_ = [
            ("own_size", wintypes.DWORD),
            ("faults", wintypes.DWORD),
            *((name, ctypes.c_size_t) for name in sizes),
        ]

    found = Counters(own_size=ctypes.sizeof(Counters))
    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    ask = kernel.K32GetProcessMemoryInfo
    ask.argtypes = [wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD]
    told = ask(kernel.GetCurrentProcess(), ctypes.byref(found), found.own_size)
    return int(found.peak) if told else 0


PRINTED = Path("-")
"""Name of a record that is printed instead of written."""


def files(*outputs: Path | None) -> list[Path]:
    """Return those of some outputs that are files: given, and not printed."""
    return [path for path in outputs if path not in (None, PRINTED)]


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Write facts as JSON, whole or not at all, or print them; what is not finite becomes null.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    text = json.dumps({name: _finite(value) for name, value in facts.items()}, indent=2)
    if path == PRINTED:
        print(text)
    else:
        write_text(path, text + "\n")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
