"""Find the imaging kernel from the pair itself: which one explains the target best.

The guide's evidence and that of the target's own spectra are log-likelihoods, added for every
kernel: each counts as far as the guide leaves the other to explain. Lines and blocks vote
separately, so the spread of their votes says how sure the sum is. Kernels that are too wide for
the target's edges are left out before.

The standard kernel is given up on clear evidence only, and most of all for a wider one: a blurred
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

from cmsr.operators.resampling import PHASES, weights
from cmsr.sensor.kernel_from_guide import (
    TOP_LEFT,
    UNEVEN,
    Blocks,
    Offset,
    Placement,
    standard_errors,
)
from cmsr.sensor.kernel_from_target import Edges, Spectra, transfer

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Votes = dict[str, Array]
Waves = npt.NDArray[np.complex128]
"""What a kernel makes of `WAVES` along both axes: (2, waves)."""

STANDARD = "bicubic"
NAMED = (STANDARD, "nearest", "box", "bilinear-plain", "bicubic-plain", "bilinear")
"""In the order in which names of the same weights are preferred."""

GAUSSIANS = (0.33, 0.44, 0.58, 0.77, 1.0, 1.4)
"""Standard deviations that are tried, in pixels of the target."""

TIE, MOST_TIE = 1.0, 2.5
"""Evidence, in standard errors, below which two kernels cannot be told apart: where the guide
explains all of the target, and what is added where it explains nothing."""

LEAST_WIDE = 2.0
"""How many times that evidence a kernel wider than the standard one needs over it."""

EXACT = 0.5
"""Share of that evidence that a Gaussian needs over a kernel with a name of its own."""

TOO_WIDE = 3.0
"""Evidence of the edges that a kernel is too wide."""

ALIKE = 0.05
"""Largest difference of what two kernels make of waves that hardly matters in the result."""

WAVES = np.linspace(0.05, 0.5, 10)
"""Those that the target can show, in cycles per pixel."""

LEAST_RATIO, LEAST_SIDE = 1.5, 16
"""Smaller ratios or targets tell nothing."""

MOST_SIDE = 128
"""Larger targets are cut to their middle."""

LINES_WEIGHT = 4.0
"""Weight of the lines' votes against those of the blocks."""


class Finding(NamedTuple):
    """What made a target.

    Attributes
    ----------
    kernel : str
        Its name.
    confidence : float
        How sure it is against the standard one, or the standard one against the best other; 0.5 is
        a toss-up, 1 is certain.
    rivals : tuple of str
        Kernels, different enough to matter, that the pair cannot tell from it, the likeliest first.
    """

    kernel: str
    confidence: float
    rivals: tuple[str, ...] = ()


def find_kernel(
    y: npt.ArrayLike,
    valid: npt.ArrayLike,
    guide: npt.NDArray[Any] | None,
    ratio: tuple[float, float],
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
    image, seen = np.asarray(y, float), np.asarray(valid) > 0
    if min(image.shape) < LEAST_SIDE or min(ratio) < LEAST_RATIO or not np.ptp(image):
        return Finding(STANDARD, 0.5)
    scene = _Scene.cut(image, seen, guide, ratio, noise)
    possible = _narrow_enough(_different(_tried(ratio), "", ratio), scene)
    phase, offset, other_phases = scene.placed(possible)
    unexplained = scene.unexplained(phase, offset)

    def vote(kernel: str) -> Array:
        return scene.votes(kernel + phase, offset, unexplained)

    votes = {name: vote(name) for name in _different(possible, phase, ratio)}
    _refine(votes, vote)
    best = max(votes, key=lambda name: votes[name].sum())
    lead = {name: standard_errors(votes[best], votes[name]) for name in votes}
    waves = {name: scene.waves(name + phase) for name in (STANDARD, *votes)}
    kernel, rivals = _chosen(lead, TIE + MOST_TIE * unexplained, waves)
    confidence = _confidence(votes, kernel)
    others = [*(name + phase for name in rivals), *(kernel + other for other in other_phases)]
    return Finding(kernel + phase, confidence, tuple(others))


def _tried(ratio: tuple[float, float]) -> list[str]:
    """Names of the kernels that are tried, Gaussians last."""
    size = math.sqrt(ratio[0] * ratio[1])
    return [*NAMED, *(f"gaussian:{size * sigma:.3g}" for sigma in GAUSSIANS)]


def _different(names: list[str], phase: str, ratio: tuple[float, float]) -> list[str]:
    """Leave out names of the same weights as one before."""
    kept: dict[str, list[Array]] = {}
    for name in names:
        own = [weights(round(8 * r), 8, name + phase) for r in ratio]
        if not any(all(map(np.allclose, own, other)) for other in kept.values()):
            kept[name] = own
    return list(kept)


def _narrow_enough(names: list[str], scene: _Scene) -> list[str]:
    """Leave out what is wider than the kernel that the edges like best, if they dislike it."""
    votes = {name: scene.edges.votes(name) for name in names}
    passed = {name: _passed(scene.waves(name)) for name in names}
    best = max(votes, key=lambda name: votes[name].sum())
    return [
        name
        for name in names
        if passed[name] >= passed[best] or standard_errors(votes[best], votes[name]) < TOO_WIDE
    ]


def _chosen(lead: dict[str, float], tie: float, waves: dict[str, Waves]) -> tuple[str, list[str]]:
    """Choose a kernel by the evidence of the best one over each, and tell what else it may be."""
    best = min(lead, key=lambda name: lead[name])
    limits = dict.fromkeys(lead, tie)
    if _passed(waves[best]) < _passed(waves[STANDARD]) - ALIKE / 2:
        limits[STANDARD] = LEAST_WIDE * tie
    ranked = sorted(lead, key=lambda name: lead[name])
    likely = [name for name in ranked if lead[name] < limits[name]]
    exact = [name for name in likely if name in NAMED and lead[name] < EXACT * tie]
    averaging = [name for name in exact if name != UNEVEN]
    kernel = STANDARD if STANDARD in likely else [*averaging, *exact, best][0]
    others = [name for name in likely if np.abs(waves[name] - waves[kernel]).max() > ALIKE]
    gaussians = [name for name in (kernel, *others) if name not in NAMED]
    return kernel, [name for name in others if name in NAMED or name == gaussians[0]]


def _passed(waves: Waves) -> float:
    """Amplitude of the finest waves that a kernel lets pass: a measure of its width."""
    return float(np.abs(waves[:, -1]).prod() ** 0.5)


def _confidence(votes: Votes, kernel: str) -> float:
    """Probability that normal noise of two standard errors does not turn the evidence round."""
    others = [name for name in votes if name != kernel]
    rival = (
        STANDARD if STANDARD in others else max(others, key=lambda n: votes[n].sum(), default="")
    )
    if not rival:
        return 1.0
    return 0.5 * math.erfc(-standard_errors(votes[kernel], votes[rival]) / (2 * math.sqrt(2)))


def _refine(votes: Votes, vote: Callable[[str], Array]) -> None:
    """Add the Gaussian at the top of the parabola through the best one and those beside it."""
    gaussians = [name for name in votes if name not in NAMED]
    if not gaussians:
        return
    best = max(gaussians, key=lambda name: votes[name].sum())
    middle, step = math.log(float(best.partition(":")[2])), math.log(GAUSSIANS[1] / GAUSSIANS[0])
    value = [
        votes[best].sum()
        if not side
        else vote(f"gaussian:{math.exp(middle + side * step):.3g}").sum()
        for side in (-0.5, 0, 0.5)
    ]
    curvature, slope, _ = np.polyfit((-0.5, 0, 0.5), value, 2)
    if curvature < 0:
        top = np.clip(-slope / (2 * curvature), -1, 1)
        name = f"gaussian:{math.exp(middle + top * step):.3g}"
        votes[name] = vote(name)


class _Scene(NamedTuple):
    """What the evidence is taken from, cut to a bounded size."""

    spectra: Spectra
    edges: Edges
    blocks: Blocks | None
    ratio: tuple[float, float]
    whole: bool

    @classmethod
    def cut(
        cls,
        y: Array,
        valid: Mask,
        guide: npt.NDArray[Any] | None,
        ratio: tuple[float, float],
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
            blocks = Blocks.of(piece, seen, part, (rest[0], rest[1]), noise)
        target = piece, seen, ratio, noise
        return cls(Spectra(*target), Edges(*target), blocks, ratio, piece.shape == y.shape)

    def waves(self, kernel: str) -> Waves:
        """Tell what a kernel makes of `WAVES` along both axes."""
        return np.stack([transfer(kernel, r, WAVES) for r in self.ratio])

    def votes(self, kernel: str, offset: Offset, unexplained: float) -> Array:
        """Log-likelihoods of all lines and blocks under a kernel."""
        lines = LINES_WEIGHT * unexplained * self.spectra.votes(kernel)
        if self.blocks is None:
            return lines
        return np.concatenate([lines, (1 - unexplained) * self.blocks.votes(kernel, offset)])

    def unexplained(self, phase: str, offset: Offset) -> float:
        """Share of the target's fine variance that the guide leaves; 1 without a guide."""
        if self.blocks is None:
            return 1.0
        return min(1.0, self.blocks.unexplained(STANDARD + phase, offset))

    def placed(self, kernels: list[str]) -> Placement:
        """Find how the grids of target and guide lie to each other."""
        if self.blocks is None:
            return Placement("", (0.0, 0.0))
        phases = PHASES if self.whole else (TOP_LEFT,)
        return self.blocks.placed(kernels, phases, self.ratio)
