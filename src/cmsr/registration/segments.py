"""Layered warp: every segment of the guide moves by its own affine map.

Coordinates and parameters follow the convention of `cmsr.registration.transforms`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.local_regression import inner_box_mean
from cmsr.operators.resampling import shape_of
from cmsr.registration.transforms import Affine, Size, check_parameters, identity_grid

CLAIM = 0.5
"""Share of a segment in the neighbourhood of a place from which on it claims that place."""

DOUBT = 0.15
"""Share from which on another segment's claim, or that of none, cannot be excluded; by eye."""

OUTLINE = 9
"""Width of the neighbourhood, in pixels of the labels, by which outlines are uncertain: chosen on
six layered scenes (EXPERIMENTS.md, "Segments", as for the next)."""

LITTLE = 2.0
"""Difference of displacement, in pixels of the labels, up to which maps blend into each other where
their segments meet; beyond, the warp is discontinuous."""


class Segments:
    """Affine maps, one for each segment of the guide.

    Parameters
    ----------
    size : (height, width) of the guide.
    labels : Tensor (h, w), integer
        Segments 0 to K - 1 of the guide, at any resolution.

    Notes
    -----
    The parameters are those of `Affine`, segment by segment. A place of the target is claimed by
    each segment whose map takes it into that segment. Where none does, the guide does not show
    it; where two do that move apart, one of them is occluded: `seen` excludes both cases. Such a
    place moves with the nearest claimed one, or with the first segment of those that claim it.
    Where segments meet that move almost alike, their maps blend (`weights`).
    """

    def __init__(self, size: Size, labels: Tensor) -> None:
        self._size, self._affine = size, Affine(size)
        self.labels = labels
        self.count = int(labels.max()) + 1
        self.dim = Affine.dim * self.count

    def __call__(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Move a grid (N, H, W, 2) by the maps of parameters ``theta``."""
        moved = torch.zeros_like(grid)
        for weight, own in zip(self.weights(theta, grid), self._maps(theta), strict=True):
            moved = moved + weight[..., None] * self._affine(own, grid)
        return moved

    def weights(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Return the weight of each segment at each place of a grid (N, H, W, 2), (K, N, H, W).

        A place's weights sum to 1. They follow the segments' shares around it, the more sharply the
        farther a map leads from that of its own segment; from `LITTLE` on they are 0 or 1.
        """
        owner = self.owners(theta, grid)
        own = self._own(theta, grid, owner)
        parts = list(self._shares(theta, grid))
        shares = torch.stack([share for _, share, _ in parts])
        weights = (shares / shares.gather(0, owner[None]).clamp_min(DOUBT)).clamp_max(1)
        for label, _, there in parts:
            alike = 1 - self._apart(there, own) / LITTLE
            softness = weights[label] ** (1 / alike.clamp_min(1e-3)) * (alike > 0)
            weights[label] = torch.where(owner == label, 1.0, softness)
        weights /= weights.sum(0)
        return weights

    def owners(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Return the labels (N, H, W) of the segments that places of a grid move with."""
        owner = torch.full(grid.shape[:3], -1, device=grid.device)
        for label, share, _ in self._shares(theta, grid):
            owner = torch.where((owner < 0) & (share > CLAIM), label, owner)
        return _spread_to_unclaimed(owner)

    def seen(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Mask (N, H, W) the places that one segment, or some that move alike, surely claim."""
        owner = self.owners(theta, grid)
        own = self._own(theta, grid, owner)
        claimed = torch.zeros_like(grid[..., 0])
        contested = torch.zeros(grid.shape[:3], dtype=torch.bool, device=grid.device)
        for _, share, there in self._shares(theta, grid):
            alike = self._apart(there, own) < LITTLE
            claimed = claimed + share * alike
            contested |= (share > DOUBT) & ~alike
        return (claimed >= 1 - DOUBT) & ~contested

    def merged(self, theta: Tensor) -> tuple[Segments, Tensor]:
        """Return the same warp with segments of equal maps as one, those that move most first."""
        maps, index = torch.unique(self._maps(theta), dim=0, return_inverse=True)
        return Segments(self._size, index[self.labels]).ordered(maps.flatten())

    def ordered(self, theta: Tensor) -> tuple[Segments, Tensor]:
        """Return the same warp with the segments that move most first."""
        maps = self._maps(theta)
        order = torch.stack([self._move(*part) for part in enumerate(maps)]).argsort(
            descending=True
        )
        return Segments(self._size, order.argsort()[self.labels]), maps[order].flatten()

    def _move(self, label: int, own: Tensor) -> Tensor:
        """Squared displacement of a segment's centre, in half longer sides."""
        size = shape_of(self.labels)
        grid = identity_grid(size, device=own.device)[0]
        centre = grid[self.labels == label].mean(0)
        moved = (centre - self._affine(-own, centre)) * self._affine.extent.to(own)
        return moved.square().sum()

    def _maps(self, theta: Tensor) -> Tensor:
        check_parameters(theta, self.dim)
        return theta.reshape(self.count, Affine.dim)

    def _own(self, theta: Tensor, grid: Tensor, owner: Tensor) -> Tensor:
        """Map places by the segments that own them (N, H, W): (N, H, W, 2)."""
        moved = grid
        for label, own in enumerate(self._maps(theta)):
            moved = torch.where((owner == label)[..., None], self._affine(own, grid), moved)
        return moved

    def _apart(self, one: Tensor, other: Tensor) -> Tensor:
        """Distance (N, H, W) of grids (N, H, W, 2), in pixels of the labels."""
        rows, cols = shape_of(self.labels)
        apart = (one - other) * one.new_tensor((cols / 2, rows / 2))
        return apart.square().sum(-1).sqrt()

    def _shares(self, theta: Tensor, grid: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield each segment, its share (N, H, W) around the places it maps to, and these."""
        for label, own in enumerate(self._maps(theta)):
            sharp = (self.labels == label).to(grid)[None, None]
            sharp = F.pad(sharp, (OUTLINE // 2,) * 4, mode="replicate")
            soft = inner_box_mean(sharp, OUTLINE // 2).expand(len(grid), -1, -1, -1)
            there = self._affine(own, grid)
            share = F.grid_sample(soft, there, padding_mode="border", align_corners=False)
            yield label, share[:, 0], there


def _spread_to_unclaimed(owner: Tensor) -> Tensor:
    """Give each place of (N, H, W) that is -1 the segment of the nearest that is not."""
    from scipy.ndimage import distance_transform_edt

    filled = []
    for labels in owner.cpu():
        if (labels < 0).all():
            filled.append(torch.zeros_like(labels))
            continue
        nearest = distance_transform_edt(labels < 0, return_distances=False, return_indices=True)
        rows, cols = torch.from_numpy(nearest).long()
        filled.append(labels[rows, cols])
    return torch.stack(filled).to(owner.device)
