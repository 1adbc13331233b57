"""Traces that interpolation leaves in an image, whatever its kernel and crop.

Between pixels of the native image an interpolated one is smoother than at them, so the size of its
differences repeats with every native pixel: a line in the spectrum of their mean along each axis.

A. C. Gallagher, "Detection of linear and cubic interpolation in JPEG compressed images", CRV 2005.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FACTORS = (4.0, 3.0, 2.5, 2.0)
"""Enlargements looked for. That by 1.5 has the line of that by 3, and too little else."""

LEAST_SIDE = 96
"""Shortest image in which lines can be told apart, in pixels."""

_LONGEST_SIDE = 1024
"""Side of the middle that is looked at, in pixels."""

_LEAST_LINE, _STRONG_LINE = 3.0, 8.0
"""Height of a line, in heights of what else the spectrum holds (99th percentile), at which it
counts where there is little fine detail, and at which it is proof enough."""

_MOST_FINE = 0.25
"""Amplitude beyond what the native image could hold, as a share of that below."""

_LOCAL = 15
"""Pixels over which the mean size of the differences is levelled."""

_SMOOTH = 0.06
"""Frequency, per pixel, below which the scene itself makes lines."""

_BLOCKS = np.arange(1, 5) / 8
"""Where JPEG's blocks of eight pixels make lines."""

_BINS = 4096

Array = npt.NDArray[np.float64]


def enlargement(image: Array) -> float | None:
    """Return by how much an image (H, W) was enlarged, of `FACTORS`; None where that is not plain.

    It errs to the safe side; images reduced by 1.25, 1.5 and the like have fainter lines too.
    """
    if min(image.shape) < LEAST_SIDE:
        return None
    first = [max(0, side - _LONGEST_SIDE) // 2 for side in image.shape]
    image = image[first[0] :, first[1] :][:_LONGEST_SIDE, :_LONGEST_SIDE]
    lines = {factor: _line(image, factor) for factor in FACTORS}
    best = max(FACTORS, key=lambda factor: lines[factor])
    if lines[best] < _LEAST_LINE:
        return None
    fine = max(_fine(image, best), _fine(image.T, best))
    return best if fine < _MOST_FINE or lines[best] > _STRONG_LINE else None


def _line(image: Array, factor: float) -> float:
    """Measure the line of an enlargement: in first or second differences, along both axes."""
    return max(
        min(_height(_sizes(axis, order), 1 / factor) for axis in (image, image.T))
        for order in (1, 2)
    )


def _sizes(image: Array, order: int) -> Array:
    """Return the levelled mean size of differences along rows, around 0; edges count little."""
    sizes = np.abs(np.diff(image, order, axis=1))
    mean = np.minimum(sizes, max(float(np.percentile(sizes, 90)), 1e-12)).mean(axis=0)
    wide = np.pad(mean, _LOCAL // 2, mode="reflect")
    local = np.convolve(wide, np.full(_LOCAL, 1 / _LOCAL), "valid")
    level = mean / np.maximum(local, 1e-12) - 1
    return np.asarray(np.clip(level, -3 * level.std(), 3 * level.std()))


def _height(signal: Array, frequency: float) -> float:
    """Compare a line of a spectrum with all that is neither it nor its overtones."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)), _BINS))
    places = np.arange(len(spectrum)) / _BINS
    tones = np.abs((np.arange(9) * frequency + 0.5) % 1 - 0.5)
    other = places > _SMOOTH
    for tone in tones:
        other &= np.abs(places - tone) > 2.5 / len(signal)

    def at(frequency: float) -> float:
        return float(spectrum[np.abs(places - frequency) <= 1 / len(signal)].max())

    blocks = [at(block) for block in _BLOCKS if np.abs(tones - block).min() > 0.01]
    rest = max(float(np.percentile(spectrum[other], 99)), *blocks)
    return at(frequency) / rest if rest > 0 else 0.0


def _fine(image: Array, factor: float) -> float:
    """Compare amplitudes of differences along rows beyond and below the native image's reach."""
    steps = np.diff(image, axis=1)
    steps = (steps - steps.mean(axis=1, keepdims=True)) * np.hanning(steps.shape[1])
    power = (np.abs(np.fft.rfft(steps, axis=1)) ** 2).mean(axis=0)
    place = np.linspace(0, 0.5, len(power))
    below = power[(place > 0.2 / factor) & (place < 0.4 / factor)].mean()
    beyond = power[place > max(0.4, 0.6 / factor)].mean()
    return float(np.sqrt(beyond / below)) if below > 0 else 1.0
