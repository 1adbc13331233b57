"""Error of JPEG compression, estimated from an image's own coefficients.

JPEG rounds each frequency of the 8 × 8 blocks to multiples of its own step. If the coefficients of
a decoded image still lie on such a comb, the step is estimated, and from it the rounding error. For
a frequency that is zero everywhere, only a bound is known.

References
----------
Z. Fan, R. L. de Queiroz, "Identification of Bitmap Compression History: JPEG Detection and
Quantizer Estimation", IEEE TIP 12(2), 2003, for the comb.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cmsr.operators.cosine import cosines
from cmsr.sensor.blocks import SIDE, blocks

ENOUGH = 512
"""Side of the part that is examined, which bounds the work."""

LEAST_STEP, MOST_STEP = 3, 255
"""Smallest step that stands out from the rounding of pixels, and largest that a file can hold."""

PIXEL_ROUNDING = 0.5
"""Largest root mean square distance from a comb that the rounding of pixels explains; exactly,
0.29."""

PRESENT = 1.5
"""Magnitude from which on a coefficient is not only the rounding of pixels."""

LEAST_COEFFICIENTS = 12
"""Coefficients that must be present before they can show a comb: none of 30 images without
compression is taken for one with it (EXPERIMENTS.md, "Kernel and noise", as for the next)."""

LEAST_FREQUENCIES = 4
"""Frequencies that must show a comb."""


def compression_error(y: npt.NDArray[np.float64], valid: npt.ArrayLike) -> float:
    """Estimate the root mean square error of JPEG compression; 0 where there was none.

    Parameters
    ----------
    y : array, shape (h, w)
        In whole numbers, as decoded: a block begins at its first pixel.
    valid : array, shape (h, w)
        1 where it was measured; blocks with a hole do not count.
    """
    if min(y.shape) < SIDE:
        return 0.0
    coefficients = _coefficients(y, np.asarray(valid) > 0)
    if len(coefficients) < LEAST_COEFFICIENTS:
        return 0.0
    steps = np.array([_step(of) for of in coefficients.T[1:]])
    found = steps[steps > 0]
    if len(found) < LEAST_FREQUENCIES:
        return 0.0
    steps[steps == 0] = np.where(_absent(coefficients[:, 1:]), found.max(), 1)[steps == 0]
    steps = np.concatenate([found[:1], steps])
    variances = [_variance(*pair) for pair in zip(coefficients.T, steps, strict=True)]
    return math.sqrt(float(np.mean(variances)))


def _coefficients(
    y: npt.NDArray[np.float64], valid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Transform the blocks without holes, (n, 64), the mean of each first."""
    part = np.s_[:ENOUGH, :ENOUGH]
    whole = blocks(y[part])[blocks(valid[part]).all(-1)].reshape(-1, SIDE, SIDE)
    basis = cosines(SIDE, "cpu").double().numpy()
    return np.asarray((basis @ whole @ basis.T).reshape(-1, SIDE**2))


def _absent(coefficients: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell which frequencies are all zeros."""
    return np.asarray((np.abs(coefficients) > PRESENT).sum(0) < LEAST_COEFFICIENTS)


def _step(values: npt.NDArray[np.float64]) -> int:
    """Return the largest step whose multiples the values lie on; 0 if there is none."""
    present = values[np.abs(values) > PRESENT]
    if len(present) < LEAST_COEFFICIENTS:
        return 0
    steps = np.arange(LEAST_STEP, MOST_STEP + 1)[:, None]
    multiples = np.maximum(np.rint(np.abs(present) / steps), 1)
    off = np.sqrt(np.mean((np.abs(present) - multiples * steps) ** 2, axis=1))
    fitting = steps[off < PIXEL_ROUNDING, 0]
    return int(fitting[-1]) if len(fitting) else 0


def _variance(values: npt.NDArray[np.float64], step: int) -> float:
    """Return the variance of the rounding of coefficients that have a Laplacian distribution.

    Its width follows from how many were not rounded to zero.
    """
    half = step / 2
    share = (np.sum(np.abs(values) > half) + 0.5) / (len(values) + 1)
    width = half / -math.log(share)
    below = 2 * width**2 - share * (half**2 + 2 * half * width + 2 * width**2)
    return float(min(below + share * step**2 / 12, step**2 / 12))
