"""All evidence on the kernel that made a target: from the target alone, and from a guide."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cmsr.operators.kernels import PHASES
from cmsr.sensor.kernel_choice import STANDARD
from cmsr.sensor.kernel_from_guide import TOP_LEFT, Blocks, GridPhase, Offset
from cmsr.sensor.kernel_from_target import Edges, Spectra, transfer

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Transfer = npt.NDArray[np.complex128]
"""Transfer function of a kernel at `FREQUENCIES` along both axes, (2, frequencies)."""

FREQUENCIES = np.linspace(0.05, 0.5, 10)
"""Those that the target can show, in cycles per pixel."""

LINES_WEIGHT = 4.0
"""Weight of the lines' log-likelihoods against those of the blocks; fitted on the pairs of
`benchmarks/known_kernels.py` (EXPERIMENTS.md, "Kernel and noise")."""

MOST_SIDE = 128
"""Larger targets are cut to their middle."""


class Evidence(NamedTuple):
    """All evidence of a pair, cut to a bounded size; ``piece`` is the target (h, w), cut so."""

    piece: Array
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
    ) -> Evidence:
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
        return cls(piece, Spectra(*target), Edges(*target), blocks, ratio, piece.shape == y.shape)

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
