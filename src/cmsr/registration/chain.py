"""Chain of warps that is trained with the network: affine, CPAB, thin-plate spline."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cmsr.operators.resampling import shape_of
from cmsr.registration.alignment import Alignment
from cmsr.registration.coarse_to_fine import trouble
from cmsr.registration.cpab import Cpab
from cmsr.registration.transforms import (
    Affine,
    Size,
    Stages,
    ThinPlate,
    Warp,
    compose_between,
    sample,
)

STAGES = {"affine": 1, "cpab": 2, "auto": 3}
"""Number of warps that each choice of ``align`` trains."""

PLATE_RATE = 0.2
"""Learning rate of the thin-plate spline relative to all others; by eye."""


class WarpChain(nn.Module):
    """Three warps of the whole guide, each the identity before training (CMSR, CVPR 2021, Fig. 3).

    Parameters
    ----------
    size : (height, width)
        Of the guide. Other resolutions of the same frame are warped alike.
    align : {"auto", "cpab", "affine"}
        All three warps, the first two, or the first alone.
    """

    def __init__(self, size: Size, align: str = "auto") -> None:
        super().__init__()
        self._size = size
        warps: list[Warp] = [Affine(size), Cpab(size), ThinPlate(size)]
        self._warps = warps[: STAGES[align]]
        self.theta = nn.ParameterList(torch.zeros(warp.dim) for warp in self._warps)

    def forward(self, guide: Tensor) -> Tensor:
        """Warp a whole guide (1, G, H, W), interpolating once."""
        return sample(guide, compose_between(self._stages(), shape_of(guide)))

    def groups(self) -> list[dict[str, Any]]:
        """Return the parameters as an optimiser takes them, and their parts of the rate."""
        scales = (1.0, 1.0, PLATE_RATE)
        return [
            {"params": [theta], "scale": scale}
            for theta, scale in zip(self.theta, scales, strict=False)
        ]

    def alignment(self, confidence: float | None) -> Alignment:
        """Return the learned alignment, refused where it is impossible."""
        stages = [(warp, theta.detach()) for warp, theta in self._stages()]
        learned = Alignment(self._size, stages, confidence)
        if problem := trouble(learned.grid(device=self.theta[0].device), self._size):
            warning = f"the learned alignment {problem}: the guide is not used"
            return Alignment(self._size, (), confidence, (warning,), refused=True)
        return learned

    def _stages(self) -> Stages:
        return list(zip(self._warps, self.theta, strict=True))
