"""How noisy a target is, so that noise is not sharpened: a careful estimate.

The quietest blocks of an image show its noise; all others show its scene as well. What is left
there after second differences in both directions is noise, for linear slopes and straight ramps
vanish. Fine texture everywhere would pass for noise, so a level that is small against the contrast
of the whole image counts as none.

References
----------
J. Immerkær, "Fast Noise Variance Estimation", CVIU 64(2), 1996, for the mask; D. L. Donoho,
I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81, 1994, for what
thresholds follow from it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

BLOCK, STEP = 8, 4
"""Side of a block and distance of two, in pixels."""

QUIET = 0.05
"""Share of the blocks that count as quiet."""

QUIET_LEVEL = 0.79
"""Root mean square at the `QUIET` quantile of blocks of pure noise of level one."""

DOUBT = 0.025
"""Level, as a share of the image's standard deviation, that texture may have in quiet blocks."""


def noise_level(y: npt.ArrayLike, valid: npt.ArrayLike) -> float:
    """Estimate the standard deviation of additive noise; 0 where there is no evidence of any.

    Parameters
    ----------
    y : array, shape (h, w)
        Any unit; the result is in the same.
    valid : array, shape (h, w)
        1 where it was measured; blocks with a hole do not count.
    """
    image, seen = np.asarray(y, float), np.asarray(valid) > 0
    if min(image.shape) < 2 * BLOCK or not seen.any():
        return 0.0
    energy = _blocks(_second_differences(image) ** 2)
    whole = _blocks(_neighbourhood(~seen).astype(float)) == 0
    if whole.sum() < 1 / QUIET:
        return 0.0
    level = math.sqrt(np.quantile(energy[whole], QUIET)) / QUIET_LEVEL
    doubt = DOUBT * float(image[seen].std())
    return math.sqrt(max(level**2 - doubt**2, 0.0))


def _second_differences(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Second differences along both axes, (h - 2, w - 2), scaled to keep the level of noise."""
    along = x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2]
    return (along[2:] - 2 * along[1:-1] + along[:-2]) / 6


def _neighbourhood(hole: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell whether any of the nine pixels under the mask is a hole."""
    along = hole[:, 2:] | hole[:, 1:-1] | hole[:, :-2]
    return along[2:] | along[1:-1] | along[:-2]


def _blocks(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean of each block."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (BLOCK, BLOCK))
    return np.asarray(windows[::STEP, ::STEP].mean((-2, -1)))
