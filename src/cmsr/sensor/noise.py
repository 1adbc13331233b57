"""How noisy a target is, so that noise is not sharpened: a careful estimate.

The quietest blocks of an image show its noise; all others show its scene as well. What is left
there after second differences in both directions is noise, for slopes vanish, unless the guide
explains it. Where even the smallest differences of the whole image are smaller than that, it was
edges. Fine texture everywhere would pass for noise, so a level that is small against the contrast
of the whole image counts as none.

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

BLOCK, STEP = 8, 4
"""Side of a block and distance of two, in pixels."""

ENOUGH = 512
"""Side of the middle part that is looked at, which bounds the work."""

QUIET = 0.05
"""Share of the blocks that count as quiet."""

QUIET_LEVEL = 0.79
"""Root mean square at the `QUIET` quantile of blocks of pure noise of level one."""

GAUSSIAN_QUANTILES = ((0.1, 0.12566), (0.25, 0.31864))
"""Shares of the smallest magnitudes, and where they end for noise of level one: a scene of sharp
edges between smooth parts has more of the smallest than noise has."""

DOUBT = 0.025
"""Level, as a share of the image's standard deviation, that texture may have in quiet blocks."""


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
        What explains texture: none of what is linear in it, block by block, counts as noise.
    """
    middle = tuple(slice(max(0, n - ENOUGH) // 2, (n + ENOUGH) // 2) for n in np.shape(y))
    image, seen = np.asarray(y)[middle].astype(float), np.asarray(valid)[middle] > 0
    if min(image.shape) < 2 * BLOCK or not seen.any():
        return 0.0
    differences, measured = _second_differences(image), ~_neighbourhood(~seen)
    whole = _blocks(measured).all(-1)
    if whole.sum() < 1 / QUIET:
        return 0.0
    features = None if guide is None else _blocks(_second_differences(guide[:, *middle]))[:, whole]
    energy = _left(_blocks(differences)[whole], features)
    quiet = math.sqrt(np.quantile(energy, QUIET)) / QUIET_LEVEL
    small = np.abs(differences[measured])
    level = min(quiet, *(np.quantile(small, share) / at for share, at in GAUSSIAN_QUANTILES))
    doubt = DOUBT * float(image[seen].std())
    return math.sqrt(max(level**2 - doubt**2, 0.0))


def _left(
    blocks: npt.NDArray[np.float64], features: npt.NDArray[np.float64] | None
) -> npt.NDArray[np.float64]:
    """Variance of each block (n, pixels) beyond what is linear in its features (G, n, pixels)."""
    energy = (blocks**2).sum(-1)
    if features is None:
        return np.asarray(energy / blocks.shape[-1])
    columns = features.transpose(1, 2, 0)
    gram = columns.mT @ columns + 1e-9 * np.eye(len(features))
    cross = columns.mT @ blocks[..., None]
    energy = energy - (cross * np.linalg.solve(gram, cross)).sum((1, 2))
    return np.asarray(np.maximum(energy, 0) / (blocks.shape[-1] - len(features)))


def _second_differences(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Take them along both axes, (..., h - 2, w - 2), scaled to keep the level of noise."""
    along = x[..., 2:] - 2 * x[..., 1:-1] + x[..., :-2]
    return (along[..., 2:, :] - 2 * along[..., 1:-1, :] + along[..., :-2, :]) / 6


def _neighbourhood(hole: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell whether any of the nine pixels under the mask is a hole."""
    along = hole[:, 2:] | hole[:, 1:-1] | hole[:, :-2]
    return along[2:] | along[1:-1] | along[:-2]


def _blocks(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Cut (..., h, w) into overlapping blocks (..., n, pixels)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (BLOCK, BLOCK), axis=(-2, -1))
    return windows[..., ::STEP, ::STEP, :, :].reshape(*x.shape[:-2], -1, BLOCK * BLOCK)
