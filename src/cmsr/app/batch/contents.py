"""The beginning of a file: whether it is the sensor's image, a photo or both, and its time."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cmsr.app.batch.names import Role
from cmsr.errors import InputError
from cmsr.thermal import dji, fff, flir, radiometric

_IMAGES = {
    b"\xff\xd8\xff": "picture", b"\x89PNG": "picture", b"BM": "picture", b"RIFF": "picture",
    b"II*\0": "tiff", b"MM\0*": "tiff", b"II+\0": "tiff", b"MM\0+": "tiff",
    b"\x93NUMPY": "array", b"\x76\x2f\x31\x01": "sensor", b"FFF\0": "sensor", b"AFF\0": "sensor",
}  # fmt: skip
"""First bytes of the files that may belong to a pair, and what kind they are."""

_TIMES = ((0x9003, 0x9291), (0x9004, 0x9292), (0x0132, 0x9290))
"""Exif's times, of taking the picture first, with their fractions of a second."""

_GREY = 3
"""Mean difference of a picture's channels up to which it is grey, of 255: JPEG's own errors."""

_SIDE = 64
"""Longest side at which colours are looked at."""


@dataclass(frozen=True)
class Content:
    """Contents of a file.

    Attributes
    ----------
    role : {"target", "photo"} or None
        None where it cannot be read.
    complete : bool
        Whether it holds its own photo.
    time : float or None
        When it was taken, in seconds.
    """

    role: Role | None
    complete: bool = False
    time: float | None = None


def kind_of(path: Path) -> str | None:
    """Return what kind of image a file is, by its first bytes; None if it is none that is known."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError:
        return None
    return next((kind for mark, kind in _IMAGES.items() if start.startswith(mark)), None)


def look(path: Path) -> Content:
    """Look into an image; nothing but the header and a small picture is decoded."""
    match kind_of(path):
        case "picture" | "tiff" as kind:
            return _picture(path, tiff=kind == "tiff")
        case "array":
            return _array(path)
        case "sensor":
            return Content("target")
    return Content(None)


def _picture(path: Path, *, tiff: bool) -> Content:
    content, time, role = _radiometric(path), None, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                time = _taken(picture)
                role = _role(picture)
    except Exception:
        # Pillow knows no TIFF of many bands; what it refuses otherwise cannot be used
        role = "target" if tiff else None
    return replace(content, time=time) if content else Content(role, time=time)


def _radiometric(path: Path) -> Content | None:
    """Look for a thermal camera's measurements, and a photo beside them."""
    parts = radiometric.segments_of(path)
    try:
        if frame := fff.joined(parts):
            return Content("target", flir.read(frame, str(path)).photo is not None)
        return Content("target") if parts and dji.counts(parts) is not None else None
    except InputError:
        return Content("target")


def _array(path: Path) -> Content:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError):
        return Content(None)
    colours = array.ndim == 3 and array.shape[2] in (3, 4) and array.dtype == np.uint8
    return Content("photo" if colours else "target")


def _role(picture: Image.Image) -> Role:
    """Return "photo" for a colour picture of 8 bits that is not grey."""
    if picture.mode not in ("RGB", "RGBA", "P", "YCbCr", "CMYK"):
        return "target"
    picture.draft("RGB", (_SIDE, _SIDE))
    small = picture.convert("RGB")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    colours = np.asarray(small).astype(int)
    return "photo" if np.ptp(colours, axis=2).mean() > _GREY else "target"


def _taken(picture: Image.Image) -> float | None:
    exif = picture.getexif()
    inner = exif.get_ifd(0x8769)
    for whole, part in _TIMES:
        text: Any = inner.get(whole) or exif.get(whole)
        try:
            moment = datetime.strptime(str(text).strip("\0 ")[:19], "%Y:%m:%d %H:%M:%S")
            fraction = str(inner.get(part) or "0").strip("\0 ")
            return moment.timestamp() + float(f"0.{fraction}" if fraction.isdecimal() else 0)
        except (ValueError, OverflowError, OSError):
            continue
    return None
