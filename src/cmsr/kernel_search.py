"""Find the imaging kernel from the pair itself: which one explains the target best.

Two kinds of evidence, both log-likelihoods of the target, are added for every kernel.

* **Lines**. Rows and columns of a scene have power spectra that fall as a power of the frequency;
  the kernel shapes them and folds what lies beyond the target's grid back into it. Each line has
  its own strength, so that a few strong edges do not speak for all. No guide is needed.
* **Blocks**. The guide, reduced by the right kernel, explains the target best by a linear function
  in each small block, aliasing included. Both are whitened before, by a linear prediction from
  neighbouring pixels that is fitted to the target, so that what the guide does not know counts
  the same for every kernel.

Lines and blocks vote separately, so the spread of their votes says how sure the sum is. The
standard kernel is given up on clear evidence only, and most of all for a wider one: a blurred
sensor looks like a wide kernel, and a kernel too wide costs far more than one too narrow.

References
----------
P. Whittle, "Estimation and information in stationary time series", 1953, for the likelihood of a
spectrum; C. E. Rasmussen, C. K. I. Williams, 2006, eq. 2.30, for that of a linear model;
T. Michaeli, M. Irani, "Nonparametric Blind Super-Resolution", ICCV 2013, for what a wrong kernel
costs.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cmsr.degrade import weights

Array = npt.NDArray[np.float64]
Offset = tuple[float, float]

STANDARD = "bicubic"
SIMPLE = (STANDARD, "bilinear-plain", "bicubic-plain", "box", "nearest")
"""Not wider than the standard one, in the order in which they are believed where several fit."""

GAUSSIANS = (0.15, 0.25, 0.4, 0.6, 0.8, 1.1, 1.5)
"""Standard deviations that are tried, in pixels of the target."""

WIDE = 0.33
"""Gaussians above this, and antialiased bilinear, are wider than the standard kernel."""

LEAST, LEAST_WIDE = 2.5, 2.0
"""Evidence, in standard errors, that a narrower kernel needs over the standard one, and that a
wider one needs beyond a tie."""

LEAST_PHASE, NEAR_PHASE = 4.5, 2.0
"""Evidence that grids need which do not cover the same area, and that a mere shift of the guide
must not have over them."""

TIE, MOST_TIE = 6.0, 4.0
"""Evidence below which two kernels fit equally well: in units of the share of the target that the
guide leaves unexplained, which may pull the votes a little; and at most."""

LEAST_RATIO, LEAST_SIDE = 1.5, 16
"""Smaller ratios or targets tell nothing."""

MOST_SIDE = 128
"""Larger targets are cut to their middle."""

LINES_WEIGHT = 2.0
"""Weight of the lines' votes against those of the blocks."""

SLOPES = np.arange(1.0, 3.01, 0.25)
"""Powers by which a line's spectrum may fall."""

LOWEST = 0.06
"""Frequency, in cycles per pixel of the target, below which a line's spectrum is left out."""

BLOCK, RIDGE = 8, 0.03
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (-2, 0), (0, -2), (-1, -2), (-1, 2))
"""Pixels from which the next one is predicted, in reading order before it."""

SHIFTS = (1.0, 1.0, 1.0, 0.5, 0.25)
"""Steps by which a small shift of the guide is followed, in its pixels."""


class Finding(NamedTuple):
    """The kernel's name, how sure that is (0.5 is a toss-up, 1 is certain)."""

    kernel: str
    confidence: float


def find_kernel(
    y: npt.ArrayLike,
    valid: npt.ArrayLike,
    guide: npt.NDArray[Any] | None,
    ratio: Offset,
    noise: float,
) -> Finding:
    """Find out how a target was made.

    Parameters
    ----------
    y : array, shape (h, w)
        Target; holes filled.
    valid : array, shape (h, w)
        1 where it was measured.
    guide : array, shape (G, H, W), optional
        A guide that lies over it to within two pixels. One of another scene explains nothing, so
        it is no evidence for anything.
    ratio : (float, float)
        Output pixels per pixel of the target.
    noise : float
        Standard deviation of the target's noise, rounding included.
    """
    scene = _Scene.cut(np.asarray(y, float), np.asarray(valid) > 0, guide, ratio, noise)
    if min(scene.y.shape) < LEAST_SIDE or min(ratio) < LEAST_RATIO or not np.ptp(scene.y):
        return Finding(STANDARD, 0.5)
    size = math.sqrt(ratio[0] * ratio[1])
    gaussians = [f"gaussian:{size * sigma:.3g}" for sigma in GAUSSIANS]
    narrow = [*SIMPLE, *gaussians[: sum(sigma < WIDE for sigma in GAUSSIANS)]]
    wide = ["bilinear", *(name for name in gaussians if name not in narrow)]
    without_guide = {name: scene.lines(name) for name in narrow + wide}
    phase, offset = scene.placed(_decide(without_guide, wide, MOST_TIE)[0])
    votes = {name: scene.votes(name, phase, offset) for name in narrow + wide}
    found, confidence = _decide(votes, wide, scene.tie(phase, offset))
    if found in gaussians:
        found = f"gaussian:{size * _refined(votes, gaussians, gaussians.index(found)):.2g}"
    return Finding(found + phase, confidence)


def _decide(votes: dict[str, Array], wide: list[str], tie: float) -> tuple[str, float]:
    """Choose the first kernel in the order of belief that fits as well as the best one does."""
    best = max(votes, key=lambda name: votes[name].sum())
    limits = {STANDARD: LEAST_WIDE + tie if best in wide else LEAST}
    chosen = next(
        name
        for name in votes
        if name == best or _evidence(votes[best], votes[name]) < limits.get(name, tie)
    )
    if chosen == STANDARD:
        rival = max((name for name in votes if name != STANDARD), key=lambda n: votes[n].sum())
        return STANDARD, _chance(_evidence(votes[STANDARD], votes[rival]))
    return chosen, _chance(_evidence(votes[chosen], votes[STANDARD]))


def _evidence(votes: Array, others: Array) -> float:
    """Sum of the differences of all votes, in standard errors; where none can vote, none."""
    difference = votes - others
    if not difference.size:
        return 0.0
    return float(difference.sum() / math.sqrt(difference.var() * difference.size + 1e-9))


def _chance(evidence: float) -> float:
    """Probability that normal noise of two standard errors does not turn the evidence round."""
    return 0.5 * math.erfc(-evidence / (2 * math.sqrt(2)))


def _refined(votes: dict[str, Array], gaussians: list[str], best: int) -> float:
    """Find the top of the parabola around ``best``: a standard deviation in target pixels."""
    if not 0 < best < len(GAUSSIANS) - 1:
        return GAUSSIANS[best]
    place = np.log(GAUSSIANS[best - 1 : best + 2])
    value = [votes[name].sum() for name in gaussians[best - 1 : best + 2]]
    curvature, slope, _ = np.polyfit(place - place[1], value, 2)
    if curvature >= 0:
        return GAUSSIANS[best]
    return float(np.exp(np.clip(place[1] - slope / (2 * curvature), place[0], place[2])))


class _Scene(NamedTuple):
    """What the evidence is taken from, cut to a bounded size."""

    y: Array
    valid: npt.NDArray[np.bool_]
    ratio: Offset
    noise: float
    blocks: _Blocks | None
    whole: bool

    @classmethod
    def cut(
        cls,
        y: Array,
        valid: npt.NDArray[np.bool_],
        guide: npt.NDArray[Any] | None,
        ratio: Offset,
        noise: float,
    ) -> _Scene:
        """Cut to the middle."""
        sides = [min(n, MOST_SIDE) for n in y.shape]
        starts = [(n - side) // 2 for n, side in zip(y.shape, sides, strict=True)]
        window = tuple(slice(i, i + n) for i, n in zip(starts, sides, strict=True))
        piece, seen = y[window], valid[window]
        blocks = None
        if guide is not None:
            at = [
                slice(round(i * r), round(i * r) + round(n * r))
                for i, n, r in zip(starts, sides, ratio, strict=True)
            ]
            rest = tuple(i * r - round(i * r) for i, r in zip(starts, ratio, strict=True))
            part = guide[:, at[0], at[1]].astype(np.float64)
            blocks = _Blocks.of(piece, seen, part, (rest[0], rest[1]), noise)
        return cls(piece, seen, ratio, noise, blocks, piece.shape == y.shape)

    def lines(self, kernel: str) -> Array:
        """Log-likelihood of every whole row and column, at the slope that suits them best.

        Rows and columns see the same pixels, so each counts one half.
        """
        images = (self.y, self.valid, self.ratio[1]), (self.y.T, self.valid.T, self.ratio[0])
        votes = [
            _spectral_votes(image[seen.all(-1)], kernel, step, self.noise) / 2
            for image, seen, step in images
        ]
        joined = np.concatenate(votes, axis=1)
        return np.asarray(joined[joined.sum(1).argmax()])

    def votes(self, kernel: str, phase: str, offset: Offset) -> Array:
        """Log-likelihoods of all lines and blocks under a kernel."""
        lines = LINES_WEIGHT * self.lines(kernel)
        if self.blocks is None:
            return lines
        placed = self.blocks.votes(kernel + phase)
        if not phase and any(offset):
            placed = max(placed, self.blocks.votes(kernel, offset), key=np.sum)
        return np.concatenate([lines, placed])

    def tie(self, phase: str, offset: Offset) -> float:
        """Evidence below which two kernels fit equally well."""
        if self.blocks is None:
            return MOST_TIE
        return min(MOST_TIE, TIE * self.blocks.unexplained(STANDARD + phase, offset))

    def placed(self, kernel: str) -> tuple[str, Offset]:
        """Phase of the two grids, and the small shift of the guide where there is none."""
        if self.blocks is None:
            return "", (0.0, 0.0)
        here, offset = self.blocks.votes(kernel), self.blocks.best_offset(kernel)
        moved = self.blocks.votes(kernel, offset)
        for phase in ("-topleft", "-corners") if self.whole else ("-topleft",):
            there = self.blocks.votes(kernel + phase)
            if _evidence(there, here) > LEAST_PHASE and _evidence(moved, there) < NEAR_PHASE:
                return phase, (0.0, 0.0)
        return "", offset


class _Blocks(NamedTuple):
    """The whitened target in blocks (n, pixels), and the guide it is to be explained by."""

    y: Array
    shape: tuple[int, int]
    seen: npt.NDArray[np.bool_]
    guide: Array
    prediction: Array
    noise: float
    rest: Offset

    @classmethod
    def of(
        cls, y: Array, valid: npt.NDArray[np.bool_], guide: Array, rest: Offset, noise: float
    ) -> _Blocks | None:
        """Whiten and cut into blocks; None where too few are whole."""
        prediction = _predictor(y)
        seen = _cut(_whiten((~valid).astype(float), -np.ones(len(NEIGHBOURS)))) == 0
        whole = seen.all(-1)
        if whole.sum() < 4:
            return None
        blocks = _cut(_whiten(y, prediction))[whole]
        blocks -= blocks.mean(-1, keepdims=True)
        noise *= math.sqrt(1 + float(prediction @ prediction))
        return cls(blocks, (y.shape[0], y.shape[1]), whole, guide, prediction, noise, rest)

    def votes(self, kernel: str, offset: Offset = (0.0, 0.0)) -> Array:
        """Log-likelihoods of all blocks, each linear in the guide reduced by ``kernel``.

        The scale of the residual is each block's own, at least that of the noise.
        """
        left, complexity = self._regressed(kernel, offset)
        floor = self.noise**2 + 1e-10
        return np.asarray(-self.y.shape[1] / 2 * np.log(left + floor) - complexity / 2)

    def unexplained(self, kernel: str, offset: Offset) -> float:
        """Share of the whitened target's variance that the guide leaves."""
        left, _ = self._regressed(kernel, offset)
        return float(left.sum() / ((self.y**2).mean(1).sum() + 1e-12))

    def _regressed(self, kernel: str, offset: Offset) -> tuple[Array, Array]:
        """Variance that the guide leaves in each block, and what its freedom costs (n,), (n,)."""
        rows, cols = (
            weights(n_in, n, kernel, moved + rest)
            for n_in, n, moved, rest in zip(
                self.guide.shape[1:], self.shape, offset, self.rest, strict=True
            )
        )
        reduced = _whiten(rows @ self.guide @ cols.T, self.prediction)
        features = _cut(reduced)[:, self.seen].transpose(1, 2, 0)
        features = _uncorrelated(features - features.mean(1, keepdims=True))
        pixels = self.y.shape[1]
        gram = features.mT @ features / pixels + RIDGE * np.eye(features.shape[-1])
        cross = features.mT @ self.y[..., None] / pixels
        explained = (cross * np.linalg.solve(gram, cross)).sum((1, 2))
        left = np.maximum((self.y**2).mean(1) - explained, 0)
        return left, np.asarray(np.linalg.slogdet(gram / RIDGE)[1])

    def best_offset(self, kernel: str) -> Offset:
        """Follow the likelihood to a small shift of the guide."""
        tried: dict[Offset, float] = {}
        best = (0.0, 0.0)
        for step in SHIFTS:
            for down, right in ((0, 0), (step, 0), (-step, 0), (0, step), (0, -step)):
                at = (best[0] + down, best[1] + right)
                if at not in tried:
                    tried[at] = self.votes(kernel, at).sum()
            best = max(tried, key=lambda at: tried[at])
        return best


def _predictor(y: Array) -> Array:
    """Weights of the neighbours that predict a pixel best, in least squares."""
    height, width = y.shape
    centred = y - y.mean()
    known = np.stack(
        [centred[2 + i : height + i, 2 + j : width - 2 + j].ravel() for i, j in NEIGHBOURS]
    )
    gram = known @ known.T
    gram += 1e-4 * np.trace(gram) / len(gram) * np.eye(len(gram)) + 1e-12 * np.eye(len(gram))
    return np.asarray(np.linalg.solve(gram, known @ centred[2:, 2:-2].ravel()))


def _whiten(x: Array, prediction: Array) -> Array:
    """Subtract the prediction from (..., h, w); two pixels are lost on three sides."""
    height, width = x.shape[-2:]
    result = x[..., 2:, 2:-2].copy()
    for weight, (i, j) in zip(prediction, NEIGHBOURS, strict=True):
        result -= weight * x[..., 2 + i : height + i, 2 + j : width - 2 + j]
    return result


def _cut(x: Array) -> Array:
    """Cut (..., h, w) into blocks (..., n, pixels); what is left at the end is dropped."""
    rows, cols = x.shape[-2] // BLOCK, x.shape[-1] // BLOCK
    x = x[..., : rows * BLOCK, : cols * BLOCK]
    x = x.reshape(*x.shape[:-2], rows, BLOCK, cols, BLOCK).swapaxes(-3, -2)
    return x.reshape(*x.shape[:-4], rows * cols, BLOCK * BLOCK)


def _uncorrelated(features: Array) -> Array:
    """Mix the last axis so that the features have unit variance together and no correlation."""
    flat = features.reshape(-1, features.shape[-1])
    covariance = flat.T @ flat / len(flat)
    covariance += (1e-6 * np.trace(covariance) + 1e-12) * np.eye(len(covariance))
    return np.asarray(features @ np.linalg.inv(np.linalg.cholesky(covariance)).T)


def _spectral_votes(lines: Array, kernel: str, ratio: float, noise: float) -> Array:
    """Whittle log-likelihood of each line (m, n) at each slope: (slopes, m)."""
    power = (lines @ _cosines(lines.shape[1])[0].T) ** 2
    shape = _line_spectra(kernel, ratio, lines.shape[1])[:, None]
    floor = noise**2 + 1e-10
    strength = (power / shape).mean(-1, keepdims=True)
    for _ in range(3):
        expected = strength * shape + floor
        strength *= (power * shape / expected**2).sum(-1, keepdims=True)
        strength /= (shape / expected).sum(-1, keepdims=True)
        strength = np.maximum(strength, floor)
    expected = strength * shape + floor
    return np.asarray(-(np.log(expected) + power / expected).sum(-1) / 2)


@lru_cache(maxsize=4)
def _cosines(n: int) -> tuple[Array, Array]:
    """Orthonormal cosine transform above `LOWEST`, and its frequencies in cycles per pixel."""
    frequency = np.arange(1, n) / (2 * n)
    frequency = frequency[frequency > LOWEST]
    basis = np.cos(2 * np.pi * np.outer(frequency, np.arange(n) + 0.5)) * math.sqrt(2 / n)
    return basis, frequency


@lru_cache(maxsize=64)
def _line_spectra(kernel: str, ratio: float, n: int) -> Array:
    """Spectrum of a reduced line, folded, for each of `SLOPES`: (slopes, frequencies), mean 1."""
    frequency, around = _cosines(n)[1], 16
    taps = weights(round(2 * around * ratio), 2 * around, kernel)[around]
    at = (np.arange(len(taps)) - (around + 0.5) * ratio + 0.5) / ratio
    total = np.zeros((len(SLOPES), len(frequency)))
    for alias in range(-math.ceil(ratio), math.ceil(ratio) + 1):
        folded = frequency + alias
        transfer = np.abs(np.exp(-2j * np.pi * np.outer(folded, at)) @ taps) ** 2
        held = np.abs(folded) <= ratio / 2
        total += transfer * held * (folded**2 + 1e-5) ** (-SLOPES[:, None] / 2)
    return np.asarray(total / total.mean(1, keepdims=True))
