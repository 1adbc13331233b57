"""Tags added to a finished TIFF or BigTIFF, its pixels untouched.

The first directory is written anew: at the end of the file; in a COG, whose directories come before
all pixels, in place, and all that follows moves back.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8,
          17: 8, 18: 8}  # fmt: skip
"""Bytes of a value of each type."""

_PLACES = (273, 324)
"""Tags whose values are places in the file, of strips and tiles."""

_LARGEST_COG = 2**30
"""Bytes of a COG up to which it is rewritten."""

_STEP = 16
"""What follows in a COG moves by a multiple of so many bytes."""


class Tag(NamedTuple):
    """A tag to add: its content, or what makes the directory that it points to, by its place."""

    number: int
    kind: int
    content: bytes | Callable[[bytes, int], bytes]
    length: int = 1


@dataclass(frozen=True)
class _Form:
    """Byte order, and whether numbers of the file's structure have 64 bits."""

    order: str
    big: bool

    @classmethod
    def of(cls, header: bytes) -> _Form | None:
        order = {b"II": "<", b"MM": ">"}.get(header[:2])
        version = struct.unpack(f"{order}H", header[2:4])[0] if order else 0
        return cls(order, version == 43) if order and version in (42, 43) else None

    @property
    def number(self) -> str:
        """A place, a count of values."""
        return "Q" if self.big else "I"

    @property
    def room(self) -> int:
        """Bytes of a value that is kept in the directory itself."""
        return 8 if self.big else 4

    def pack(self, kinds: str, *values: int) -> bytes:
        return struct.pack(self.order + kinds, *values)

    def unpack(self, kind: str, content: bytes) -> int:
        return int(struct.unpack(self.order + kind, content)[0])

    def header(self, first: int) -> bytes:
        """Return a file's first bytes."""
        start = b"II" if self.order == "<" else b"MM"
        middle = self.pack("HHH", 43, 8, 0) if self.big else self.pack("H", 42)
        return start + middle + self.pack(self.number, first)

    def table(self, entries: dict[int, bytes], after: int) -> bytes:
        count = self.pack("Q" if self.big else "H", len(entries))
        return count + b"".join(entries[n] for n in sorted(entries)) + self.pack(self.number, after)

    def entry(self, tag: Tag, place: int, content: bytes) -> bytes:
        """Return the entry of a tag whose content, unless it fits in here, is at a place."""
        short = len(content) <= self.room
        value = content.ljust(self.room, b"\0") if short else self.pack(self.number, place)
        return self.pack("HH" + self.number, tag.number, tag.kind, tag.length) + value

    def directory(self, data: bytes, place: int) -> tuple[dict[int, bytes], int, int]:
        """Return a directory's entries by tag, the next one's place, and where this one ends."""
        kind, size = ("Q", 20) if self.big else ("H", 12)
        start = place + struct.calcsize(kind)
        count = self.unpack(kind, data[place:start])
        end = start + size * count
        rows = (data[at : at + size] for at in range(start, end, size))
        after = self.unpack(self.number, data[end : end + self.room])
        return {self.unpack("H", row[:2]): row for row in rows}, after, end + self.room


def add(file: BinaryIO, tags: list[Tag], *, cog: bool = False) -> None:
    """Add tags to the first image of a TIFF, but none that it has."""
    file.seek(0)
    start = file.read(16)
    form = _Form.of(start)
    if form is None:
        return
    size = file.seek(0, 2)
    first = form.unpack(form.number, start[8:] if form.big else start[4:8])
    if not cog:
        file.seek(first)
        table = file.read(min(size - first, 2**20))
        entries, after, _ = form.directory(table, 0)
        place = size + size % 2
        content, new = _block(form, _new(tags, entries), place)
        file.seek(size)
        file.write(b"\0" * (size % 2) + content + form.table(entries | new, after))
        file.seek(0)
        file.write(form.header(place + len(content)))
    elif size < _LARGEST_COG:
        file.seek(0)
        rewritten = _in_front(file.read(), form, first, tags)
        file.seek(0)
        file.write(rewritten)


def _new(tags: list[Tag], entries: dict[int, bytes]) -> list[Tag]:
    return [tag for tag in tags if tag.content and tag.number not in entries]


def _block(form: _Form, tags: list[Tag], place: int) -> tuple[bytes, dict[int, bytes]]:
    """Return the content of tags, to lie at a place, and their entries."""
    block, entries = b"", dict[int, bytes]()
    for tag in tags:
        here = place + len(block)
        if callable(tag.content):
            inner = tag.content(form.header(8), here)
            block += inner + b"\0" * (len(inner) % 2)
            entries[tag.number] = form.entry(tag, 0, form.pack("I", here))
            continue
        entries[tag.number] = form.entry(tag, here, tag.content)
        if len(tag.content) > form.room:
            block += tag.content + b"\0" * (len(tag.content) % 2)
    return block, entries


def _in_front(data: bytes, form: _Form, first: int, tags: list[Tag]) -> bytes:
    """Return a file whose first directory has more tags and is where it was."""
    entries, following, end = form.directory(data, first)
    new = _new(tags, entries)
    empty = form.table(entries | {tag.number: form.entry(tag, 0, b"") for tag in new}, 0)
    block, added = _block(form, new, first + len(empty))
    by = -(-(first + len(empty) + len(block) - end) // _STEP) * _STEP
    rest = bytearray(data[end:])
    mine = {n: _moved(row, form, rest, end, by) for n, row in entries.items()}
    place = following
    while place:
        others, after, last = form.directory(data, place)
        moved = {n: _moved(row, form, rest, end, by) for n, row in others.items()}
        rest[place - end : last - end] = form.table(moved, after + by if after else 0)
        place = after
    table = form.table(mine | added, following + by if following else 0)
    return data[:first] + (table + block).ljust(end + by - first, b"\0") + bytes(rest)


def _moved(row: bytes, form: _Form, rest: bytearray, end: int, by: int) -> bytes:
    """Return an entry whose places are so much later; those it points to, in what follows, too."""
    tag, kind = struct.unpack(form.order + "HH", row[:4])
    count, value = form.unpack(form.number, row[4 : -form.room]), bytearray(row[-form.room :])
    number = {3: "H", 4: "I", 16: "Q"}.get(kind, "I") if tag in _PLACES else ""
    if _SIZES[kind] * count > form.room:
        place = form.unpack(form.number, bytes(value))
        _add(rest, place - end, count, form.order, number, by)
        return row[: -form.room] + form.pack(form.number, place + by)
    _add(value, 0, count, form.order, number, by)
    return row[: -form.room] + bytes(value)


def _add(data: bytearray, at: int, count: int, order: str, number: str, by: int) -> None:
    """Add a number to many, but not to 0, which stands for nothing."""
    if number:
        kind = f"{order}{count}{number}"
        values = struct.unpack_from(kind, data, at)
        struct.pack_into(kind, data, at, *(value + by if value else 0 for value in values))
