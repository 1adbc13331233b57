"""Camera and picture as the Exif segment of a JPEG describes them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

from PIL import Image

_MAKE, _MODEL, _ORIENTATION, _DETAILS, _DIGITAL_ZOOM = 0x010F, 0x0110, 0x0112, 0x8769, 0xA404


class Exif(NamedTuple):
    """Some tags of a file; empty, upright, 1 where it has none."""

    maker: str = ""
    model: str = ""
    orientation: int = 1
    digital_zoom: float = 1.0


def read(segments: Iterable[tuple[int, bytes]]) -> Exif:
    """Read the tags from the segments of a JPEG; what is broken counts as missing."""
    for marker, payload in segments:
        if marker == 0xE1 and payload[:6] == b"Exif\0\0":
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    return _parsed(payload)
            except Exception:  # Pillow's parser raises whatever a broken tag leads to
                return Exif()
    return Exif()


def _parsed(payload: bytes) -> Exif:
    tags = Image.Exif()
    tags.load(payload)
    zoom = tags.get_ifd(_DETAILS).get(_DIGITAL_ZOOM, 1)
    turned = tags.get(_ORIENTATION, 1)
    return Exif(
        plain(tags.get(_MAKE)),
        plain(tags.get(_MODEL)),
        turned if turned in range(1, 9) else 1,
        float(zoom) if 1 < float(zoom) < 100 else 1.0,
    )


def plain(value: Any) -> str:
    """Return a tag's text; a star stands for none."""
    text = str(value or "").split("\0")[0].strip()
    return text if text.isprintable() and text != "*" else ""
