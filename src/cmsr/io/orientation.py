"""Images turned upright as Exif's orientation says."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def turned(data: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turn (..., H, W) upright by Exif's orientation, 1 to 8."""
    if orientation >= 5:
        data = np.swapaxes(data, -2, -1)
    if orientation in (3, 4, 7, 8):
        data = np.flip(data, -2)
    return np.flip(data, -1) if orientation in (2, 3, 6, 7) else data
