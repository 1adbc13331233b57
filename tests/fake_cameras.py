"""Radiometric JPEGs as cameras write them, made of known numbers."""

import io
import struct
from typing import Any

import numpy as np
from PIL import Image

from cmsr.thermal import planck
from tests.test_planck import SENSOR

SCENE = planck.Conditions(
    emissivity=0.95, distance=1, reflected=20, atmospheric=20, humidity=0.5, window_temperature=20
)


def exif(**tags: Any) -> Image.Exif:
    """Return Exif tags: ``make``, ``model``, ``orientation``, ``digital_zoom``."""
    made, places = Image.Exif(), {"make": 0x010F, "model": 0x0110, "orientation": 0x0112}
    for name, value in tags.items():
        if name == "digital_zoom":
            made.get_ifd(0x8769)[0xA404] = value
        else:
            made[places[name]] = value
    return made


def jpeg(size: tuple[int, int] = (64, 48), exif: Image.Exif | None = None) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif() if exif is None else exif
    Image.new("RGB", size, (80, 60, 40)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def with_segments(picture: bytes, segments: list[tuple[int, bytes]]) -> bytes:
    """Put segments of at most 65,533 bytes behind the start of a JPEG."""
    parts = [
        struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
        for marker, payload in segments
    ]
    return picture[:2] + b"".join(parts) + picture[2:]


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def raw_record(counts: np.ndarray, kind: str | bytes) -> bytes:
    """Encode the raw image: "png", "png-swapped", "little" or "big"; bytes are encoded already."""
    rows, cols = counts.shape
    order = ">" if kind == "big" else "<"
    head = struct.pack(order + "HHH", 2, cols, rows).ljust(32, b"\0")
    if isinstance(kind, bytes):
        return head + kind
    if kind == "png":
        return head + png(counts.astype(np.uint16))
    if kind == "png-swapped":
        return head + png(counts.astype(np.uint16).byteswap())
    return head + counts.astype(order + "u2").tobytes()


def camera_record(
    sensor: planck.Sensor,
    scene: planck.Conditions,
    order: str = "<",
    model: str = "",
    angle: float = 0.0,
) -> bytes:
    record = bytearray(0x400)
    floats = {
        0x20: scene.emissivity,
        0x24: scene.distance,
        0x28: scene.reflected + 273.15,
        0x2C: scene.atmospheric + 273.15,
        0x30: scene.window_temperature + 273.15,
        0x34: scene.window_transmission,
        0x3C: scene.humidity,
        0x58: sensor.r1,
        0x5C: sensor.b,
        0x60: sensor.f,
        0x70: sensor.alpha1,
        0x74: sensor.alpha2,
        0x78: sensor.beta1,
        0x7C: sensor.beta2,
        0x80: sensor.x,
        0x30C: sensor.r2,
        0x1B4: angle,
    }
    struct.pack_into(order + "H", record, 0, 2)
    for place, value in floats.items():
        struct.pack_into(order + "f", record, place, value)
    struct.pack_into(order + "i", record, 0x308, int(sensor.o))
    record[0xD4 : 0xD4 + len(model)] = model.encode()
    return bytes(record)


def photo_record(photo: np.ndarray | bytes) -> bytes:
    """Encode a photo, or bytes that are to stand for one."""
    if isinstance(photo, bytes):
        return struct.pack("<HHH", 3, 4, 4).ljust(32, b"\0") + photo
    return struct.pack("<HHH", 3, photo.shape[1], photo.shape[0]).ljust(32, b"\0") + png(photo)


def container(
    counts: np.ndarray,
    photo: np.ndarray | bytes | None = None,
    placement: tuple[float, int, int] = (1.0, 0, 0),
    *,
    raw: str | bytes = "png-swapped",
    order: str = "<",
    sensor: planck.Sensor | None = SENSOR,
    scene: planck.Conditions = SCENE,
    model: str = "",
    angle: float = 0.0,
) -> bytes:
    """Write an .fff file as FLIR's cameras do; ``order`` is that of the camera record."""
    records = {0x01: raw_record(counts, raw)}
    if sensor is not None:
        records[0x20] = camera_record(sensor, scene, order, model, angle)
    if photo is not None:
        records[0x0E] = photo_record(photo)
        records[0x2A] = struct.pack("<fhh", *placement).ljust(96, b"\0")
    start, directory, body = 512, b"", b""
    for kind, record in records.items():
        place = start + len(body)
        entry = struct.pack(">HHIIII", kind, 1, 100, 1, place, len(record))
        directory += entry.ljust(32, b"\0")
        body += record
    head = b"FFF\0".ljust(20, b"\0") + struct.pack(">III", 100, 64, len(records))
    return (head.ljust(64, b"\0") + directory).ljust(start, b"\0") + body


def flir_file(
    counts: np.ndarray,
    photo: np.ndarray | bytes | None = None,
    placement: tuple[float, int, int] = (1.0, 0, 0),
    *,
    exif: Image.Exif | None = None,
    **options: Any,
) -> bytes:
    """Write a radiometric JPEG as FLIR's cameras do; for the options see `container`."""
    fff = container(counts, photo, placement, **options)
    pieces = [fff[i : i + 60_000] for i in range(0, len(fff), 60_000)]
    segments = [
        (0xE1, b"FLIR\0\1" + bytes([number, len(pieces) - 1]) + piece)
        for number, piece in enumerate(pieces)
    ]
    return with_segments(jpeg(exif=exif), segments)


def dji_file(counts: np.ndarray, marker: int = 0xE3, **tags: Any) -> bytes:
    """Write a file as DJI's cameras do, the counts in APP3 or another segment."""
    raw = counts.astype("<u2").tobytes()
    pieces = [raw[i : i + 65_000] for i in range(0, len(raw), 65_000)]
    picture = jpeg(counts.shape[::-1], exif(make="DJI", **tags))
    return with_segments(picture, [(marker, piece) for piece in pieces])
