"""Noise of a target: a cautious estimate, so that noise is not sharpened.

The quietest blocks of an image show noise alone; others also show the scene. Second differences in
both directions remove slopes, a regression on the guide removes texture, and the rest is taken for
noise, unless the smallest differences of the whole image are smaller still: then it was edges. Fine
texture everywhere would look like noise, so a level that is small against the image's contrast
counts as none. Remaining texture is recognised by scale: differences over twice the distance are as
large for pure noise, and much larger for texture.

References
----------
J. Immerkær, "Fast Noise Variance Estimation", CVIU 64(2), 1996, for the mask; D. L. Donoho,
I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81, 1994, for what
thresholds follow from it.
"""

from __future__ import annotations

import math
from typing import Any

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

GROWTH = (1.3, 2.5)
"""By how much the power in quiet blocks grows as differences are taken over twice the distance: by
chance where there is noise alone, and at least where there is texture alone. It is 2.3 to 5.6 on
thermal scenes without noise but rounding (EXPERIMENTS.md)."""

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
    features = None if guide is None else guide[:, *middle]
    fine = _quiet_power(image, seen, features, 1)
    if fine is None:
        return 0.0
    coarse = _quiet_power(image, seen, features, 2)
    (chance, growth), texture = GROWTH, 0.0
    if coarse is not None:
        texture = max(coarse - chance * fine, 0.0) / (growth - chance)
    small = np.abs(_second_differences(image, 1)[_measured(seen, 1)])
    smallest = min(np.quantile(small, share) / at for share, at in GAUSSIAN_QUANTILES)
    power = min(fine - texture, smallest**2)
    doubt = DOUBT * float(image[seen].std())
    return math.sqrt(max(power - doubt**2, 0.0))


def _quiet_power(
    image: npt.NDArray[np.float64],
    seen: npt.NDArray[np.bool_],
    guide: npt.NDArray[np.float64] | None,
    step: int,
) -> float | None:
    """Return the power of second differences in quiet blocks; None where there are too few."""
    whole = blocks(_measured(seen, step), STEP).all(-1)
    if whole.sum() < 1 / QUIET:
        return None
    parts = blocks(_second_differences(image, step), STEP)[whole]
    if guide is None:
        variance = (parts**2).mean(-1)
    else:
        features = blocks(_second_differences(guide, step), STEP)[:, whole]
        variance = regress(parts, features, RIDGE)[0] * SIDE**2 / (SIDE**2 - len(features))
    return float(np.quantile(variance, QUIET)) / QUIET_LEVEL**2


def _measured(seen: npt.NDArray[np.bool_], step: int) -> npt.NDArray[np.bool_]:
    """Return where no pixel that a second difference is taken from is a hole."""
    for axis in (0, 1):
        first, middle, last = _thirds(seen, step, axis)
        seen = first & middle & last
    return seen


def _second_differences(x: npt.NDArray[np.float64], step: int) -> npt.NDArray[np.float64]:
    """Take them along both axes over a distance, scaled to keep the level of noise.

    ``x`` is (..., h, w), the outcome (..., h - 2 · step, w - 2 · step).
    """
    for axis in (-2, -1):
        first, middle, last = _thirds(x, step, axis)
        x = first - 2 * middle + last
    return x / 6


def _thirds(x: npt.NDArray[Any], step: int, axis: int) -> list[npt.NDArray[Any]]:
    """Return what lies a step before, at and a step behind each place along an axis."""
    length = x.shape[axis] - 2 * step
    return [np.take(x, np.arange(start, start + length), axis) for start in (0, step, 2 * step)]
