"""Radiometric JPEGs of DJI cameras: the raw counts in the APP3 segments.

Their calibration is readable by DJI's own Thermal SDK only, so counts stay counts here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cmsr.io.jpeg import segments

_SIZES = ((512, 640), (256, 320), (1024, 1280), (120, 160))
"""Heights and widths of the sensors; the file tells the number of counts only."""


def counts(content: bytes) -> npt.NDArray[np.uint16] | None:
    """Return the raw thermal image (h, w) of a JPEG file, or None where there is none."""
    parts = list(segments(content))
    if not any(marker == 0xE1 and b"DJI" in payload[:4096] for marker, payload in parts):
        return None
    raw = b"".join(payload for marker, payload in parts if marker == 0xE3)
    for shape in _SIZES:
        if len(raw) == 2 * shape[0] * shape[1]:
            return np.frombuffer(raw, "<u2").reshape(shape).astype(np.uint16)
    return None
