"""Radiometric JPEGs of FLIR cameras: counts, calibration, photo, and the placement in it.

APP1 segments that begin with "FLIR" carry pieces of one FFF file: a header, a directory of records,
the records. Layout as documented by ExifTool (https://exiftool.org/TagNames/FLIR.html).
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cmsr.errors import InputError
from cmsr.io.jpeg import segments
from cmsr.thermal import planck
from cmsr.thermal.crop import crop

_RAW, _PHOTO, _CAMERA, _PLACEMENT = 0x01, 0x0E, 0x20, 0x2A
_USED = (_RAW, _PHOTO, _CAMERA, _PLACEMENT)
_MAX_PIXELS = 2**25
"""Largest raw image or photo accepted: no such camera has 33 million pixels."""

_BLACK, _LIT, _BAR = 24, 0.02, 2
"""Bars: brightest value of black, share of brighter pixels in a line of a photo, and width of their
blurred border in pixels; by eye."""

_SENSOR_FIELDS = {"r1": 0x58, "b": 0x5C, "f": 0x60, "r2": 0x30C} | {
    name: 0x70 + 4 * i for i, name in enumerate(("alpha1", "alpha2", "beta1", "beta2", "x"))
}
_CONDITION_FIELDS = {
    "emissivity": 0x20,
    "distance": 0x24,
    "reflected": 0x28,
    "atmospheric": 0x2C,
    "window_temperature": 0x30,
    "window_transmission": 0x34,
    "humidity": 0x3C,
}
_IN_KELVIN = ("reflected", "atmospheric", "window_temperature")
_PLANCK_O = 0x308


@dataclass(frozen=True)
class Placement:
    """Place of the thermal image in the photo, as the camera has it.

    Attributes
    ----------
    zoom : float
        How many times larger the photo's field of view is.
    right, down : int
        From the photo's centre to the thermal image's, in pixels of the photo.
    """

    zoom: float = 1.0
    right: int = 0
    down: int = 0


@dataclass(frozen=True)
class Flir:
    """Content of one file.

    Attributes
    ----------
    counts : array of uint16, shape (h, w)
    sensor, conditions
        Turn them into temperatures.
    photo : array of uint8, shape (H, W, 3), or None
    placement : Placement
    """

    counts: npt.NDArray[np.uint16]
    sensor: planck.Sensor
    conditions: planck.Conditions
    photo: npt.NDArray[np.uint8] | None
    placement: Placement

    def celsius(self, **overrides: float | None) -> npt.NDArray[np.float32]:
        """Return temperatures (h, w) in °C; ``overrides`` replace fields of the conditions."""
        given = {name: value for name, value in overrides.items() if value is not None}
        return planck.celsius(self.counts, self.sensor, replace(self.conditions, **given))

    def box(self) -> npt.NDArray[np.float64]:
        """Return top, left, bottom, right of the thermal image, in pixels of the photo.

        Raises
        ------
        InputError
            If there is no photo.
        """
        if self.photo is None:
            raise InputError("holds no photo beside the thermal image")
        height, width = self.photo.shape[:2]
        rows, cols = self.counts.shape
        size = min(width / cols, height / rows) / self.placement.zoom
        top = height / 2 + self.placement.down - size * rows / 2
        left = width / 2 + self.placement.right - size * cols / 2
        return np.array([top, left, top + size * rows, left + size * cols])


def cut(
    photo: npt.NDArray[np.uint8], box: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Return the part of a photo in a box, and where that holds an image.

    It does not beyond the photo, where the border is repeated, nor in black bars around it.
    """
    down = round(float(box[0])) + np.arange(round(float(box[2] - box[0])))
    right = round(float(box[1])) + np.arange(round(float(box[3] - box[1])))
    part, inside = crop(photo, down, right)
    return part, crop(shown(photo), down, right)[0] & inside


def shown(photo: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Mask (H, W) of a photo (H, W, 3) without the black bars along its border."""
    lit = photo.max(axis=2) > _BLACK
    rows, cols = (np.flatnonzero(lit.mean(axis=axis) > _LIT) for axis in (1, 0))
    everywhere = np.ones(lit.shape, bool)
    if not rows.size or not cols.size:
        return everywhere
    bars = ~everywhere
    bars[rows[0] + _BAR : rows[-1] + 1 - _BAR, cols[0] + _BAR : cols[-1] + 1 - _BAR] = True
    return bars if bars.mean() > 0.5 and not lit.all(axis=None) else everywhere


def read(content: bytes, name: str) -> Flir | None:
    """Parse a JPEG file; None if it is not one of FLIR's radiometric files.

    Raises
    ------
    InputError
        If it is one, but broken.
    """
    fff = _fff(content)
    if not fff:
        return None
    try:
        records = _records(fff)
        if _RAW not in records or _CAMERA not in records:
            raise InputError(f"{name}: a FLIR file without raw thermal image or calibration")
        sensor, conditions = _calibration(records[_CAMERA])
        return Flir(
            counts=_counts(records[_RAW]),
            sensor=sensor,
            conditions=conditions,
            photo=_photo(records[_PHOTO]) if _PHOTO in records else None,
            placement=_placement(records.get(_PLACEMENT, b"")),
        )
    except (struct.error, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{name}: its FLIR records are broken ({error})") from error


def _fff(content: bytes) -> bytes:
    """Join the pieces: each payload is "FLIR", 0, 1, its number, the last number, data."""
    pieces = {
        payload[6]: payload[8:]
        for marker, payload in segments(content)
        if marker == 0xE1 and payload[:5] == b"FLIR\0" and len(payload) > 8
    }
    return b"".join(pieces[number] for number in sorted(pieces))


def _records(fff: bytes) -> dict[int, bytes]:
    """Read the directory: 32 bytes an entry, the type first, place and length at 12 and 16."""
    if fff[:4] not in (b"FFF\0", b"AFF\0"):
        raise ValueError("no FFF header")
    order = min("<>", key=lambda order: struct.unpack_from(order + "I", fff, 20)[0])
    place, count = struct.unpack_from(order + "II", fff, 24)
    if count > 256:
        raise ValueError(f"{count} records")
    found: dict[int, bytes] = {}
    for entry in range(count):
        kind, _, _, _, start, length = struct.unpack_from(order + "HHIIII", fff, place + 32 * entry)
        if kind not in _USED or kind in found or not length:
            continue
        if start + length > len(fff):
            raise ValueError(f"record {kind:#x} is cut off")
        found[kind] = fff[start : start + length]
    return found


def _order(record: bytes) -> str:
    """Every record begins with the number 2 or 1 or 3 in its own byte order."""
    return "<" if int.from_bytes(record[:2], "little") < 256 else ">"


def _counts(record: bytes) -> npt.NDArray[np.uint16]:
    """Read the raw image, kept as PNG or as plain numbers behind 32 bytes."""
    order = _order(record)
    cols, rows = struct.unpack_from(order + "HH", record, 2)
    if not 0 < cols * rows <= _MAX_PIXELS:
        raise ValueError(f"raw image of {cols} × {rows} pixels")
    if record[32:36] != b"\x89PNG":
        plain = np.frombuffer(record, order + "u2", cols * rows, 32).reshape(rows, cols)
        return plain.astype(np.uint16)
    with Image.open(io.BytesIO(record[32:]), formats=["PNG"]) as picture:
        if not picture.mode.startswith("I"):
            raise ValueError("raw image is not of 16 bits")
        _check_size(picture)
        stored = np.asarray(picture).astype(np.uint16)
    swapped = stored.byteswap()
    return min(stored, swapped, key=_roughness)


def _roughness(image: npt.NDArray[Any]) -> float:
    """Mean difference between neighbours: bytes in the wrong order make noise of a scene."""
    wide = image.astype(np.float64)
    return float(np.abs(np.diff(wide, axis=0)).mean() + np.abs(np.diff(wide, axis=1)).mean())


def _photo(record: bytes) -> npt.NDArray[np.uint8] | None:
    """Decode the photo, a PNG or JPEG behind 32 bytes."""
    with Image.open(io.BytesIO(record[32:]), formats=["JPEG", "PNG"]) as picture:
        _check_size(picture)
        return np.asarray(picture.convert("RGB"))


def _check_size(picture: Image.Image) -> None:
    if picture.width * picture.height > _MAX_PIXELS:
        raise ValueError(f"image of {picture.width} × {picture.height} pixels")


def _calibration(record: bytes) -> tuple[planck.Sensor, planck.Conditions]:
    """Read how the camera turns temperatures into counts, and what it assumes of the scene."""
    order = _order(record)

    def number(place: int) -> float:
        return float(struct.unpack_from(order + "f", record, place)[0])

    sensor = {name: number(place) for name, place in _SENSOR_FIELDS.items()}
    conditions = {name: number(place) for name, place in _CONDITION_FIELDS.items()}
    for name in _IN_KELVIN:
        conditions[name] -= planck.KELVIN
    offset = struct.unpack_from(order + "i", record, _PLANCK_O)[0]
    return planck.Sensor(o=offset, **sensor), planck.Conditions(**conditions)


def _placement(record: bytes) -> Placement:
    if len(record) < 8:
        return Placement()
    for order in "<>":
        zoom, right, down = struct.unpack_from(order + "fhh", record)
        if 0.25 <= zoom <= 16 and max(abs(right), abs(down)) < 4096:
            return Placement(zoom, right, down)
    return Placement()
