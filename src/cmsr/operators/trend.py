"""A smooth surface under an image, as terrain or a ramp of depth, that hides what lies on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEAST_EXPLAINED = 0.9
"""Share of an image's variance from which on a surface is taken off: less than a third of the
contrast is left then. No target of the near-infrared, thermal and depth pairs has such a one."""

LEAST_LEFT = 1e-6
"""Contrast that must be left, in that of the image."""

LEAST_PIXELS = 64


def fitted_trend(image: Array, valid: npt.NDArray[np.bool_]) -> Array | None:
    """Fit the surface of second order under an image (h, w) by least squares.

    Returns
    -------
    array, shape (6,), or None
        What `surface` takes, with mean 0 over the measured pixels; None where it explains little.
    """
    if np.count_nonzero(valid) < LEAST_PIXELS:
        return None
    unit = float(np.abs(image[valid]).max()) or 1.0
    seen = image[valid] / unit
    terms = _terms(image.shape[0], image.shape[1], np.arange(image.shape[0]))[:, valid].T
    centre = terms.mean(axis=0)
    centre[0] = 0.0
    slopes = np.linalg.lstsq(terms - centre, seen, rcond=None)[0]
    slopes[0] = -float(centre @ slopes)
    rest = seen - seen.mean() - terms @ slopes
    total = float(seen.var())
    if total == 0 or float(rest.var()) > (1 - LEAST_EXPLAINED) * total:
        return None
    return None if np.ptp(rest) < LEAST_LEFT * np.ptp(seen) else unit * slopes


def surface(
    trend: Array, shape: tuple[int, int], rows: npt.NDArray[np.int_] | None = None
) -> Array:
    """Return the surface on some rows of a grid of the image's area, (n, W); on all by default."""
    at = np.arange(shape[0]) if rows is None else rows
    return np.asarray(np.tensordot(trend, _terms(*shape, at), 1))


def _terms(height: int, width: int, rows: npt.NDArray[np.int_]) -> Array:
    """Return 1, y, x, y², xy and x² on some rows, (6, n, W); each axis spans -1 to 1."""
    y = ((rows + 0.5) / height * 2 - 1)[:, None]
    x = ((np.arange(width) + 0.5) / width * 2 - 1)[None]
    return np.stack(np.broadcast_arrays(np.ones(()), y + 0 * x, x + 0 * y, y**2, y * x, x**2))
