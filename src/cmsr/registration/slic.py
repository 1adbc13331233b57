"""Simple linear iterative clustering of a picture's pixels (SLIC)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ROUNDS = 10
"""Of assigning pixels and moving centres: "suffices for most images" (Achanta et al.)."""

LEAST = 0.25
"""Smallest area of a superpixel, of the mean one; what is smaller joins a neighbour (as the paper's
authors do; EXPERIMENTS.md, "Segments")."""

_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375],
                 [0.2126729, 0.7151522, 0.0721750],
                 [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
"""Linear sRGB to CIE XYZ; white (D65) is the sum of each row."""

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def slic(picture: Floats, count: int, compactness: float) -> Labels:
    """Cut a picture into superpixels.

    Parameters
    ----------
    picture : array, shape (H, W, 3)
        sRGB, [0, 1].
    count : int
        About how many.
    compactness : float
        Colour difference (CIELAB) that weighs as much as the distance of two centres.

    Returns
    -------
    array, shape (H, W)
        Labels from 0 on, each a connected part of the picture.

    Notes
    -----
    A pixel chooses among the centres of its own cell of the first grid and of the eight around it
    (Ren, Reid, 2011); in the first paper, among those that are nearer than a cell's width along
    both axes, which are mostly the same.

    References
    ----------
    Achanta, Shaji, Smith, Lucchi, Fua, Süsstrunk, "SLIC Superpixels Compared to State-of-the-Art
    Superpixel Methods", PAMI 2012.
    """
    height, width = picture.shape[:2]
    step = max(1.0, math.sqrt(height * width / count))
    rows, cols = max(1, round(height / step)), max(1, round(width / step))
    down, right = np.indices((height, width))
    features = [*np.moveaxis(lab(picture) / compactness, -1, 0), down / step, right / step]
    cell = down * rows // height * cols + right * cols // width
    nearby = _neighbours(cell, rows, cols)
    labels = cell
    for _ in range(ROUNDS):
        centres = _means(features, labels, rows * cols)
        labels = _nearest(features, centres, nearby)
    return joined(labels, LEAST * height * width / (rows * cols))


def lab(picture: Floats) -> Floats:
    """Return sRGB (…, 3) in [0, 1] as CIELAB under D65.

    >>> lab(np.array([1.0, 1.0, 1.0])).round(3).tolist()
    [100.0, 0.0, 0.0]
    """
    linear = np.where(picture > 0.04045, ((picture + 0.055) / 1.055) ** 2.4, picture / 12.92)
    share = linear @ (_XYZ / _XYZ.sum(1, keepdims=True)).T
    x, y, z = np.moveaxis(
        np.where(share > (6 / 29) ** 3, np.cbrt(share), share * (29 / 6) ** 2 / 3 + 4 / 29), -1, 0
    )
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _neighbours(cell: Labels, rows: int, cols: int) -> list[Labels]:
    """Return for each pixel its cell and the eight around it, nine arrays (H, W)."""
    row, col = np.divmod(cell, cols)
    return [
        np.clip(row + down, 0, rows - 1) * cols + np.clip(col + right, 0, cols - 1)
        for down in (0, -1, 1)
        for right in (0, -1, 1)
    ]


def _means(features: list[Floats], labels: Labels, count: int) -> list[Floats]:
    """Return the mean of each feature over each label; infinite where a label has no pixel."""
    flat = labels.ravel()
    area = np.bincount(flat, minlength=count)
    sums = [np.bincount(flat, one.ravel(), minlength=count) for one in features]
    return [np.where(area > 0, total / np.maximum(area, 1), np.inf) for total in sums]


def _nearest(features: list[Floats], centres: list[Floats], nearby: list[Labels]) -> Labels:
    """Return for each pixel the nearest of the centres near it."""
    labels, least = nearby[0], np.full(nearby[0].shape, np.inf)
    for tried in nearby:
        pairs = zip(features, centres, strict=True)
        distance = np.asarray(sum((one - centre[tried]) ** 2 for one, centre in pairs))
        nearer = distance < least
        labels, least = np.where(nearer, tried, labels), np.where(nearer, distance, least)
    return labels


def joined(labels: Labels, least: float) -> Labels:
    """Renumber connected parts of labels (H, W); those of less than an area join a neighbour.

    That is the one with which they share the longest border.
    """
    one, other = _edges(labels, alike=True)
    parts = _components(one, other, labels.size).reshape(labels.shape)
    while True:
        small = np.bincount(parts.ravel()) < least
        one, other = (parts.ravel()[side] for side in _edges(parts, alike=False))
        one, other = np.concatenate([one, other]), np.concatenate([other, one])
        if not small[one].any():
            return parts
        pairs, border = np.unique(
            np.stack([one[small[one]], other[small[one]]]), axis=1, return_counts=True
        )
        order = np.lexsort((pairs[1], -border, pairs[0]))
        first = order[np.unique(pairs[0][order], return_index=True)[1]]
        parts = _components(pairs[0, first], pairs[1, first], len(small))[parts]


def _edges(labels: Labels, *, alike: bool) -> tuple[Labels, Labels]:
    """Return the pixels side by side or above each other that have the same label, or have not."""
    place = np.arange(labels.size).reshape(labels.shape)
    across = (labels[:, 1:] == labels[:, :-1]) == alike
    along = (labels[1:] == labels[:-1]) == alike
    one = np.concatenate([place[:, 1:][across], place[1:][along]])
    other = np.concatenate([place[:, :-1][across], place[:-1][along]])
    return one, other


def _components(one: Labels, other: Labels, count: int) -> Labels:
    """Return the connected component that each of ``count`` nodes is in, by their edges."""
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)
