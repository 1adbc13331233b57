"""A thermal image of a FLIR camera: counts, calibration, photo, and the placement in it."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cmsr.errors import InputError
from cmsr.thermal import exif, fff, jpeg_ls, planck
from cmsr.thermal.photo import Placement, decoded

_MAX_PIXELS = 2**25
"""Largest raw image accepted: no such camera has 33 million pixels."""

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
_MODEL = slice(0xD4, 0xF4)

_BROKEN = (struct.error, OSError, ValueError, SyntaxError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Flir:
    """Content of one frame.

    Attributes
    ----------
    counts : array of uint16, shape (h, w)
    sensor, conditions
        Turn them into temperatures; None where the file has no calibration.
    photo : array of uint8, shape (H, W, 3), or None
    placement : Placement
    model : str
        The camera's, "" if it is not named.
    faults : tuple of str
        What of the file could not be used.
    """

    counts: npt.NDArray[np.uint16]
    sensor: planck.Sensor | None
    conditions: planck.Conditions | None
    photo: npt.NDArray[np.uint8] | None
    placement: Placement
    model: str = ""
    faults: tuple[str, ...] = field(default=())

    def celsius(self, **overrides: float | None) -> npt.NDArray[np.float32]:
        """Return temperatures (h, w) in °C; ``overrides`` replace fields of the conditions.

        Raises
        ------
        InputError
            If there is no calibration, or the conditions give no temperature.
        """
        if self.sensor is None or self.conditions is None:
            raise InputError("holds no calibration")
        given = {name: value for name, value in overrides.items() if value is not None}
        return planck.celsius(self.counts, self.sensor, replace(self.conditions, **given))


def read(content: Any, name: str, start: int = 0) -> Flir:
    """Parse the frame of a container that begins at ``start``.

    Raises
    ------
    InputError
        If it holds no thermal image that can be read.
    """
    try:
        found = fff.records(content, start)
        if fff.RAW not in found:
            raise InputError(
                f"{name}: a FLIR file without its raw thermal image; use the original file"
            )
        counts = _counts(found[fff.RAW])
    except _BROKEN as error:
        raise InputError(f"{name}: its raw thermal image is broken ({error})") from error
    photo, faults = None, list[str]()
    if fff.PHOTO in found:
        try:
            photo = decoded(found[fff.PHOTO][32:])
        except _BROKEN:
            faults.append("the photo in it is broken and not used")
    if photo is not None and not found.get(fff.PLACEMENT, b"-"):
        faults.append("the photo's placement is cut off: the same field of view is assumed")
    camera = found.get(fff.CAMERA, b"")
    sensor, conditions = _calibration(camera)
    if sensor is None:
        faults.append("it has no calibration: the values are counts, not °C")
    return Flir(
        counts=counts,
        sensor=sensor,
        conditions=conditions,
        photo=photo,
        placement=placement(found.get(fff.PLACEMENT, b"")),
        model=exif.plain(camera[_MODEL].decode("latin-1")),
        faults=tuple(faults),
    )


def _counts(record: bytes) -> npt.NDArray[np.uint16]:
    """Read the raw image, kept as PNG, as JPEG-LS or as plain numbers behind 32 bytes."""
    order = fff.order_of(record)
    cols, rows = struct.unpack_from(order + "HH", record, 2)
    if not 0 < cols * rows <= _MAX_PIXELS:
        raise ValueError(f"raw image of {cols} × {rows} pixels")
    if record[32:34] == jpeg_ls.MAGIC:
        return _smoother(jpeg_ls.decode(record[32:], (rows, cols)))
    if record[32:36] != b"\x89PNG":
        plain = np.frombuffer(record, order + "u2", cols * rows, 32).reshape(rows, cols)
        return plain.astype(np.uint16)
    with Image.open(io.BytesIO(record[32:]), formats=["PNG"]) as picture:
        if not picture.mode.startswith("I"):
            raise ValueError("raw image is not of 16 bits")
        if picture.width * picture.height > _MAX_PIXELS:
            raise ValueError(f"raw image of {picture.width} × {picture.height} pixels")
        return _smoother(np.asarray(picture).astype(np.uint16))


def _smoother(stored: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Return an image in the byte order that makes the smoother scene."""
    return min(stored, stored.byteswap(), key=_roughness)


def _roughness(image: npt.NDArray[Any]) -> float:
    """Mean difference between neighbours: bytes in the wrong order make noise of a scene."""
    wide = image.astype(np.float64)
    return float(np.abs(np.diff(wide, axis=0)).mean() + np.abs(np.diff(wide, axis=1)).mean())


def _calibration(record: bytes) -> tuple[planck.Sensor | None, planck.Conditions | None]:
    """Read how the camera turns temperatures into counts, and what it assumes of the scene."""
    if len(record) < _SENSOR_FIELDS["r2"] + 4:
        return None, None
    order = fff.order_of(record)

    def number(place: int) -> float:
        return float(struct.unpack_from(order + "f", record, place)[0])

    constants = {name: number(place) for name, place in _SENSOR_FIELDS.items()}
    conditions = {name: number(place) for name, place in _CONDITION_FIELDS.items()}
    for name in _IN_KELVIN:
        conditions[name] -= planck.KELVIN
    offset = struct.unpack_from(order + "i", record, _PLANCK_O)[0]
    usable = all(0 < constants[name] < np.inf for name in ("r1", "r2", "b"))
    sensor = planck.Sensor(o=offset, **constants) if usable else None
    return sensor, planck.Conditions(**conditions)


def placement(record: bytes) -> Placement:
    """Read where the camera places its thermal image in its photo."""
    if len(record) < 8:
        return Placement()
    for order in "<>":
        zoom, right, down = struct.unpack_from(order + "fhh", record)
        if 0.25 <= zoom <= 16 and max(abs(right), abs(down)) < 4096:
            return Placement(zoom, right, down)
    return Placement()
