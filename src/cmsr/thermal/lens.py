"""The fields of view of a FLIR camera's two lenses, from its records."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import NamedTuple, Self

from cmsr.thermal import exif, fff, flir, radiometric

_FIELD_OF_VIEW = 0x1B4
"""Place of the thermal camera's horizontal field of view in the camera's record, in degrees."""


class CameraFields(NamedTuple):
    """Fields of view of a thermal camera and of the photo camera beside it.

    Attributes
    ----------
    camera : (str, str)
        Maker and model.
    angle : float or None
        The thermal image's horizontal field of view, in degrees.
    wider : tuple of float
        How many times the photo's field is wider (Real2IR): the camera's own figure, and after its
        digital zoom, by which some multiply it.
    """

    camera: tuple[str, str]
    angle: float | None
    wider: tuple[float, ...]

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Read a JPEG of such a camera; None of any other file, and where it is broken."""
        try:
            parts = radiometric.segments_of(path)
            container = fff.joined(parts)
            found = fff.records(container) if container else {}
        except (OSError, ValueError, struct.error):
            return None
        if not found:
            return None
        about = exif.read(parts)
        zoom = flir.placement(found.get(fff.PLACEMENT, b"")).zoom
        wider = {zoom, zoom / about.digital_zoom} if zoom != 1 else set[float]()
        return cls(
            (about.maker, about.model), _angle(found.get(fff.CAMERA, b"")), (*sorted(wider),)
        )


def camera_of(path: Path) -> tuple[str, str]:
    """Return maker and model of the camera that took a JPEG, empty where it does not tell."""
    try:
        about = exif.read(radiometric.segments_of(path))
    except (OSError, ValueError):
        return "", ""
    return about.maker, about.model


def _angle(record: bytes) -> float | None:
    if len(record) < _FIELD_OF_VIEW + 4:
        return None
    (angle,) = struct.unpack_from(fff.order_of(record) + "f", record, _FIELD_OF_VIEW)
    return float(angle) if math.isfinite(angle) and 1 <= angle <= 140 else None
