"""Noise of a target: a cautious estimate, so that noise is not sharpened.

The quietest blocks of an image show its noise, all others its scene as well. Second differences in
both directions remove slopes, and a regression on the guide removes texture; the rest is noise,
unless the smallest differences of the whole image are smaller still: then it was edges. Fine
texture everywhere would pass for noise, so a level that is small against the contrast of the whole
image counts as none.

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

from cmsr.sensor.blocks import SIDE, blocks, regress

STEP = 4
"""Distance of two blocks, in pixels."""

ENOUGH = 512
"""Side of the middle part that is examined, which bounds the work."""

QUIET = 0.05
"""Share of the blocks that count as quiet; by eye."""

QUIET_LEVEL = 0.79
"""Root mean square at the `QUIET` quantile of blocks of pure noise of level one."""

GAUSSIAN_QUANTILES = ((0.1, 0.12566), (0.25, 0.31864))
"""Shares of the smallest magnitudes, and where they end for noise of level one: a scene of sharp
edges between smooth parts has more of the smallest than noise has. Quantiles of the normal law."""

RIDGE = 1e-11
"""Keeps the regression on a constant guide solvable."""

DOUBT = 0.025
"""Level, as a share of the image's standard deviation, that texture may have in quiet blocks; by
eye."""


def noise_level(
    y: npt.ArrayLike, valid: npt.ArrayLike, guide: npt.NDArray[np.float64] | None = None
) -> float:
    """Estimate the standard deviation of additive noise; 0 where there is no evidence of any.

    Parameters
    ----------
    y : array, shape (h, w)
        Any unit; the result is in the same.
    valid : array, shape (h, w)
        1 where it was measured; blocks with a hole do not count.
    guide : array, shape (G, h, w), optional
        Texture that is linear in it, block by block, does not count as noise.
    """
    middle = tuple(slice(max(0, n - ENOUGH) // 2, (n + ENOUGH) // 2) for n in np.shape(y))
    image, seen = np.asarray(y)[middle].astype(float), np.asarray(valid)[middle] > 0
    if min(image.shape) < 2 * SIDE or not seen.any():
        return 0.0
    differences = _second_differences(image)
    measured = np.asarray(np.lib.stride_tricks.sliding_window_view(seen, (3, 3)).all((-2, -1)))
    whole = blocks(measured, STEP).all(-1)
    if whole.sum() < 1 / QUIET:
        return 0.0
    parts = blocks(differences, STEP)[whole]
    if guide is None:
        variance = (parts**2).mean(-1)
    else:
        features = blocks(_second_differences(guide[:, *middle]), STEP)[:, whole]
        variance = regress(parts, features, RIDGE)[0] * SIDE**2 / (SIDE**2 - len(features))
    quiet = math.sqrt(np.quantile(variance, QUIET)) / QUIET_LEVEL
    small = np.abs(differences[measured])
    level = min(quiet, *(np.quantile(small, share) / at for share, at in GAUSSIAN_QUANTILES))
    doubt = DOUBT * float(image[seen].std())
    return math.sqrt(max(level**2 - doubt**2, 0.0))


def _second_differences(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Take them along both axes, (..., h - 2, w - 2), scaled to keep the level of noise."""
    return np.asarray(np.diff(np.diff(x, 2), 2, axis=-2) / 6)
