"""The images in a TIFF: their sizes, and which of them is meant where others are thumbnails.

GDAL takes the first for the image, and does not list it among others where it is a thumbnail.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_WIDTH, _HEIGHT, _KIND, _INNER = 256, 257, 254, 330
_REDUCED, _MASK = 1, 4
"""Bits of a directory's kind (NewSubfileType): a smaller version of another image, a mask."""

_SIZES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Types of whole numbers in a directory."""

_MOST = 4096
"""Directories that are followed, at most."""

CLEARLY = 2
"""How many times as wide and high as every other the one image must be that is meant, where none is
marked as a thumbnail."""


@dataclass(frozen=True)
class Directory:
    """One image: where its directory lies, its size, and whether it is marked as reduced."""

    offset: int
    width: int
    height: int
    reduced: bool = False


def meant(path: Path) -> tuple[Directory, list[Directory]] | None:
    """Return the image that is meant, and all in the file; None where it is the first."""
    found = directories(path)
    if len(found) < 2:
        return None
    largest = max(found, key=lambda one: one.width * one.height)
    others = [one for one in found if one is not largest]
    alone = all(CLEARLY * one.width <= largest.width and CLEARLY * one.height <= largest.height
                for one in others if not one.reduced)  # fmt: skip
    return (largest, found) if alone and largest is not found[0] else None


def note(path: Path, name: str) -> list[str]:
    """Return a line on what a file holds, where the image that is meant is not the first."""
    found = meant(path)
    if found is None:
        return []
    sizes = ", ".join(f"{one.width} × {one.height}" for one in found[1])
    taken = f"{found[0].width} × {found[0].height}"
    return [f"{name}: holds images of {sizes} pixels; the largest, {taken}, is used"]


def directories(path: Path) -> list[Directory]:
    """List the images of a TIFF, without masks; none of a file that is no TIFF or broken."""
    try:
        with path.open("rb") as file:
            return [one for one in _walked(file) if one is not None]
    except (OSError, struct.error, ValueError, KeyError, OverflowError):
        return []


def _walked(file: IO[bytes]) -> list[Directory | None]:
    start = file.read(4)
    order = {b"II": "<", b"MM": ">"}[start[:2]]
    big = {42: False, 43: True}[struct.unpack(order + "H", start[2:4])[0]]
    place = "Q" if big else "I"
    waiting = [_number(file, 8 if big else 4, order + place)]
    found: dict[int, Directory | None] = {}
    while waiting and len(found) < _MOST:
        offset = waiting.pop(0)
        if not offset or offset in found:
            continue
        tags, after = _tags(file, offset, order, big=big)
        kind = tags.get(_KIND, [0])[0]
        size = tags.get(_WIDTH, [0])[0], tags.get(_HEIGHT, [0])[0]
        usable = all(size) and not kind & _MASK
        found[offset] = Directory(offset, *size, bool(kind & _REDUCED)) if usable else None
        waiting += [after, *tags.get(_INNER, [])]
    return list(found.values())


def _tags(
    file: IO[bytes], offset: int, order: str, *, big: bool
) -> tuple[dict[int, list[int]], int]:
    """Return the whole numbers in a directory that are used, and the offset of the next one."""
    count_kind, place, size = ("Q", "Q", 20) if big else ("H", "I", 12)
    entries = _number(file, offset, order + count_kind)
    first = offset + struct.calcsize(count_kind)
    if entries > _MOST:
        raise ValueError(f"{entries} entries")
    file.seek(first)
    table = file.read(entries * size)
    tags: dict[int, list[int]] = {}
    for number in range(entries):
        tag, kind, count = struct.unpack_from(order + "HH" + place, table, number * size)
        if tag not in (_WIDTH, _HEIGHT, _KIND, _INNER) or kind not in _SIZES or count > _MOST:
            continue
        numbers = f"{order}{count}{_SIZES[kind]}"
        within = number * size + struct.calcsize(order + "HH" + place)
        if struct.calcsize(numbers) > struct.calcsize(place):
            file.seek(struct.unpack_from(order + place, table, within)[0])
            tags[tag] = list(struct.unpack(numbers, file.read(struct.calcsize(numbers))))
        else:
            tags[tag] = list(struct.unpack_from(numbers, table, within))
    return tags, _number(file, first + entries * size, order + place)


def _number(file: IO[bytes], place: int, kind: str) -> int:
    file.seek(place)
    return int(struct.unpack(kind, file.read(struct.calcsize(kind)))[0])
