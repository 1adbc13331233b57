"""Detect images that a camera enlarged before it stored them, and reduce them again.

But for rounding, an enlarged image lies in the subspace that its native pixels span.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.errors import InputError
from cmsr.io.grid_resampling import enlargement
from cmsr.io.raster import Raster, fill_holes, fitted
from cmsr.operators.kernels import weights

FACTORS = (8.0, 6.0, 5.0, 4.0, 3.0, 2.5, 2.0, 1.5)
KERNELS = ("nearest", "bilinear", "bicubic")
"""Ways to enlarge; of two that explain an image alike, undoing the later one sharpens less."""

LEAST_SIDE = 16
"""Smallest native side accepted, in pixels."""

_CROP = 360
"""Side of the part examined, in pixels; it begins at a multiple of a third of this, where pixels of
the native image begin too, whatever the factor."""

_MARGIN = 16
"""Border of that part, in pixels, that its surroundings may disturb."""

_ROUNDING = 0.33
"""Residual that rounding explains, in steps between neighbouring values (exactly, 0.29 RMS)."""

_FLOAT_STEP = 1e-4
"""Step assumed where values are not whole numbers, in standard deviations."""

_FLAT = 20
"""Standard deviation, in steps, below which there is no evidence; by eye."""

_LEAST_STEP = float(np.finfo(np.float32).tiny)
"""Distance below which values count as equal, in units of the largest."""

Array = npt.NDArray[np.float64]


def enlarged_from(target: Raster) -> tuple[int, int] | None:
    """Return the smallest height and width that hold all detail of a target, if below its own.

    An untouched enlargement is the enlargement of a smaller image but for rounding; one by another
    kernel, cropped or compressed mildly shows traces of interpolation
    (`cmsr.io.grid_resampling.enlargement`). One that was sharpened or made noisy is taken for
    native.
    """
    images, unit = _filled(target)
    factor = max(_explained(images[0], _step(target, unit)), enlargement(images[0]) or 1.0)
    height, width = target.shape
    return (round(height / factor), round(width / factor)) if factor > 1 else None


def _explained(whole: Array, step: float) -> float:
    """Return the largest factor by which an image can be reduced with an error of rounding only."""
    image = _middle(_middle(whole).T).T
    if min(image.shape) < 2 * LEAST_SIDE or image.std() < _FLAT * step:
        return 1.0
    for factor in FACTORS:
        small = (round(image.shape[0] / factor), round(image.shape[1] / factor))
        if min(small) < LEAST_SIDE:
            continue
        if min(_error(image, small, kernel) for kernel in KERNELS) < _ROUNDING * step:
            return factor
    return 1.0


def _middle(image: Array) -> Array:
    """Keep at most `_CROP` rows."""
    first = max(0, len(image) - _CROP) // 2 // (_CROP // 3) * (_CROP // 3)
    return image[first : first + _CROP]


def reduced(target: Raster, shape: tuple[int, int]) -> Raster:
    """Bring a target back to its native height and width, by least squares.

    Raises
    ------
    InputError
        If that is not smaller than the target.
    """
    height, width = target.shape
    if shape[0] > height or shape[1] > width:
        raise InputError(
            f"{target.name}: is {width} × {height} pixels; "
            f"its native size cannot be {shape[1]} × {shape[0]}"
        )
    images, unit = _filled(target)
    errors = {kernel: _error(images[0], shape, kernel, margin=0) for kernel in KERNELS}
    enough = 1.01 * min(errors.values()) + 1e-12
    kernel = [kernel for kernel in KERNELS if errors[kernel] <= enough][-1]
    data = unit * np.stack([_least_squares(image, shape, kernel) for image in images])
    rows, cols = (
        ((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(shape, target.shape, strict=True)
    )
    profile = dict(target.profile)
    if "transform" in profile and not profile["transform"].is_identity:
        grow = profile["transform"].scale(width / shape[1], height / shape[0])
        profile["transform"] = profile["transform"] * grow
    smaller = replace(
        target,
        data=fitted(data, target.data.dtype).astype(target.data.dtype),
        profile=profile,
    )
    return smaller.with_measured(target.measured[:, rows[:, None], cols])


def _filled(target: Raster) -> tuple[Array, float]:
    """Return a target without holes, and the unit, its largest value, that it is in."""
    data = np.where(target.measured, target.data, 0).astype(np.float64)
    unit = float(np.abs(data).max()) or 1.0
    return fill_holes(data / unit, target.measured), unit


def _step(target: Raster, unit: float) -> float:
    """Return the distance of neighbouring values: of whole numbers, their common divisor."""
    seen = target.seen(0)
    if not seen.size:
        return 1.0
    if np.issubdtype(seen.dtype, np.integer):
        return max(1.0, float(np.gcd.reduce(seen.astype(np.int64) - int(seen.flat[0])))) / unit
    return max(_FLOAT_STEP * float((seen / np.float64(unit)).std()), _LEAST_STEP)


def _error(image: Array, shape: tuple[int, int], kernel: str, margin: int = _MARGIN) -> float:
    """RMS, off the border, of the difference to the nearest enlargement of a smaller shape."""
    rows, cols = _enlargers(image.shape, shape, kernel)
    rest = image - rows @ _least_squares(image, shape, kernel) @ cols.T
    margin = min(margin, min(image.shape) // 4)
    inner = rest[margin : rest.shape[0] - margin, margin : rest.shape[1] - margin]
    return float(np.sqrt(np.mean(inner**2)))


def _least_squares(image: Array, shape: tuple[int, int], kernel: str) -> Array:
    """Return the smaller image whose enlargement is nearest."""
    rows, cols = _enlargers(image.shape, shape, kernel)
    half = np.linalg.solve(rows.T @ rows, rows.T @ image)
    return np.asarray(np.linalg.solve(cols.T @ cols, cols.T @ half.T).T)


def _enlargers(large: tuple[Any, ...], small: tuple[int, int], kernel: str) -> tuple[Array, Array]:
    return weights(small[0], large[0], kernel), weights(small[1], large[1], kernel)
