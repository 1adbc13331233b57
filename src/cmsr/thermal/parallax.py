"""Parallax between the two lenses of a thermal camera: displacement of its image in its photo.

The camera's own placement holds for one distance; nearer or farther, all is displaced alike. Edges
show in both images, whatever their contrast: their magnitudes are correlated over displacements.

References
----------
D. Padfield, "Masked Object Registration in the Fourier Domain", IEEE TIP 21(5), 2012.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.thermal.crop import crop

REACH = 0.15
"""Largest displacement, as a share of the image's longer side; this and all below by eye, on three
files (EXPERIMENTS.md, "Files")."""

_SIDES = (72, 240)
"""Longer side of the thermal image in the coarse and in the fine search."""

_FINE_REACH = 5
"""Largest displacement from the coarse search's, in pixels of the fine search."""

_LEAST = 0.25
"""Correlation of edges below which a displacement is not accepted."""

_LEAST_GAIN = 0.05
"""Correlation that a displacement must gain over the camera's own placement."""

_STRONG = 97
"""Percentile of edges at which they are cut off, so that a few do not outweigh all others."""

Array = npt.NDArray[np.float64]


def displacement(
    thermal: npt.NDArray[Any], photo: npt.NDArray[Any], valid: npt.NDArray[np.bool_], box: Array
) -> tuple[float, float]:
    """Find how far the thermal image lies from where the camera places it.

    Parameters
    ----------
    thermal : array, shape (h, w)
        Any unit; no holes.
    photo : array, shape (H, W, 3)
        The whole photo.
    valid : array of bool, shape (H, W)
        Where the photo shows something.
    box : array (top, left, bottom, right)
        The camera's own placement in the photo, in its pixels.

    Returns
    -------
    (float, float)
        Down and right, in pixels of the photo; zeros where the edges do not agree.
    """
    pixel = (box[2] - box[0]) / thermal.shape[0]
    down, right = 0.0, 0.0
    for level, side in enumerate(_SIDES):
        scale = min(1.0, side / max(thermal.shape))
        step = pixel / scale
        reach = round(REACH * side) if level == 0 else _FINE_REACH
        start = np.array([box[0] + down, box[1] + right])
        table = _correlations(thermal, photo, valid, start, scale, step, reach)
        if level == 0 and not _accepted(table):
            return 0.0, 0.0
        best = np.unravel_index(int(np.argmax(table)), table.shape)
        down += (int(best[0]) - reach) * step
        right += (int(best[1]) - reach) * step
    return down, right


def _accepted(table: Array) -> bool:
    middle = table.shape[0] // 2
    return bool(table.max() > _LEAST and table.max() - table[middle, middle] > _LEAST_GAIN)


def _correlations(
    thermal: npt.NDArray[Any],
    photo: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    start: Array,
    scale: float,
    step: float,
    reach: int,
) -> Array:
    """Correlate edges at all displacements up to ``reach`` pixels of ``step`` photo pixels.

    Returns Pearson's coefficients (2 · reach + 1, 2 · reach + 1), 0 where less than half is seen.
    """
    from skimage.registration._masked_phase_cross_correlation import cross_correlate_masked

    shape = (round(thermal.shape[0] * scale), round(thermal.shape[1] * scale))
    low, high = np.percentile(thermal, [2, 98])
    edges = _edges(_resized(np.clip(thermal, low, high), shape))
    coarse = tuple(max(2, round(n / step)) for n in photo.shape[:2])
    grey = _resized(photo.mean(axis=2), (coarse[0], coarse[1]))
    seen = _resized(valid.astype(np.float64), (coarse[0], coarse[1])) > 0.99
    rows, cols = (
        round(float(place) / step) - reach + np.arange(n + 2 * reach)
        for place, n in zip(start, shape, strict=True)
    )
    wide, _ = crop(_edges(grey), rows, cols)
    known, inside = crop(seen, rows, cols)
    masks = known & inside, np.ones(shape, bool)
    table = cross_correlate_masked(wide, edges, *masks, axes=(0, 1), overlap_ratio=0.5)
    return np.asarray(table[shape[0] - 1 : len(rows), shape[1] - 1 : len(cols)])


def _edges(image: Array) -> Array:
    steep = np.hypot(*np.gradient(image))
    return np.asarray(np.minimum(steep, np.percentile(steep, _STRONG)))


def _resized(image: npt.NDArray[Any], shape: tuple[int, int]) -> Array:
    import torch

    from cmsr.operators.resampling import resampler

    source = (image.shape[0], image.shape[1])
    resized = resampler(source, shape, "bilinear")(torch.from_numpy(np.float32(image)))
    return resized.double().numpy()
