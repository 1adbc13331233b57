"""Estimate the imaging kernel from the pair itself: the one that explains the target best.

Without a guide, or with one that explains next to nothing, `kernel_choice` decides. Else the
log-likelihoods of the guide's blocks and of the target's lines are added for every kernel, the
former weighted by the share of the target that the guide explains, the latter by the rest. Their
spread over blocks and lines says how sure the sum is. Kernels that are too wide for the target's
edges are excluded before.

The standard kernel is replaced on clear evidence only, and most of all by a wider one: a blurred
sensor looks like a wide kernel, and a kernel too wide costs far more than one too narrow. No sensor
takes single points, so `nearest` needs clear evidence over each kernel that averages.

References
----------
T. Michaeli, M. Irani, "Nonparametric Blind Super-Resolution", ICCV 2013, for what a wrong kernel
costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.operators.kernels import weights
from cmsr.sensor.kernel_choice import (
    STANDARD,
    UNSURE,
    KernelEstimate,
    chosen,
    compared,
    features,
    narrow,
    posterior,
    shows_nothing,
    unknown,
    usual,
    wider_than_soft,
)
from cmsr.sensor.kernel_evidence import Evidence, Transfer
from cmsr.sensor.kernel_from_guide import UNEVEN, standard_errors
from cmsr.sensor.kernel_loss import expected_gains

Array = npt.NDArray[np.float64]
Scores = dict[str, Array]
"""Log-likelihoods (n,) of all lines and blocks, by kernel."""

NAMED = (STANDARD, "nearest", "box", "bilinear-plain", "bicubic-plain", "bilinear")
"""In the order in which names of the same weights are preferred."""

GAUSSIANS = (0.33, 0.44, 0.58, 0.77, 1.0, 1.4)
"""Standard deviations of the candidates, in pixels of the target: each 4/3 of the one before."""

TIE, MOST_TIE = 1.0, 2.5
"""Evidence, in standard errors, below which two kernels cannot be told apart: where the guide
explains all of the target, and what is added where it explains nothing. These and the next three
are fitted on the pairs of `benchmarks/known_kernels.py` (EXPERIMENTS.md, "Kernel and noise")."""

LEAST_WIDE = 2.0
"""How many times that evidence a kernel wider than the standard one needs over it."""

EXACT = 0.5
"""Share of that evidence that a Gaussian needs over a kernel with a name of its own."""

TOO_WIDE = 3.0
"""Evidence of the edges that a kernel is too wide."""

CONFIRMED = 3.0
"""Evidence of the edges, in standard errors, that a kernel chosen by the spectra alone needs over
the standard one; where it was right they had 10 to 33 (48 thermal, near-infrared and depth
targets)."""

ALIKE = 0.05
"""Largest difference of two transfer functions that hardly matters in the result; by eye."""

HARDLY_EXPLAINED = 0.75
"""Share of the target that a guide may leave unexplained with the kernel that suits it best before
the target decides alone: those of depth leave .5 to .72, those of another scene .92 and more."""

SHOWS_WIDTH = 0.6
"""Share of the target that a guide may leave unexplained where it is to show a kernel wider than
the standard one: thermal images that leave .65 to .78 look blurred to it as well, by 3 to 5
standard errors; near-infrared ones that were blurred leave .58 at most."""

LEAST_RATIO, LEAST_SIDE = 1.5, 16
"""Ratio and side of the target below which there is no evidence."""


def find_kernel(
    y: npt.ArrayLike,
    valid: npt.ArrayLike,
    guide: npt.NDArray[Any] | None,
    ratio: tuple[float, float],
    noise: float,
    camera: bool = False,
) -> KernelEstimate:
    """Estimate the kernel that made a target.

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
    camera : bool, optional
        Whether the target comes straight from a camera, not from software.
    """
    image, seen = np.asarray(y, float), np.asarray(valid) > 0
    if min(image.shape) < LEAST_SIDE or min(ratio) < LEAST_RATIO or not np.ptp(image):
        return unknown(camera)
    evidence = Evidence.of(image, seen, guide, ratio, noise)
    if evidence.blocks is None:
        return _by_target_alone(image, evidence, noise, camera)
    possible = _narrow_enough(_distinct(_candidates(ratio), "", ratio), evidence)
    phase, offset, other_phases = evidence.grid_phase(possible)
    unexplained = evidence.unexplained(phase, offset)
    if evidence.least_unexplained(possible, phase, offset) > HARDLY_EXPLAINED:
        return _by_target_alone(image, evidence, noise, camera)

    def score(kernel: str) -> Array:
        return evidence.log_likelihoods(kernel + phase, offset, unexplained)

    scores = {name: score(name) for name in _distinct(possible, phase, ratio)}
    _refine(scores, score)
    best = max(scores, key=lambda name: scores[name].sum())
    lead = {name: standard_errors(scores[best], scores[name]) for name in scores}
    transfers = {name: evidence.transfer(name + phase) for name in (STANDARD, *scores)}
    kernel, rivals = _chosen(lead, TIE + MOST_TIE * unexplained, transfers, usual(camera))
    if unexplained > SHOWS_WIDTH and _wider(transfers[kernel], transfers[STANDARD]):
        return _by_target_alone(image, evidence, noise, camera)
    confidence = _confidence(scores, kernel)
    others = [*(name + phase for name in rivals), *(kernel + other for other in other_phases)]
    return KernelEstimate(kernel + phase, confidence, tuple(others))


def _by_target_alone(
    image: Array, evidence: Evidence, noise: float, camera: bool
) -> KernelEstimate:
    """Choose by the expected gain; the usual kernel where the target shows nothing.

    Two witnesses are asked: what the spectra choose, the edges must confirm, but where it is as
    narrow as a camera's usually is.
    """
    if shows_nothing(image, noise):
        return unknown(camera)
    size = math.sqrt(evidence.ratio[0] * evidence.ratio[1])
    seen = features(evidence.spectra, size)
    gains = expected_gains(evidence.piece, noise, evidence.ratio, *compared(size))
    found = chosen(posterior(seen, camera), gains, size, wider_than_soft(seen))
    if found.kernel == STANDARD or (camera and narrow(found.kernel, size)):
        return found
    theirs, standard = (evidence.edges.log_likelihoods(k) for k in (found.kernel, STANDARD))
    if standard_errors(theirs, standard) > CONFIRMED:
        return found
    return KernelEstimate(usual(camera), UNSURE, found.rivals)


def _candidates(ratio: tuple[float, float]) -> list[str]:
    """Names of all candidates, Gaussians last."""
    size = math.sqrt(ratio[0] * ratio[1])
    return [*NAMED, *(f"gaussian:{size * sigma:.3g}" for sigma in GAUSSIANS)]


def _distinct(names: list[str], phase: str, ratio: tuple[float, float]) -> list[str]:
    """Leave out names of the same weights as one before."""
    kept: dict[str, list[Array]] = {}
    for name in names:
        own = [weights(round(8 * r), 8, name + phase) for r in ratio]
        if not any(all(map(np.allclose, own, other)) for other in kept.values()):
            kept[name] = own
    return list(kept)


def _narrow_enough(names: list[str], evidence: Evidence) -> list[str]:
    """Leave out kernels wider than the likeliest by the edges that are clearly less likely."""
    scores = {name: evidence.edges.log_likelihoods(name) for name in names}
    passed = {name: _passed(evidence.transfer(name)) for name in names}
    best = max(scores, key=lambda name: scores[name].sum())
    return [
        name
        for name in names
        if passed[name] >= passed[best] or standard_errors(scores[best], scores[name]) < TOO_WIDE
    ]


def _chosen(
    lead: dict[str, float], tie: float, transfers: dict[str, Transfer], usual: str
) -> tuple[str, list[str]]:
    """Choose a kernel by the evidence of the best one over each; return it and its rivals.

    ``usual`` is the name of the one that stays where it may be true.
    """
    best = min(lead, key=lambda name: lead[name])
    limits = dict.fromkeys(lead, tie)
    if usual in lead and _wider(transfers[best], transfers[usual]):
        limits[usual] = LEAST_WIDE * tie
    ranked = sorted(lead, key=lambda name: lead[name])
    likely = [name for name in ranked if lead[name] < limits[name]]
    exact = [name for name in likely if name in NAMED and lead[name] < EXACT * tie]
    averaging = [name for name in exact if name != UNEVEN]
    kernel = usual if usual in likely else [*averaging, *exact, best][0]
    others = [n for n in likely if np.abs(transfers[n] - transfers[kernel]).max() > ALIKE]
    gaussians = [name for name in (kernel, *others) if name not in NAMED]
    return kernel, [name for name in others if name in NAMED or name == gaussians[0]]


def _passed(transfer: Transfer) -> float:
    """Amplitude that a kernel leaves at the highest frequency: a measure of its width."""
    return float(np.abs(transfer[:, -1]).prod() ** 0.5)


def _wider(transfer: Transfer, other: Transfer) -> bool:
    """Tell whether a kernel is clearly wider than another one."""
    return _passed(transfer) < _passed(other) - ALIKE / 2


def _confidence(scores: Scores, kernel: str) -> float:
    """Probability that normal noise of two standard errors does not reverse the evidence."""
    others = [name for name in scores if name != kernel]
    rival = (
        STANDARD if STANDARD in others else max(others, key=lambda n: scores[n].sum(), default="")
    )
    if not rival:
        return 1.0
    return 0.5 * math.erfc(-standard_errors(scores[kernel], scores[rival]) / (2 * math.sqrt(2)))


def _refine(scores: Scores, score: Callable[[str], Array]) -> None:
    """Add the Gaussian at the top of the parabola through the best one and those beside it."""
    gaussians = [name for name in scores if name not in NAMED]
    if not gaussians:
        return
    best = max(gaussians, key=lambda name: scores[name].sum())
    middle, step = math.log(float(best.partition(":")[2])), math.log(GAUSSIANS[1] / GAUSSIANS[0])
    below, above = (
        score(f"gaussian:{math.exp(middle + side * step):.3g}").sum() for side in (-0.5, 0.5)
    )
    value = below, scores[best].sum(), above
    curvature, slope, _ = np.polyfit((-0.5, 0, 0.5), value, 2)
    if curvature < 0:
        top = np.clip(-slope / (2 * curvature), -1, 1)
        name = f"gaussian:{math.exp(middle + top * step):.3g}"
        scores[name] = score(name)
