"""Layers of a guide, found by their displacements, bent to affine maps where that explains more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.similarity import climb, explained
from cmsr.registration.transforms import Affine, half_sides, identity_grid, inside, sample
from cmsr.registration.view import View

WORTH_BENDING = 0.02, 8.0
"""Nats that more than a displacement must explain, per pixel and besides: where nothing bends they
reach .005 of 9000 pixels and .02 of 400 by chance, where something does .1 of 400 and more."""

LEAST_SIDE = 7
"""Least side of what is looked at with a layer: that of the windows of `explained`."""

MARGIN = 4
"""Pixels of the target around a layer that are looked at with it."""


def bent(view: View, owner: Tensor, start: Tensor, simple: Tensor) -> Tensor:
    """Refine the map of a layer.

    Parameters
    ----------
    view : View
    owner : Tensor (h, w), bool
        Where in the target the layer is.
    start, simple : Tensor (6,)
        Parameters of `Affine`: from where to search, and what else is taken.

    Returns
    -------
    Tensor (6,)
        The best map near ``start``, or ``simple`` where it explains almost as much.
    """
    part = _Part.of(view, owner) if owner.any() else None
    if part is None or min(part.weight.shape) < LEAST_SIDE:
        return simple
    found, value = part.climb(start)
    each, besides = WORTH_BENDING
    least = float(part.explained(simple)) + each + besides / float(owner.sum())
    return found if value > least else simple


def fitted(labels: Tensor, group: list[int], maps: Tensor) -> Tensor:
    """Fit one affine map (6,) to those of several layers (K, 6), each pixel of theirs alike.

    ``labels`` (h, w) are the layers of the guide.
    """
    size = shape_of(labels)
    affine, extent = Affine(size), half_sides(size)
    grid = identity_grid(size, dtype=torch.float64, device=labels.device)[0]
    ends = torch.cat([grid[labels == label] for label in group])
    starts = [affine.inverse(maps[label].double(), grid[labels == label]) for label in group]
    extended = F.pad(torch.cat(starts) * extent.to(ends), (0, 1), value=1.0)
    matrix = torch.linalg.lstsq(extended, ends * extent.to(ends)).solution.T
    return affine.parameters(matrix).to(maps)


@dataclass(frozen=True)
class _Part:
    """One layer, cut out of a view.

    Attributes
    ----------
    target : Tensor (1, h, w)
    weight : Tensor (h, w)
        1 where the layer is and the target is known.
    layers : Tensor (1, 4, H, W)
        The whole guide, and 1 where it is known.
    grid : Tensor (1, h * finer, w * finer, 2)
        Of the cut.
    finer : int
        Pixels of the guide per one of the target.
    """

    target: Tensor
    weight: Tensor
    layers: Tensor
    grid: Tensor
    finer: int

    @classmethod
    def of(cls, view: View, own: Tensor) -> Self:
        """Cut a layer, given as a mask (h, w), with a margin."""
        rows, cols = (_span(own.any(axis)) for axis in (1, 0))
        fine = [slice(part.start * view.finer, part.stop * view.finer) for part in (rows, cols)]
        weight = (own & (view.target_valid > 0))[rows, cols].float()
        layers = torch.cat((view.guide, view.guide_valid[None]))[None]
        grid = view.grid[:, fine[0], fine[1]]
        return cls(view.target[:, rows, cols], weight, layers, grid, view.finer)

    def explained(self, theta: Tensor) -> Tensor:
        """Return what the guide explains of the layer after an affine map, in nats."""
        moved = self._affine(theta, self.grid)
        seen = F.avg_pool2d(sample(self.layers, moved)[0] * inside(moved), self.finer)
        known = self.weight * (seen[-1].detach() > 0.99)
        return explained(self.target, seen[:-1], known)

    def climb(self, start: Tensor) -> tuple[Tensor, float]:
        """Return the map (6,) near ``start`` with which the guide explains the most, and that.

        It is sought in coordinates about the layer's centre, where turns do not displace it.
        """
        centre = (self.grid[0] * self._affine.extent.to(self.grid)).mean((0, 1))
        local = torch.cat((start[:2] + _linear(start) @ centre, start[2:]))
        best, value = climb(lambda at: self.explained(_about(centre, at[0]))[None], local[None])
        return _about(centre, best[0]), float(value)

    @property
    def _affine(self) -> Affine:
        return Affine(shape_of(self.layers))


def _about(centre: Tensor, local: Tensor) -> Tensor:
    """Parameters of `Affine` of a map whose shift is that of ``centre`` (2,)."""
    return torch.cat((local[:2] - _linear(local) @ centre, local[2:]))


def _linear(theta: Tensor) -> Tensor:
    """Linear part (2, 2) of the velocity field of `Affine`."""
    turn, scale, strain, shear = theta[2:]
    rows = torch.stack((scale + strain, shear - turn)), torch.stack((turn + shear, scale - strain))
    return torch.stack(rows)


def _span(own: Tensor) -> slice:
    """From the first to the last place of a mask (n,), with a margin."""
    (found,) = own.nonzero(as_tuple=True)
    return slice(max(0, int(found[0]) - MARGIN), min(len(own), int(found[-1]) + 1 + MARGIN))
