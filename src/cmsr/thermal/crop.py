"""Rows and columns of an image that may reach beyond its border."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int_]


def crop(
    image: npt.NDArray[Any], rows: Places, cols: Places
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return rows and columns of (H, W, ...), the border repeated, and where they lie on it."""
    height, width = image.shape[:2]
    inside = np.outer((rows >= 0) & (rows < height), (cols >= 0) & (cols < width))
    return image[np.ix_(rows.clip(0, height - 1), cols.clip(0, width - 1))], inside
