"""FLIR's container: a header, a directory of records, the records; alone or inside a JPEG.

A file .fff holds one, .seq and .csq one a frame, one behind the other; a JPEG holds pieces of one
in APP1 segments that begin with "FLIR". Layout as documented by ExifTool
(https://exiftool.org/TagNames/FLIR.html).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from mmap import mmap

MAGIC = (b"FFF\0", b"AFF\0")
RAW, PHOTO, CAMERA, PLACEMENT = 0x01, 0x0E, 0x20, 0x2A
_USED = (RAW, PHOTO, CAMERA, PLACEMENT)
_HEADER, _ENTRY = 64, 32
_MOST_RECORDS = 256


def joined(segments: Iterable[tuple[int, bytes]]) -> bytes:
    """Join the pieces in a JPEG: a payload is "FLIR", 0, 1, its number, the last number, data."""
    pieces = {
        payload[6]: payload[8:]
        for marker, payload in segments
        if marker == 0xE1 and payload[:5] == b"FLIR\0" and len(payload) > 8
    }
    return b"".join(pieces[number] for number in sorted(pieces))


def frames(content: bytes | mmap) -> list[int]:
    """Return where each frame of a file begins.

    Raises
    ------
    ValueError
        If the first is broken.
    """
    found, place = list[int](), 0
    while 0 <= place < len(content):
        try:
            end = place + max(_end(content, place), _HEADER)
        except ValueError:
            if not found:
                raise
            break
        found.append(place)
        places = [content.find(magic, end) for magic in MAGIC]
        place = min((place for place in places if place >= 0), default=-1)
    return found


def _end(content: bytes | mmap, start: int) -> int:
    """Return where the records of a frame end, counted from its start."""
    return max((at + length for _, at, length in _directory(content, start)), default=0)


def records(content: bytes | mmap, start: int = 0) -> dict[int, bytes]:
    """Return the records of a frame that are used, by kind; of several of a kind the first.

    A record that is cut off is empty.

    Raises
    ------
    ValueError
        If the raw image or the directory is cut off.
    """
    found: dict[int, bytes] = {}
    for kind, at, length in _directory(content, start):
        if kind not in _USED or kind in found or not length:
            continue
        whole = start + at + length <= len(content)
        if kind == RAW and not whole:
            raise ValueError("the raw image is cut off")
        found[kind] = content[start + at : start + at + length] if whole else b""
    return found


def _directory(content: bytes | mmap, start: int) -> Iterator[tuple[int, int, int]]:
    """Yield kind, place and length of each record: 32 bytes an entry, the type first."""
    header = content[start : start + _HEADER]
    if header[:4] not in MAGIC or len(header) < _HEADER:
        raise ValueError("no FFF header")
    order = min("<>", key=lambda order: struct.unpack_from(order + "I", header, 20)[0])
    place, count = struct.unpack_from(order + "II", header, 24)
    if count > _MOST_RECORDS:
        raise ValueError(f"{count} records")
    table = content[start + place : start + place + _ENTRY * count]
    if len(table) < _ENTRY * count:
        raise ValueError("its directory is cut off")
    for entry in range(count):
        kind, _, _, _, at, length = struct.unpack_from(order + "HHIIII", table, _ENTRY * entry)
        yield kind, at, length


def order_of(record: bytes) -> str:
    """Return the byte order: every record begins with the number 2 or 1 or 3 in its own."""
    return "<" if int.from_bytes(record[:2], "little") < 256 else ">"
