"""The field of view that a file tells: Exif's focal lengths, XMP of drones' cameras."""

from __future__ import annotations

import math
import re
import struct
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from cmsr.errors import InputError
from cmsr.io import image_files

_EXIF, _FOCAL_LENGTH, _EQUIVALENT, _ZOOM = 0x8769, 0x920A, 0xA405, 0xA404
_PLANE_X, _PLANE_Y, _PLANE_UNIT = 0xA20E, 0xA20F, 0xA210
"""Exif's own directory, and its entries FocalLength, FocalLengthIn35mmFilm, DigitalZoomRatio,
FocalPlaneXResolution, FocalPlaneYResolution and FocalPlaneResolutionUnit."""

_MILLIMETRES = {2: 25.4, 3: 10.0, 4: 1.0}
"""Of the units of the focal plane's resolution."""

_CALIBRATED = re.compile(rb"\bdrone-dji:CalibratedFocalLength\s*(?:=\s*[\"']|>)\s*([\d.]{1,12})")
"""Focal length in pixels, in DJI's XMP."""

_ENDINGS = (".jpg", ".jpeg", ".tif", ".tiff")

FILM = math.hypot(36, 24) / 2
"""Half the diagonal of a frame of 35 mm film, in millimetres."""

PLAUSIBLE = 0.01, 3.0
"""Least and largest tangent of half a diagonal: 1.1° to 143°; others stand for what is unknown."""

SPREAD, CALIBRATED_SPREAD, SENSOR_SPREAD = 0.05, 0.03, 0.08
"""Spread of the logarithm of what the three ways tell, by eye."""


class Lens(NamedTuple):
    """The field of view of an image, as far as it is known.

    Attributes
    ----------
    tangent : float
        Of half the angle along its diagonal.
    spread : float
        Standard deviation of its logarithm.
    """

    tangent: float
    spread: float


def lens(name: str) -> Lens | None:
    """Return what a file tells of its field of view, None where it tells nothing.

    Two images of one diagonal field of view have the same length for 35 mm film (CIPA DCG-001).
    """
    try:
        path = Path(image_files.locate(name)[0])
        if path.suffix.lower() not in _ENDINGS or not path.is_file():
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=["JPEG", "TIFF"]) as picture:
                found = _told(picture)
    except (InputError, OSError, ValueError, TypeError, KeyError, SyntaxError, struct.error):
        return None
    except (ZeroDivisionError, OverflowError, Image.DecompressionBombError):
        return None
    return found if found and PLAUSIBLE[0] <= found.tangent <= PLAUSIBLE[1] else None


def _told(picture: Image.Image) -> Lens | None:
    """Take the first of several ways in which an image tells its field of view."""
    tags = picture.getexif().get_ifd(_EXIF)
    zoom = _number(tags.get(_ZOOM))
    if equivalent := _number(tags.get(_EQUIVALENT)):
        return _zoomed(Lens(FILM / equivalent, SPREAD), zoom)
    xmp = picture.info.get("xmp") or b""
    if isinstance(xmp, bytes) and (match := _CALIBRATED.search(xmp)):
        return Lens(math.hypot(*picture.size) / 2 / float(match[1]), CALIBRATED_SPREAD)
    length, per_unit = _number(tags.get(_FOCAL_LENGTH)), _number(tags.get(_PLANE_X))
    if length and per_unit:
        down = _number(tags.get(_PLANE_Y)) or per_unit
        unit = _MILLIMETRES.get(tags.get(_PLANE_UNIT, 2), 25.4)
        sensor = math.hypot(picture.size[0] / per_unit, picture.size[1] / down) * unit
        return _zoomed(Lens(sensor / 2 / length, SENSOR_SPREAD), zoom)
    return None


def _zoomed(found: Lens, zoom: float) -> Lens:
    """Widen what a lens tells by a digital zoom, which some cameras have counted and some not."""
    if not 1 < zoom < 100:
        return found
    half = math.log(zoom) / 2
    return Lens(found.tangent / math.exp(half), math.hypot(found.spread, half))


def _number(value: Any) -> float:
    """Return a finite number above 0, or 0."""
    number = float(value) if value is not None and not isinstance(value, bytes | str) else 0.0
    return number if 0 < number < math.inf else 0.0
