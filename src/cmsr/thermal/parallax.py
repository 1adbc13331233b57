"""Parallax between the two lenses of a thermal camera: displacement of its image in its photo.

The camera's own placement holds for one distance; nearer or farther, all is displaced alike. Edges
show in both images, whatever their contrast: their magnitudes are correlated over displacements,
and over scales where the camera may have counted its digital zoom into the placement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.thermal.correlation import masked_correlation
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

_ZOOM_GAIN = 0.1
"""Correlation that a digital zoom which no tag names must gain over none."""

_ZOOM_STEP, _MOST_ZOOM, _LEAST_FIELD = 1.04, 8.0, 0.9
"""Ratio of neighbouring zooms that are tried, the largest one, and the least field of the photo in
those of the thermal image that remains."""

_ROUND = 0.1
"""Zooms that cameras offer are multiples of this; so is what is found."""

Array = npt.NDArray[np.float64]


def digital_zoom(
    thermal: npt.NDArray[Any],
    photo: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    box_at: Callable[[float], Array],
    placed: float,
    told: float,
) -> float:
    """Find the digital zoom that a camera multiplied its placement's zoom by; 1 where none.

    Parameters
    ----------
    thermal, photo, valid : arrays
        As for `displacement`.
    box_at : callable
        Returns the box of the thermal image in the photo for a digital zoom.
    placed : float
        Zoom of the camera's placement, the digital one included.
    told : float
        The digital zoom that the file names; 1 if none. It is taken unless the edges speak against.
    """
    found: dict[float, float] = {}

    def alike(zoom: float) -> float:
        if zoom not in found:
            found[zoom] = float(_coarse(thermal, photo, valid, box_at(zoom)).max())
        return found[zoom]

    if told > 1 and alike(told) >= alike(1.0) - _LEAST_GAIN:
        return told
    most = min(placed / _LEAST_FIELD, _MOST_ZOOM)
    if most < 1 + _ROUND:
        return 1.0
    zooms = np.geomspace(1, most, 1 + round(np.log(most) / np.log(_ZOOM_STEP)))
    best = max((float(zoom) for zoom in zooms), key=alike)
    near = [round(_ROUND * (round(best / _ROUND) + i), 3) for i in (-1, 0, 1)]
    best = max((zoom for zoom in near if 1 <= zoom <= most), key=alike, default=1.0)
    sure = alike(best) > max(_LEAST, alike(1.0) + _ZOOM_GAIN)
    return best if sure else 1.0


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
    down, right = 0.0, 0.0
    for level, side in enumerate(_SIDES):
        scale, step = _steps(thermal, box, side)
        moved = box[:2] + np.array([down, right])
        if level == 0:
            table = _coarse(thermal, photo, valid, box)
            if not _accepted(table):
                return 0.0, 0.0
        else:
            table = _correlations(thermal, photo, valid, moved, scale, step, _FINE_REACH)
        best = np.unravel_index(int(np.argmax(table)), table.shape)
        middle = table.shape[0] // 2
        down += (int(best[0]) - middle) * step
        right += (int(best[1]) - middle) * step
    return down, right


def _steps(thermal: npt.NDArray[Any], box: Array, side: int) -> tuple[float, float]:
    """Return the scale that reduces the thermal image to a side, and its pixel in the photo's."""
    scale = min(1.0, side / max(thermal.shape))
    return scale, (box[2] - box[0]) / thermal.shape[0] / scale


def _coarse(
    thermal: npt.NDArray[Any],
    photo: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    box: Array,
) -> Array:
    """Correlate edges at all displacements of the coarse search."""
    side = _SIDES[0]
    scale, step = _steps(thermal, box, side)
    return _correlations(thermal, photo, valid, box[:2], scale, step, round(REACH * side))


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
    return masked_correlation(wide, known & inside, edges)


def _edges(image: Array) -> Array:
    steep = np.hypot(*np.gradient(image))
    return np.asarray(np.minimum(steep, np.percentile(steep, _STRONG)))


def _resized(image: npt.NDArray[Any], shape: tuple[int, int]) -> Array:
    import torch

    from cmsr.operators.resampling import resampler

    source = (image.shape[0], image.shape[1])
    resized = resampler(source, shape, "bilinear")(torch.from_numpy(np.float32(image)))
    return resized.double().numpy()
