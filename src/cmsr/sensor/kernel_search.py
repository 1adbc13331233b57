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
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cmsr.operators.kernels import PHASES, weights
from cmsr.sensor.kernel_choice import (
    STANDARD,
    UNSURE,
    KernelEstimate,
    chosen,
    features,
    narrow,
    posterior,
    shows_nothing,
    unknown,
    usual,
    wider_than_soft,
)
from cmsr.sensor.kernel_from_guide import (
    TOP_LEFT,
    UNEVEN,
    Blocks,
    GridPhase,
    Offset,
    standard_errors,
)
from cmsr.sensor.kernel_from_target import Edges, Spectra, transfer

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Scores = dict[str, Array]
"""Log-likelihoods (n,) of all lines and blocks, by kernel."""

Transfer = npt.NDArray[np.complex128]
"""Transfer function of a kernel at `FREQUENCIES` along both axes, (2, frequencies)."""

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

FREQUENCIES = np.linspace(0.05, 0.5, 10)
"""Those that the target can show, in cycles per pixel."""

LEAST_RATIO, LEAST_SIDE = 1.5, 16
"""Ratio and side of the target below which there is no evidence."""

MOST_SIDE = 128
"""Larger targets are cut to their middle."""

LINES_WEIGHT = 4.0
"""Weight of the lines' log-likelihoods against those of the blocks; fitted as above."""


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
    evidence = _Evidence.of(image, seen, guide, ratio, noise)
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
    confidence = _confidence(scores, kernel)
    others = [*(name + phase for name in rivals), *(kernel + other for other in other_phases)]
    return KernelEstimate(kernel + phase, confidence, tuple(others))


def _by_target_alone(
    image: Array, evidence: _Evidence, noise: float, camera: bool
) -> KernelEstimate:
    """Choose by the expected gain; the usual kernel where the target shows nothing.

    Two witnesses are asked: what the spectra choose, the edges must confirm, but where it is as
    narrow as a camera's usually is.
    """
    if shows_nothing(image, noise):
        return unknown(camera)
    size = math.sqrt(evidence.ratio[0] * evidence.ratio[1])
    seen = features(evidence.spectra, size)
    found = chosen(posterior(seen, camera), size, wider_than_soft(seen))
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


def _narrow_enough(names: list[str], evidence: _Evidence) -> list[str]:
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
    if usual in lead and _passed(transfers[best]) < _passed(transfers[usual]) - ALIKE / 2:
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


class _Evidence(NamedTuple):
    """All evidence of a pair, cut to a bounded size."""

    spectra: Spectra
    edges: Edges
    blocks: Blocks | None
    ratio: tuple[float, float]
    whole: bool

    @classmethod
    def of(
        cls,
        y: Array,
        valid: Mask,
        guide: npt.NDArray[Any] | None,
        ratio: tuple[float, float],
        noise: float,
    ) -> _Evidence:
        """Gather it from the middle of the pair."""
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
            blocks = Blocks.of(piece, seen, part, (rest[0], rest[1]), noise)
        target = piece, seen, ratio, noise
        return cls(Spectra(*target), Edges(*target), blocks, ratio, piece.shape == y.shape)

    def transfer(self, kernel: str) -> Transfer:
        """Return the transfer function of a kernel at `FREQUENCIES` along both axes."""
        return np.stack([transfer(kernel, r, FREQUENCIES) for r in self.ratio])

    def log_likelihoods(self, kernel: str, offset: Offset, unexplained: float) -> Array:
        """Log-likelihoods of all lines and blocks under a kernel."""
        lines = LINES_WEIGHT * unexplained * self.spectra.log_likelihoods(kernel)
        if self.blocks is None:
            return lines
        parts = (1 - unexplained) * self.blocks.log_likelihoods(kernel, offset)
        return np.concatenate([lines, parts])

    def unexplained(self, phase: str, offset: Offset) -> float:
        """Share of the target's fine variance that the guide leaves; 1 without a guide."""
        if self.blocks is None:
            return 1.0
        return min(1.0, self.blocks.unexplained(STANDARD + phase, offset))

    def least_unexplained(self, kernels: list[str], phase: str, offset: Offset) -> float:
        """Share that the guide leaves with the kernel that suits it best; 1 without a guide."""
        if self.blocks is None:
            return 1.0
        return min(self.blocks.unexplained(kernel + phase, offset) for kernel in kernels)

    def grid_phase(self, kernels: list[str]) -> GridPhase:
        """Estimate the phase between the grids of target and guide."""
        if self.blocks is None:
            return GridPhase("", (0.0, 0.0))
        phases = PHASES if self.whole else (TOP_LEFT,)
        return self.blocks.grid_phase(kernels, phases, self.ratio)
