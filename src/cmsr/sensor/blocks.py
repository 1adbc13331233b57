"""Square blocks of an image, and linear regression within each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SIDE = 8
"""Side of a block, in pixels."""


def blocks(x: npt.NDArray[Any], step: int = SIDE) -> npt.NDArray[Any]:
    """Cut (..., h, w) into blocks (..., n, `SIDE` ** 2), a ``step`` apart; drop the rest."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (SIDE, SIDE), axis=(-2, -1))
    return windows[..., ::step, ::step, :, :].reshape(*x.shape[:-2], -1, SIDE**2)


def regress(y: Array, features: Array, ridge: float) -> tuple[Array, Array]:
    """Regress each block on its features.

    Parameters
    ----------
    y : array, shape (n, pixels)
    features : array, shape (G, n, pixels)
    ridge : float
        Added to the diagonal of the Gram matrices.

    Returns
    -------
    left : array, shape (n,)
        Variance that the regression leaves.
    gram : array, shape (n, G, G)
        Mean products of the features, ridge included.
    """
    columns, pixels = features.transpose(1, 2, 0), y.shape[1]
    gram = columns.mT @ columns / pixels + ridge * np.eye(len(features))
    cross = columns.mT @ y[..., None] / pixels
    explained = (cross * np.linalg.solve(gram, cross)).sum((1, 2))
    return np.maximum((y**2).mean(1) - explained, 0), gram
