"""Alignment: where in the guide each pixel of the target lies, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.cpab import Cpab
from cmsr.registration.deformation import CELLS
from cmsr.registration.free_form import FreeForm
from cmsr.registration.segments import Segments
from cmsr.registration.transforms import (
    Affine,
    Size,
    Stages,
    ThinPlate,
    Warp,
    compose,
    displacement,
    identity_grid,
    inside,
    sample,
)

MOST_LOOKED_AT = 1024
"""Places along the longer side at which displacements are measured, at most."""


@dataclass(frozen=True)
class Alignment:
    """Where the guide lies.

    Attributes
    ----------
    size : (height, width)
        Of the guide; any other image of the same frame may be read at ``grid`` as well.
    stages : Stages
        Warps for `cmsr.registration.transforms.compose`; none leaves the guide where it is.
    confidence : float or None
        Chance that the guide shows the target's scene; None where nobody asked.
    warnings : tuple of str
        What was refused, and why.
    refused : bool
        Whether the guide seems to show another scene and must not be used.
    """

    size: Size
    stages: Stages = ()
    confidence: float | None = None
    warnings: tuple[str, ...] = ()
    refused: bool = False

    @property
    def layered(self) -> bool:
        """Whether segments of the guide move each by itself."""
        return any(isinstance(warp, Segments) for warp, _ in self.stages)

    def grid(self, size: Size | None = None, device: torch.device | None = None) -> Tensor:
        """Return where each pixel reads the guide, (1, H, W, 2), at its own or another size."""
        with torch.no_grad():
            return compose(self.stages, identity_grid(size or self.size, device=device))

    def apply(self, guide: Tensor) -> Tensor:
        """Move a guide (G, H, W), interpolating once."""
        if not self.stages:
            return guide
        return sample(guide[None], self.grid(shape_of(guide), guide.device), "bicubic")[0]

    def seen(self, size: Size | None = None, device: torch.device | None = None) -> Tensor:
        """Return 1 where the guide reaches and shows what the target sees, else 0, (H, W)."""
        return self.placed(identity_grid(size or self.size, device=device))[1][0].float()

    def placed(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Return where places of a grid (1, H, W, 2) read the guide, and whether it shows them."""
        shown = torch.ones(grid.shape[:3], dtype=torch.bool, device=grid.device)
        for warp, theta in reversed(self.stages):
            if isinstance(warp, Segments):
                shown &= warp.seen(theta, grid)
            grid = warp(theta, grid)
        return grid, shown & inside(grid)

    def owners(self, size: Size | None = None) -> Tensor | None:
        """Return which segment each place moves with, (H, W); None where all is one."""
        grid = identity_grid(size or self.size)
        for warp, theta in reversed(self.stages):
            if isinstance(warp, Segments):
                return warp.owners(theta.cpu(), grid)[0]
            grid = warp(theta.cpu(), grid)
        return None

    def carried(self, labels: Tensor) -> Tensor:
        """Move a label image (h, w) of the guide as the guide is moved, nearest label each."""
        grid = self.grid(shape_of(labels), labels.device)
        return sample(labels[None, None].double(), grid.double(), "nearest")[0, 0].long()

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        return {
            "size": list(self.size),
            "stages": [
                {"warp": _name(warp), "parameters": theta.tolist(), **_shape_of_warp(warp)}
                for warp, theta in self.stages
            ],
            "confidence": self.confidence,
            "warnings": list(self.warnings),
            "refused": self.refused,
        }

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is not an alignment.
        """
        height, width = values["size"]
        size = int(height), int(width)
        return cls(
            size,
            [
                (_warp_of(stage, size), torch.tensor(stage["parameters"]))
                for stage in values["stages"]
            ],
            values["confidence"],
            tuple(values["warnings"]),
            values["refused"],
        )

    def facts(self) -> dict[str, Any]:
        """Return what JSON can hold of it; displacements in pixels of the guide."""
        share = min(1.0, MOST_LOOKED_AT / max(self.size))
        size = round(self.size[0] * share), round(self.size[1] * share)
        moved = displacement(self.grid(size), self.size).norm(dim=-1)
        return {
            "stages": [
                {"warp": _name(warp), "parameters": theta.tolist()} for warp, theta in self.stages
            ],
            "confidence": self.confidence,
            "refused": self.refused,
            "median_displacement": moved.median().item(),
            "largest_displacement": moved.max().item(),
            "unseen": 1 - self.seen(size).mean().item(),
        }


def _name(warp: Warp) -> str:
    return type(warp).__name__.lower()


def _shape_of_warp(warp: Warp) -> dict[str, Any]:
    """Return what it takes to build a warp again, beside its image's size."""
    if isinstance(warp, FreeForm):
        return {"nodes": list(warp.nodes)}
    if isinstance(warp, Segments):
        return {"labels": warp.labels.tolist()}
    return {}


def _warp_of(stage: Mapping[str, Any], size: Size) -> Warp:
    """Build the warp of a stage, as `Alignment.to_json` describes it."""
    match stage["warp"]:
        case "affine":
            return Affine(size)
        case "cpab":
            return Cpab(size, CELLS)
        case "thinplate":
            return ThinPlate(size)
        case "freeform":
            columns, rows = stage["nodes"]
            return FreeForm(size, (columns, rows))
        case "segments":
            return Segments(size, torch.tensor(stage["labels"]))
        case other:
            raise ValueError(f"there is no warp {other!r}")
