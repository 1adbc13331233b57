"""The focal length that a camera wrote into its file, by which fields of view compare."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

from PIL import Image

from cmsr.errors import InputError
from cmsr.io import image_files

_EXIF, _EQUIVALENT = 0x8769, 0xA405
"""Exif's own directory, and its entry FocalLengthIn35mmFilm."""

_ENDINGS = (".jpg", ".jpeg", ".tif", ".tiff")

PLAUSIBLE = 2, 5000
"""Millimetres, by eye: 0 stands for an unknown length."""


def equivalent(name: str) -> float | None:
    """Return the focal length of a file in millimetres for a frame of 35 mm film, if it tells.

    Two images of one diagonal field of view have the same (CIPA DCG-001).
    """
    try:
        path = Path(image_files.locate(name)[0])
        if path.suffix.lower() not in _ENDINGS or not path.is_file():
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=["JPEG", "TIFF"]) as picture:
                value = picture.getexif().get_ifd(_EXIF).get(_EQUIVALENT)
        length = float(value) if isinstance(value, int | float) else 0.0
    except (InputError, OSError, ValueError, TypeError, KeyError, SyntaxError, struct.error):
        return None
    except Image.DecompressionBombError:
        return None
    return length if PLAUSIBLE[0] <= length <= PLAUSIBLE[1] else None
