"""What a wrong kernel costs on the target in hand.

Undoing a kernel divides the target's spectrum by the kernel's transfer function, so with another
kernel than the true one each frequency errs by its power times the squared difference of the two
quotients. On top of that comes what no kernel brings back: detail beyond the target's grid, which
is extrapolated from the last two octaves within. A soft target has little of that and most of its
power where kernels differ, so a wrong kernel costs several times what it does on a sharp one.

Predicted and measured additional errors agree within a fifth in the median, `benchmarks/
fit_kernel_choice.py`, step `check`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn

from cmsr.sensor.kernel_from_target import Ratio, transfer

Array = npt.NDArray[np.float64]

LEAST_PASSED = 0.1
"""Amplitude that a kernel leaves below which it is not undone; by eye."""

LOST, FALL = 0.317, 0.35
"""Power lost beyond the grid, as a share of that of the last octave; and the power of that octave's
ratio to the one before that it grows by. Fitted: within a factor of 1.5 (4 truths × 2, 3, 4, three
kernels)."""

OCTAVES = (0.125, 0.25)
"""Where the last two octaves begin, in cycles per pixel of the target."""


def expected_gains(
    y: Array, noise: float, ratio: Ratio, true: Sequence[str], assumed: Sequence[str]
) -> Array:
    """Return the gains over the first of the assumed kernels in dB, (true, assumed).

    Parameters
    ----------
    y : array, shape (h, w)
        Target; holes filled.
    noise : float
        Standard deviation of its noise, rounding included.
    ratio : (float, float)
        Output pixels per pixel of the target.
    true, assumed : sequence of str
        Names of kernels.
    """
    frequencies = [np.arange(n) / (2 * n) for n in y.shape]
    power = np.maximum(dctn(y, norm="ortho") ** 2 - noise**2, 0.0)
    power[0, 0] = 0.0
    ours, theirs = (
        np.stack([_undone(name, ratio, frequencies).ravel() for name in names])
        for names in (true, assumed)
    )
    lost = _lost(ours**2 * power.ravel(), frequencies)
    norms = [(some**2 @ power.ravel()) for some in (ours, theirs)]
    added = norms[0][:, None] + norms[1] - 2 * (ours * power.ravel()) @ theirs.T
    error = lost[:, None] + np.maximum(added, 0.0)
    return np.asarray(10 * np.log10(error[:, :1] / error))


def _undone(kernel: str, ratio: Ratio, frequencies: Sequence[Array]) -> Array:
    """Return what undoing a kernel multiplies each frequency by, (h, w)."""
    along = [np.abs(transfer(kernel, r, f)) for r, f in zip(ratio, frequencies, strict=True)]
    return np.asarray(1 / np.maximum(np.outer(*along), LEAST_PASSED))


def _lost(power: Array, frequencies: Sequence[Array]) -> Array:
    """Extrapolate scenes' power (n, h · w) beyond the grid, (n,)."""
    far = np.hypot(frequencies[0][:, None], frequencies[1]).ravel()
    before, last = (
        power[:, mask].sum(1)
        for mask in ((far > OCTAVES[0]) & (far <= OCTAVES[1]), far > OCTAVES[1])
    )
    tiny = 1e-6 * power.sum(1) + math.ulp(0.0)
    last = np.maximum(last, tiny)
    return np.asarray(LOST * last * (last / np.maximum(before, tiny)) ** FALL)
