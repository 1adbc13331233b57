"""Evidence on the kernel that made a target, from a guide.

The guide, reduced by the right kernel, explains the target best by a linear function in each small
block, aliasing included. Both are whitened before, by a linear prediction from neighbouring pixels
that is fitted to the target, so that the unexplained part counts the same for every kernel.

References
----------
C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006, eq. 2.30, for
the likelihood of a linear model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cmsr.operators.kernels import PHASES, weights
from cmsr.sensor.blocks import blocks, regress

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Offset = tuple[float, float]

RIDGE = 0.03
"""Variance of the guide in a block that counts as none, where its whole has 1; by eye."""

LEAST_BLOCKS = 4
"""Blocks without holes that can be evidence."""

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (-2, 0), (0, -2), (-1, -2), (-1, 2))
"""Pixels from which the next one is predicted, in reading order before it."""

LEAST_PHASE, NEAR_PHASE, RIVAL_PHASE = 4.5, 2.0, 0.0
"""Evidence, in standard errors, that grids need which do not cover the same area; that a mere shift
of the guide must not have over them; and from which on they are named as possible. All evidence
here is checked by `benchmarks/known_kernels.py`."""

TOP_LEFT, MOST_UNEXPLAINED = PHASES[0], 0.7
"""Grids whose first pixels coincide, which look like a guide that is shifted by that much; and the
share of the target that a guide may leave unexplained for them to be believed."""

SAME_SHIFT = 0.35
"""Distance from theirs, in pixels of the guide, up to which a measured shift is taken for such
grids: two cameras are shifted by any amount, software by this one."""

LEAST_SHIFT = 2.0
"""Evidence that a small shift of the guide needs."""

UNEVEN = "nearest"
"""A kernel that is half a pixel off at even ratios: no shift can be measured with it."""

SHIFTS = (1.0, 1.0, 1.0, 0.5, 0.25)
"""Steps of the search for a small shift of the guide, in its pixels."""


class GridPhase(NamedTuple):
    """Phase between the grids of target and guide.

    ``phase`` is one of `PHASES` or none, ``offset`` a shift of the guide beside it, in its pixels;
    ``rivals`` are phases that cannot be excluded.
    """

    phase: str
    offset: Offset
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Blocks:
    """The whitened target in blocks (n, pixels), and the guide (G, H, W) that may explain it.

    Attributes
    ----------
    y : array, shape (n, pixels)
    shape : (h, w)
        Of the target.
    whole : array of bool
        Which blocks have no hole: those of ``y``.
    guide : array, shape (G, H, W)
    prediction : array
        Weights of `NEIGHBOURS`, by which target and guide are whitened.
    noise : float
        Standard deviation of the whitened target's noise.
    rest : (float, float)
        Shift of the guide that its cut left, in its pixels.
    known : dict
        Regressions by kernel and offset.
    """

    y: Array
    shape: tuple[int, int]
    whole: Mask
    guide: Array
    prediction: Array
    noise: float
    rest: Offset
    known: dict[tuple[str, Offset], tuple[Array, Array]] = field(default_factory=dict)

    @classmethod
    def of(cls, y: Array, valid: Mask, guide: Array, rest: Offset, noise: float) -> Blocks | None:
        """Whiten and cut into blocks; None where too few are whole."""
        prediction = _predictor(y)
        measured = valid[2:, 2:-2] & _neighbours(valid).all(0)
        whole = np.asarray(blocks(measured).all(-1))
        if whole.sum() < LEAST_BLOCKS:
            return None
        parts = blocks(_whiten(y, prediction))[whole]
        parts -= parts.mean(-1, keepdims=True)
        noise *= math.sqrt(1 + float(prediction @ prediction))
        return cls(parts, (y.shape[0], y.shape[1]), whole, guide, prediction, noise, rest)

    def log_likelihoods(self, kernel: str, offset: Offset = (0.0, 0.0)) -> Array:
        """Log-likelihoods (n,) of the blocks, each linear in the guide reduced by ``kernel``.

        The scale of the residual is each block's own, at least that of the noise.
        """
        left, complexity = self._regression(kernel, offset)
        floor = self.noise**2 + 1e-10
        return np.asarray(-self.y.shape[1] / 2 * np.log(left + floor) - complexity / 2)

    def unexplained(self, kernel: str, offset: Offset) -> float:
        """Share of the whitened target's variance that the guide leaves unexplained."""
        left, _ = self._regression(kernel, offset)
        return float(left.sum() / ((self.y**2).mean(1).sum() + 1e-12))

    def _regression(self, kernel: str, offset: Offset) -> tuple[Array, Array]:
        """Return the result of `_regressed`, computed once."""
        if (kernel, offset) not in self.known:
            self.known[kernel, offset] = self._regressed(kernel, offset)
        return self.known[kernel, offset]

    def _regressed(self, kernel: str, offset: Offset) -> tuple[Array, Array]:
        """Variance that the guide leaves in each block (n,), and the complexity of the fit (n,)."""
        rows, cols = (
            weights(n_in, n, kernel, moved + rest)
            for n_in, n, moved, rest in zip(
                self.guide.shape[1:], self.shape, offset, self.rest, strict=True
            )
        )
        reduced = _whiten(rows @ self.guide @ cols.T, self.prediction)
        features = blocks(reduced)[:, self.whole]
        features = _uncorrelated(features - features.mean(-1, keepdims=True))
        left, gram = regress(self.y, features, RIDGE)
        return left, np.asarray(np.linalg.slogdet(gram / RIDGE)[1])

    def grid_phase(
        self, kernels: Sequence[str], phases: Sequence[str], ratio: tuple[float, float]
    ) -> GridPhase:
        """Estimate the phase between the two grids, and the shift of the guide.

        Top-left grids amount to a shift by some pixels: a measured shift is taken for them if it is
        just theirs and the guide explains much.
        """
        scores = {name: self.log_likelihoods(name) for name in kernels}
        even = [name for name in kernels if name != UNEVEN] or kernels
        kernel = max(even, key=lambda name: scores[name].sum())
        offset = self.best_offset(kernel)
        here = max(scores.values(), key=np.sum)
        moved = self.log_likelihoods(kernel, offset)
        telling = self.unexplained(kernel, offset) < MOST_UNEXPLAINED
        by = [(1 - r) / 2 for r in ratio]
        near = all(abs(a - b) <= SAME_SHIFT for a, b in zip(offset, by, strict=True))
        rivals = []
        for phase in phases:
            there = self.log_likelihoods(kernel + phase)
            if telling and standard_errors(there, here) > LEAST_PHASE:
                if standard_errors(moved, there) < NEAR_PHASE:
                    return GridPhase(phase, (0.0, 0.0))
                if phase == TOP_LEFT and near:
                    return GridPhase(phase, (offset[0] - by[0], offset[1] - by[1]))
            if standard_errors(there, here) > RIVAL_PHASE and telling:
                rivals.append(phase)
        clear = standard_errors(moved, here) > LEAST_SHIFT
        return GridPhase("", offset if clear else (0.0, 0.0), tuple(rivals))

    def best_offset(self, kernel: str) -> Offset:
        """Return the small shift of the guide that maximises the likelihood."""
        tried: dict[Offset, float] = {}
        best = (0.0, 0.0)
        for step in SHIFTS:
            for down, right in ((0, 0), (step, 0), (-step, 0), (0, step), (0, -step)):
                at = (best[0] + down, best[1] + right)
                if at not in tried:
                    tried[at] = self.log_likelihoods(kernel, at).sum()
            best = max(tried, key=lambda at: tried[at])
        return best


def standard_errors(scores: Array, others: Array) -> float:
    """Sum of the differences of log-likelihoods (n,), in standard errors; 0 if there are none."""
    difference = scores - others
    if not difference.size:
        return 0.0
    return float(difference.sum() / math.sqrt(difference.var() * difference.size + 1e-9))


def _predictor(y: Array) -> Array:
    """Weights of the neighbours that predict a pixel best, in least squares."""
    centred = y - y.mean()
    known = _neighbours(centred).reshape(len(NEIGHBOURS), -1)
    gram = known @ known.T
    gram += 1e-4 * np.trace(gram) / len(gram) * np.eye(len(gram)) + 1e-12 * np.eye(len(gram))
    return np.asarray(np.linalg.solve(gram, known @ centred[2:, 2:-2].ravel()))


def _whiten(x: Array, prediction: Array) -> Array:
    """Subtract the prediction from (..., h, w); two pixels are lost on three sides."""
    return np.asarray(x[..., 2:, 2:-2] - np.tensordot(prediction, _neighbours(x), 1))


def _neighbours(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the neighbours (k, ..., h - 2, w - 4) from which pixels (..., h, w) are predicted."""
    height, width = x.shape[-2:]
    return np.stack([x[..., 2 + i : height + i, 2 + j : width - 2 + j] for i, j in NEIGHBOURS])


def _uncorrelated(features: Array) -> Array:
    """Mix features (G, n, pixels) so that over all blocks they have unit covariance."""
    flat = features.reshape(len(features), -1)
    covariance = flat @ flat.T / flat.shape[1]
    covariance += (1e-6 * np.trace(covariance) + 1e-12) * np.eye(len(covariance))
    mixed = np.linalg.solve(np.linalg.cholesky(covariance), flat)
    return np.asarray(mixed.reshape(features.shape))
