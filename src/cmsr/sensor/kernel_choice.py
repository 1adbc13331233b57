"""Choose the kernel that gains most in expectation, by the target alone.

The line spectra's log-likelihoods of a few kernels, per pixel, relative to the standard one, and
the width of the likeliest Gaussian give a calibrated posterior over kinds of kernels (multinomial
logistic regression). What each assumed kernel gains over the standard one, in dB, is computed for
every true kind from the target's own spectrum (`cmsr.sensor.kernel_loss`). The choice has the
largest expected gain, where losses count `CAUTION` times: a kernel too wide costs several dB, one
too narrow tenths, so where kinds cannot be told apart it is the standard one or a narrow one. A
soft scene looks like a blurred one, so some of the fitted scenes were softened before they were
reduced; up to a width, `SOFTEST`, no kernel is chosen that is much wider than the standard one.

Only software makes the standard kernel, and no detector takes single points: of what comes straight
from a camera, both are unlikely from the outset, and a detector's own area, `box`, is usual.

All is fitted by `benchmarks/fit_kernel_choice.py`, which leaves data sets and ratios out in turn.

References
----------
J. O. Berger, "Statistical Decision Theory and Bayesian Analysis", 1985, section 1.3, for the choice
of the least expected loss.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cmsr.sensor.kernel_from_target import Spectra

Array = npt.NDArray[np.float64]

STANDARD, DETECTOR = "bicubic", "box"
WITNESSES = (
    "nearest", "box", "bilinear-plain", "bicubic-plain", "bilinear",
    0.2, 0.27, 0.35, 0.5, 0.65, 0.8, 1.0, 1.3,
)  # fmt: skip
"""Kernels whose likelihoods are the features; Gaussians by their width in pixels of the target."""

CAMERA_ODDS = 0.02
"""Odds of the kernels that no camera has, for what comes straight from one, against those among the
fitted images; by judgement."""

CAUTION = 12.0
"""Times that a dB lost counts as much as one gained."""

BENDS = (0.3, 0.42, 0.5, 0.57, 0.65, 0.75)
"""Widths at which the posterior may change its slope in the logarithm of the likeliest width."""

CLEAR = 0.017
"""Log-likelihood per pixel of a Gaussian over the standard kernel that is much: the spread of those
of the fitted images."""

SOFTEST, WIDE = 0.58, 0.4
"""Width, in pixels of the target, that the likeliest Gaussian must exceed before a Gaussian of more
than the second is chosen. Of 463 targets that the standard kernel had made, .57 was the highest; of
those made by one of .8 pixels, 97 % are above."""

FARTHEST = 3.0
"""Standard deviations of the fitted images at which a feature is cut off; by eye."""

NEAR = 0.3
"""dB by which a kernel may be off that still counts as right."""

LEAST_SIDE, SHAPELESS = 24, 1e-3
"""Side of the target below which nothing is known; share of the range a polynomial must leave."""

DEGREE = 3
"""Degree of the polynomial that shows nothing of a kernel."""

UNSURE = 0.5
"""Confidence where nothing is known."""

PLAUSIBLE = 0.1
"""Probability from which on a kind is named as possible."""


class KernelEstimate(NamedTuple):
    """A kernel, and how sure it is.

    Attributes
    ----------
    kernel : str
        Its name.
    confidence : float
        By the target alone, the probability that no kernel is better by more than `NEAR`; with a
        guide, that it explains more than the standard one, or that one more than the best other.
    rivals : tuple of str
        Kernels, different enough to matter, that the pair cannot tell from it, the likeliest first.
    """

    kernel: str
    confidence: float
    rivals: tuple[str, ...] = ()


class _Model(NamedTuple):
    """Fitted weights: features are (x − centre) / spread; see `benchmarks/fit_kernel_choice.py`.

    ``weights`` is (features + 1, kinds).
    """

    kinds: list[str | float]
    choices: list[str | float]
    centre: Array
    spread: Array
    weights: Array


def unknown(camera: bool) -> KernelEstimate:
    """Return what is said where a target, maybe straight from a camera, shows no kernel."""
    return KernelEstimate(usual(camera), UNSURE)


def usual(camera: bool) -> str:
    """Return the kernel that is assumed where nothing is known."""
    return DETECTOR if camera else STANDARD


def shows_nothing(y: Array, noise: float) -> bool:
    """Tell whether an image (h, w) is too small or too smooth to be evidence of its kernel."""
    if min(y.shape) < LEAST_SIDE:
        return True
    rows, cols = (
        np.polynomial.chebyshev.chebvander(np.linspace(-1, 1, n), DEGREE) for n in y.shape
    )
    left, right = (np.linalg.qr(basis)[0] for basis in (rows, cols))
    rest = y - left @ (left.T @ y @ right) @ right.T
    return float(rest.std()) <= max(2 * noise, SHAPELESS * float(np.ptp(y)))


def features(spectra: Spectra, size: float) -> Array:
    """Evidence of a target: log-likelihoods per pixel, and what `_bent` makes of them.

    Parameters
    ----------
    spectra : Spectra
        Of the target.
    size : float
        Output pixels per pixel of the target.
    """
    standard = spectra.log_likelihoods(STANDARD)
    scores = [spectra.log_likelihoods(named(kernel, size)).sum() for kernel in WITNESSES]
    lines = (np.array(scores) - standard.sum()) / max(1, standard.size) ** 2
    width, lead = _likeliest_gaussian(lines)
    bent = _bent(width)
    return np.concatenate([lines, bent, np.clip(lead / CLEAR, -FARTHEST, FARTHEST) * bent])


def _likeliest_gaussian(lines: Array) -> tuple[float, float]:
    """Logarithm of the width and log-likelihood at the top of the parabola through the best three.

    Parameters
    ----------
    lines : array, shape (witnesses,)
        Log-likelihoods of `WITNESSES`.
    """
    first = next(i for i, kernel in enumerate(WITNESSES) if not isinstance(kernel, str))
    x, y = np.log(np.array(WITNESSES[first:], float)), lines[first:]
    best = int(np.clip(y.argmax(), 1, len(y) - 2))
    near = slice(best - 1, best + 2)
    curvature, slope, level = np.polyfit(x[near] - x[best], y[near], 2)
    ends = x[near][[0, -1]] - x[best]
    if curvature < 0:
        top = float(np.clip(-slope / (2 * curvature), *ends))
    else:
        top = float(ends[int(y[best + 1] > y[best - 1])])
    return float(x[best] + top), float((curvature * top + slope) * top + level)


def _bent(width: float) -> Array:
    """Return a logarithm of a width, and what of it is beyond each of `BENDS`: (1 + bends,)."""
    return np.array([width, *np.maximum(0, width - np.log(BENDS))])


def named(kernel: str | float, size: float) -> str:
    """Return the name of a kernel, a Gaussian's width being given in pixels of the target."""
    return kernel if isinstance(kernel, str) else f"gaussian:{kernel * size:.3g}"


def posterior(evidence: Array, camera: bool = False) -> Array:
    """Return the probability of every kind (kinds,), maybe of what comes straight from a camera."""
    model = _model()
    scaled = np.clip((evidence - model.centre) / model.spread, -FARTHEST, FARTHEST)
    score = np.append(scaled, 1.0) @ model.weights
    if camera:
        score += math.log(CAMERA_ODDS) * np.isin(model.kinds, (STANDARD, "nearest"))
    share = np.exp(score - score.max())
    return np.asarray(share / share.sum())


def compared(size: float) -> tuple[list[str], list[str]]:
    """Return the names of all kinds, and of all kernels that may be chosen."""
    model = _model()
    kinds, choices = ([named(k, size) for k in some] for some in (model.kinds, model.choices))
    return kinds, choices


def chosen(
    probability: Array, gains: Array, size: float, may_be_wide: bool = True
) -> KernelEstimate:
    """Choose by the largest expected gain.

    Parameters
    ----------
    probability : array, shape (kinds,)
    gains : array, shape (kinds, choices)
        What each choice gains over the standard kernel where a kind is true, in dB.
    size : float
        Output pixels per pixel of the target.
    may_be_wide : bool, optional
        Whether kernels wider than `WIDE` may be chosen.
    """
    model = _model()
    expected = probability @ weighed(gains)
    if not may_be_wide:
        expected[wide(model.choices)] = -np.inf
    best = int(expected.argmax())
    near = gains.max(1) - gains[:, best] <= NEAR
    likely = [k for k in np.argsort(-probability, kind="stable") if probability[k] >= PLAUSIBLE]
    rivals = tuple(named(model.kinds[k], size) for k in likely if not near[k])
    sure = math.fsum(probability[near])
    return KernelEstimate(named(model.choices[best], size), min(1.0, sure), rivals)


def wider_than_soft(evidence: Array) -> bool:
    """Tell by a target's `features` whether it is more blurred than soft scenes look."""
    return bool(evidence[len(WITNESSES)] > math.log(SOFTEST))


def narrow(kernel: str, size: float) -> bool:
    """Tell whether a kernel by its name is no wider than `WIDE`."""
    name, _, width = kernel.partition(":")
    return name == DETECTOR or (name == "gaussian" and float(width) <= WIDE * size)


def wide(choices: Sequence[str | float]) -> npt.NDArray[np.bool_]:
    """Tell which choices are wider than `WIDE`."""
    return np.array([not isinstance(choice, str) and choice > WIDE for choice in choices])


def weighed(gains: Array) -> Array:
    """Count losses `CAUTION` times."""
    return np.where(gains < 0, CAUTION * gains, gains)


@cache
def _model() -> _Model:
    """Read what was fitted."""
    text = files("cmsr.sensor").joinpath("kernel_choice.json").read_text("utf-8")
    stored = json.loads(text)
    arrays = (np.array(stored[name]) for name in ("centre", "spread", "weights"))
    return _Model(stored["kinds"], stored["choices"], *arrays)
