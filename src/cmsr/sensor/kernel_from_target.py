"""Evidence on the kernel that made a target, from the target alone: line spectra and edges.

Both are log-likelihoods, one of each line or patch, for every kernel.

* **Lines**. The scene's power spectrum falls as a power of the frequency, alike in all directions;
  the kernel shapes it and folds frequencies beyond the target's grid back into it. A row or column
  shows its integral across the line, of a strength of its own, so that a few strong edges do not
  outweigh all others.
* **Edges**. Small patches are matched to straight, sharp steps in all directions, seen through the
  kernel. Where the scene is soft, wide kernels match too well: edges tell how wide a kernel can be
  at most.

References
----------
P. Whittle, "Estimation and information in stationary time series", 1953, for the likelihood of a
spectrum; D. L. Ruderman, W. Bialek, "Statistics of natural images", PRL 73, 1994, for that of
scenes; D. L. Donoho, "Wedgelets", Annals of Statistics 27(3), 1999, for the steps.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cmsr.operators.kernels import weights

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Ratio = tuple[float, float]

SLOPES = np.arange(1.5, 4.01, 0.25)
"""Powers by which a scene's spectrum may fall with the frequency; around 2, as Ruderman and Bialek
found."""

LOWEST = 0.06
"""Frequency, in cycles per pixel of the target, below which a spectrum is left out; by eye."""

ACROSS = 64
"""Frequencies across a line over which its scene is integrated."""

AROUND = 16
"""Pixels of the target on both sides of the one whose weights represent a kernel."""

SIDE, MARGIN = 5, 3
"""Side of a patch of edges, and how far beyond it a step is drawn, in pixels of the target; 5 × 5
as in `cmsr.priors.wedgelets`."""

PATCHES = 400
"""Patches of the largest contrast that are matched; this and the next by eye."""

ANGLES, FARTHEST, PER_PIXEL = 16, 1.25, 6
"""Directions of the steps, their largest distance from a patch's centre, and how densely."""

LARGEST_RATIO = 8.0
"""No steps are drawn above it, which would take too long."""


def transfer(kernel: str, ratio: float, frequency: npt.ArrayLike) -> npt.NDArray[np.complex128]:
    """Return a kernel's transfer function along one axis, in cycles per pixel of the target."""
    taps = weights(round(2 * AROUND * ratio), 2 * AROUND, kernel)[AROUND]
    there = np.flatnonzero(taps)
    at = (there - (AROUND + 0.5) * ratio + 0.5) / ratio
    return np.asarray(np.exp(2j * np.pi * np.multiply.outer(frequency, at)) @ taps[there])


class Spectra:
    """Power spectra of all whole rows and columns.

    Parameters
    ----------
    y : array, shape (h, w)
        Target; holes filled.
    valid : array of bool, shape (h, w)
        True where it was measured.
    ratio : (float, float)
        Output pixels per pixel of the target.
    noise : float
        Standard deviation of the target's noise.
    """

    def __init__(self, y: Array, valid: Mask, ratio: Ratio, noise: float) -> None:
        self._axes = [
            _Lines.of(image[seen.all(-1)], along, across, noise)
            for image, seen, along, across in (
                (y, valid, ratio[1], ratio[0]),
                (y.T, valid.T, ratio[0], ratio[1]),
            )
        ]

    def log_likelihoods(self, kernel: str) -> Array:
        """Log-likelihood of every line (n,), at the slope that suits them all best.

        Rows and columns see the same pixels, so each counts one half.
        """
        lines = [lines.log_likelihoods(kernel) for lines in self._axes]
        joined = np.concatenate(lines, axis=1) / 2
        return np.asarray(joined[joined.sum(1).argmax()])


class _Lines(NamedTuple):
    """Spectra (m, frequencies) of parallel lines, and models of the scene.

    ``scenes`` is the power (slopes, aliases, frequencies, `ACROSS`) at the frequencies ``folded``
    (aliases, frequencies) along the line and ``beside`` (`ACROSS`) across it.
    """

    power: Array
    folded: Array
    beside: Array
    scenes: Array
    ratio: Ratio
    floor: float

    @classmethod
    def of(cls, lines: Array, along: float, across: float, noise: float) -> _Lines:
        """Transform lines (m, n) and compute the scenes' spectra."""
        n = lines.shape[1]
        frequency = np.arange(1, n) / (2 * n)
        frequency = frequency[frequency > LOWEST]
        basis = np.cos(2 * np.pi * np.outer(frequency, np.arange(n) + 0.5)) * math.sqrt(2 / n)
        aliases = np.arange(-math.ceil(along / 2), math.ceil(along / 2) + 1)
        folded = np.abs(frequency + aliases[:, None])
        beside = (np.arange(ACROSS) + 0.5) / ACROSS * across / 2
        logarithm = np.log(folded[..., None] ** 2 + beside**2)
        scenes = np.exp(-SLOPES[:, None, None, None] / 2 * logarithm)
        scenes *= (folded <= along / 2)[..., None]
        power = (lines @ basis.T) ** 2
        return cls(power, folded, beside, scenes, (along, across), noise**2 + 1e-10)

    def log_likelihoods(self, kernel: str) -> Array:
        """Whittle log-likelihood of each line at each slope: (slopes, m)."""
        shape, floor = self._shape(kernel)[:, None], self.floor
        strength = (self.power / shape).mean(-1, keepdims=True)
        for _ in range(3):
            expected = strength * shape + floor
            strength *= (self.power * shape / expected**2).sum(-1, keepdims=True)
            strength /= (shape / expected).sum(-1, keepdims=True)
            strength = np.maximum(strength, floor)
        expected = strength * shape + floor
        return np.asarray(-(np.log(expected) + self.power / expected).sum(-1) / 2)

    def _shape(self, kernel: str) -> Array:
        """Spectrum of a line seen through a kernel: (slopes, frequencies), of mean 1."""
        along = np.abs(transfer(kernel, self.ratio[0], self.folded)) ** 2
        across = np.abs(transfer(kernel, self.ratio[1], self.beside)) ** 2
        seen = ((self.scenes @ across) * along).sum(1)
        return np.asarray(seen / seen.mean(1, keepdims=True))


class Edges:
    """The patches of the largest contrast, and the straight steps that they may show.

    The parameters are those of `Spectra`.
    """

    def __init__(self, y: Array, valid: Mask, ratio: Ratio, noise: float) -> None:
        self._ratio, self._floor = ratio, noise**2 + 1e-9
        patches, seen = (_patches(x) for x in (y.astype(np.float32), valid))
        patches = patches[seen.all(1)] if max(ratio) <= LARGEST_RATIO else patches[:0]
        patches = patches - patches.mean(1, keepdims=True)
        energy = (patches**2).sum(1)
        chosen = np.argsort(-energy, kind="stable")[:PATCHES]
        self._patches, self._energy = patches[chosen], energy[chosen]
        self._steps = _steps(ratio) if len(chosen) else None

    def log_likelihoods(self, kernel: str) -> Array:
        """Log-likelihood of every patch (n,) as the best of all steps, seen through a kernel."""
        if self._steps is None:
            return np.zeros(0)
        rows, cols = (
            weights(n, SIDE + 2 * MARGIN, kernel)[MARGIN:-MARGIN].astype(np.float32)
            for n in self._steps.shape[1:]
        )
        seen = (rows @ self._steps @ cols.T).reshape(len(self._steps), -1)
        seen -= seen.mean(1, keepdims=True)
        seen /= np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-3)
        explained = ((self._patches @ seen.T) ** 2).max(1)
        left = np.maximum(self._energy - explained, 0) / SIDE**2
        return np.asarray(-(SIDE**2 - 4) / 2 * np.log(left.astype(np.float64) + self._floor))


def _patches(x: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Every second patch along both axes (n, pixels)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (SIDE, SIDE))[::2, ::2]
    return windows.reshape(-1, SIDE**2)


def _steps(ratio: Ratio) -> npt.NDArray[np.float32]:
    """Draw all steps at the scene's resolution, 0 on one side and 1 on the other: (n, H, W)."""
    side = SIDE + 2 * MARGIN
    y, x = ((np.arange(n) + 0.5) * side / n - side / 2 for n in (round(side * r) for r in ratio))
    angle = (np.arange(ANGLES) + 0.5) * np.pi / ANGLES
    far = np.arange(-FARTHEST, FARTHEST + 1e-6, 1 / PER_PIXEL)
    place = np.sin(angle)[:, None, None] * y[:, None] + np.cos(angle)[:, None, None] * x
    return (place[:, None] > far[:, None, None]).astype(np.float32).reshape(-1, len(y), len(x))
