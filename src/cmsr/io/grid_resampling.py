"""Traces of interpolation in an image, for any kernel and crop.

An interpolated image is smoother between the native pixels than at them. The magnitude of its
differences is therefore periodic, which shows as a line in the spectrum of its mean along each
axis.

A. C. Gallagher, "Detection of linear and cubic interpolation in JPEG compressed images", CRV 2005.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FACTORS = (4.0, 3.0, 2.5, 2.0)
"""Enlargements that are recognised; one by 1.5 has the same line as one by 3."""

LEAST_SIDE = 96
"""Shortest side of an image whose lines can be separated, in pixels."""

_LONGEST_SIDE = 1024
"""Largest side of the central part that is examined, in pixels."""

_LEAST_LINE, _STRONG_LINE = 3.0, 8.0
"""Height of a line, in multiples of the rest of the spectrum (99th percentile), that suffices in
an image with little fine detail, and in any image."""

_MOST_FINE = 0.25
"""Largest amplitude above the native image's Nyquist frequency, as a share of that below."""

_LOCAL = 15
"""Width of the moving average that levels the mean size of the differences, in pixels."""

_SMOOTH = 0.06
"""Lowest frequency, per pixel, at which the scene itself has no lines."""

_BLOCKS = np.arange(1, 5) / 8
"""Frequencies of the lines from JPEG's blocks of eight pixels."""

_BINS = 4096

Array = npt.NDArray[np.float64]


def enlargement(image: Array) -> float | None:
    """Return the factor of `FACTORS` by which an image (H, W) was enlarged; None if in doubt.

    Images reduced by 1.25, 1.5 and the like have faint lines, too, which are not taken for one.
    """
    if min(image.shape) < LEAST_SIDE:
        return None
    first = [max(0, side - _LONGEST_SIDE) // 2 for side in image.shape]
    image = image[first[0] :, first[1] :][:_LONGEST_SIDE, :_LONGEST_SIDE]
    image = image / max(float(np.abs(image).max()), float(np.finfo(float).tiny))
    lines = {factor: _line(image, factor) for factor in FACTORS}
    best = max(FACTORS, key=lambda factor: lines[factor])
    if lines[best] < _LEAST_LINE:
        return None
    fine = max(_fine(image, best), _fine(image.T, best))
    return best if fine < _MOST_FINE or lines[best] > _STRONG_LINE else None


def _line(image: Array, factor: float) -> float:
    """Return the height of an enlargement's line in first or second differences on both axes."""
    return max(
        min(_height(_sizes(axis, order), 1 / factor) for axis in (image, image.T))
        for order in (1, 2)
    )


def _sizes(image: Array, order: int) -> Array:
    """Return the levelled mean size of differences along rows, around 0, robust to edges."""
    sizes = np.abs(np.diff(image, order, axis=1))
    mean = np.minimum(sizes, max(float(np.percentile(sizes, 90)), 1e-12)).mean(axis=0)
    wide = np.pad(mean, _LOCAL // 2, mode="reflect")
    local = np.convolve(wide, np.full(_LOCAL, 1 / _LOCAL), "valid")
    level = mean / np.maximum(local, 1e-12) - 1
    return np.asarray(np.clip(level, -3 * level.std(), 3 * level.std()))


def _height(signal: Array, frequency: float) -> float:
    """Return the height of a spectral line relative to all but its overtones."""
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
    """Return the ratio of amplitudes along rows above and below the native Nyquist frequency."""
    steps = np.diff(image, axis=1)
    steps = (steps - steps.mean(axis=1, keepdims=True)) * np.hanning(steps.shape[1])
    power = (np.abs(np.fft.rfft(steps, axis=1)) ** 2).mean(axis=0)
    place = np.linspace(0, 0.5, len(power))
    below = power[(place > 0.2 / factor) & (place < 0.4 / factor)].mean()
    beyond = power[place > max(0.4, 0.6 / factor)].mean()
    return float(np.sqrt(beyond / below)) if below > 0 else 1.0
