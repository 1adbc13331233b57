"""Radiometric JPEGs of DJI cameras: the raw counts in their APP3 or APP4 segments.

Their calibration is read by DJI's own programs, or by `cmsr.thermal.dji_program`'s; counts are
counts here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_RAW = (0xE3, 0xE4)
_LEAST = 32 * 24
"""Fewest counts of a sensor."""

_SHAPES = 0.4, 2.5
"""Least and largest width of a sensor, in its heights."""

_NOISE = 0.7, 4000
"""Roughness of what is no image but compressed: in standard deviations of it, and in counts."""

_SAME_ASPECT = 1.1
"""How much rougher an image of the picture's aspect may be than the smoothest one."""


def counts(parts: Sequence[tuple[int, bytes]]) -> npt.NDArray[np.uint16] | None:
    """Return the raw thermal image (h, w) of a JPEG's segments, or None where there is none.

    The file tells the number of counts, not their layout: of all heights and widths of that
    product, those are taken whose rows continue each other best.
    """
    if not any(0xE1 <= marker <= 0xEF and b"dji" in data.lower() for marker, data in parts):
        return None
    for kind in _RAW:
        raw = b"".join(data for marker, data in parts if marker == kind)
        if len(raw) >= 2 * _LEAST and len(raw) % 2 == 0:
            image = _shaped(np.frombuffer(raw, "<u2").astype(np.uint16), _aspect(parts))
            if image is not None:
                return image
    return None


def _shaped(values: npt.NDArray[np.uint16], aspect: float) -> npt.NDArray[np.uint16] | None:
    count = len(values)
    widths = [w for w in range(8, count // 8 + 1) if count % w == 0]
    images = [values.reshape(-1, w) for w in widths if _SHAPES[0] <= w * w / count <= _SHAPES[1]]
    if not images:
        return None
    best = min(images, key=_roughness)
    least = _roughness(best)
    for image in images:
        same = abs(image.shape[1] / image.shape[0] / aspect - 1) < 0.02
        if same and _roughness(image) <= _SAME_ASPECT * least:
            best = image
    noisy = least > max(_NOISE[0] * float(values.std()), _NOISE[1])
    return None if noisy else best


def _roughness(image: npt.NDArray[Any]) -> float:
    """Mean difference between rows: that of a wrong width is that of unrelated places."""
    return float(np.abs(np.diff(image.astype(np.float64), axis=0)).mean())


def _aspect(parts: Sequence[tuple[int, bytes]]) -> float:
    """Return width by height of the picture, by its frame header; 1 if that is missing."""
    for marker, data in parts:
        if 0xC0 <= marker <= 0xC2 and len(data) >= 5:
            height, width = (int.from_bytes(data[at : at + 2], "big") for at in (1, 3))
            return width / height if width and height else 1.0
    return 1.0
