"""The segments of a JPEG file before its picture, which hold the cameras' own records.

Pillow lists them only where the header is whole and the picture below its limit of pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

_FIRST_DATA = {0xDA, 0xD9}
_ALONE = {0x01, *range(0xD0, 0xD8)}


def segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker (0xE0 for APP0, …) and payload of each segment; stop where it breaks off."""
    place = 2
    while content[:2] == b"\xff\xd8" and place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF or marker in _ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        if marker in _FIRST_DATA or length < 2:
            return
        yield marker, content[place + 4 : place + 2 + length]
        place += 2 + length
