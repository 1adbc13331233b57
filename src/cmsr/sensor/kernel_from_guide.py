"""What a guide says about the kernel that made a target.

The guide, reduced by the right kernel, explains the target best by a linear function in each small
block, aliasing included. Both are whitened before, by a linear prediction from neighbouring pixels
that is fitted to the target, so that what the guide does not know counts the same for every kernel.

References
----------
C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006, eq. 2.30, for
the likelihood of a linear model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cmsr.operators.resampling import PHASES, weights

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Offset = tuple[float, float]

BLOCK, RIDGE = 8, 0.03
LEAST_BLOCKS = 4

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (-2, 0), (0, -2), (-1, -2), (-1, 2))
"""Pixels from which the next one is predicted, in reading order before it."""

LEAST_PHASE, NEAR_PHASE, RIVAL_PHASE = 4.5, 2.0, 0.0
"""Evidence that grids need which do not cover the same area; that a mere shift of the guide must
not have over them; and from which on they may be, though too little speaks for them."""

TOP_LEFT, MOST_UNEXPLAINED = PHASES[0], 0.7
"""Grids whose first pixels coincide, which amount to a shift that a guide may only be off by some
pixels more; and what a guide may leave of the target for that to count."""

LEAST_SHIFT = 2.0
"""Evidence that a small shift of the guide needs."""

UNEVEN = "nearest"
"""What lies half a pixel off at even ratios, so that no shift is to be measured with it."""

SHIFTS = (1.0, 1.0, 1.0, 0.5, 0.25)
"""Steps by which a small shift of the guide is followed, in its pixels."""


class Placement(NamedTuple):
    """How the grids of target and guide lie to each other.

    ``phase`` is one of `PHASES` or none, ``offset`` a shift of the guide beside it, in its pixels;
    ``rivals`` are phases that may be as well.
    """

    phase: str
    offset: Offset
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Blocks:
    """The whitened target in blocks (n, pixels), and the guide it is to be explained by."""

    y: Array
    shape: tuple[int, int]
    seen: Mask
    guide: Array
    prediction: Array
    noise: float
    rest: Offset
    known: dict[tuple[str, Offset], tuple[Array, Array]] = field(default_factory=dict)

    @classmethod
    def of(cls, y: Array, valid: Mask, guide: Array, rest: Offset, noise: float) -> Blocks | None:
        """Whiten and cut into blocks; None where too few are whole."""
        prediction = _predictor(y)
        seen = _cut(_whiten((~valid).astype(float), -np.ones(len(NEIGHBOURS)))) == 0
        whole = seen.all(-1)
        if whole.sum() < LEAST_BLOCKS:
            return None
        blocks = _cut(_whiten(y, prediction))[whole]
        blocks -= blocks.mean(-1, keepdims=True)
        noise *= math.sqrt(1 + float(prediction @ prediction))
        return cls(blocks, (y.shape[0], y.shape[1]), whole, guide, prediction, noise, rest)

    def votes(self, kernel: str, offset: Offset = (0.0, 0.0)) -> Array:
        """Log-likelihoods of all blocks, each linear in the guide reduced by ``kernel``.

        The scale of the residual is each block's own, at least that of the noise.
        """
        left, complexity = self._regression(kernel, offset)
        floor = self.noise**2 + 1e-10
        return np.asarray(-self.y.shape[1] / 2 * np.log(left + floor) - complexity / 2)

    def unexplained(self, kernel: str, offset: Offset) -> float:
        """Share of the whitened target's variance that the guide leaves."""
        left, _ = self._regression(kernel, offset)
        return float(left.sum() / ((self.y**2).mean(1).sum() + 1e-12))

    def _regression(self, kernel: str, offset: Offset) -> tuple[Array, Array]:
        """Return what `_regressed` does, once computed."""
        if (kernel, offset) not in self.known:
            self.known[kernel, offset] = self._regressed(kernel, offset)
        return self.known[kernel, offset]

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

    def placed(
        self, kernels: Sequence[str], phases: Sequence[str], ratio: tuple[float, float]
    ) -> Placement:
        """Find the phase of the two grids, and how far the guide lies off.

        Top-left grids amount to a shift by some pixels: so is the guide's taken, if it is more like
        that than like none and the guide explains much.
        """
        votes = {name: self.votes(name) for name in kernels}
        even = [name for name in kernels if name != UNEVEN] or kernels
        kernel = max(even, key=lambda name: votes[name].sum())
        offset = self.best_offset(kernel)
        here = max(votes.values(), key=np.sum)
        moved = self.votes(kernel, offset)
        telling = self.unexplained(kernel, offset) < MOST_UNEXPLAINED
        by = [(1 - r) / 2 for r in ratio]
        near = all(0.5 <= moved_by / b <= 1.5 for moved_by, b in zip(offset, by, strict=True))
        rivals = []
        for phase in phases:
            there = self.votes(kernel + phase)
            if standard_errors(there, here) > LEAST_PHASE:
                if standard_errors(moved, there) < NEAR_PHASE:
                    return Placement(phase, (0.0, 0.0))
                if phase == TOP_LEFT and near and telling:
                    return Placement(phase, (offset[0] - by[0], offset[1] - by[1]))
            if standard_errors(there, here) > RIVAL_PHASE and telling:
                rivals.append(phase)
        clear = standard_errors(moved, here) > LEAST_SHIFT
        return Placement("", offset if clear else (0.0, 0.0), tuple(rivals))

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


def standard_errors(votes: Array, others: Array) -> float:
    """Sum of the differences of all votes, in standard errors; where none can vote, none."""
    difference = votes - others
    if not difference.size:
        return 0.0
    return float(difference.sum() / math.sqrt(difference.var() * difference.size + 1e-9))


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
