"""Different objects, different warps: every segment of the guide moves by its own affine map.

Coordinates and parameters follow the convention of `cmsr.warps.warp`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.warps.warp import Affine, Size, check_parameters

CLAIM = 0.5
"""Share of a segment in the neighbourhood of a place from which on it claims that place."""

DOUBT = 0.15
"""Share from which on another segment's claim, or that of none, cannot be excluded."""

OUTLINE = 9
"""Width of the neighbourhood, in pixels of the labels: outlines are uncertain by so much."""


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
    it; where two do, one of them lies behind: `seen` tells. Such a place moves with the nearest
    claimed one, or with the first of those that claim it.
    """

    def __init__(self, size: Size, labels: Tensor) -> None:
        self._affine = Affine(size)
        self._labels = labels
        self.count = int(labels.max()) + 1
        self.dim = Affine.dim * self.count

    def __call__(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Move a grid (N, H, W, 2) by the maps of parameters ``theta``."""
        moved, shares = self._shares(theta, grid)
        chosen = _spread_to_unclaimed(shares > CLAIM)
        picked = torch.gather(moved, 0, chosen[None, ..., None].expand(1, *grid.shape))
        return picked[0]

    def seen(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Mask (N, H, W) of the places that one segment claims, and surely no other."""
        shares = self._shares(theta, grid)[1]
        return (shares >= 1 - DOUBT).any(0) & ((shares > DOUBT).sum(0) == 1)

    def inverse(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Raise ValueError: what is torn apart has no inverse."""
        raise ValueError("a warp of several segments has no inverse")

    def _shares(self, theta: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Where each segment's map leads (K, N, H, W, 2), and its share (K, N, H, W) there."""
        check_parameters(theta, self.dim)
        moved, shares = [], []
        for label, own in enumerate(theta.reshape(self.count, Affine.dim)):
            there = self._affine(own, grid)
            sharp = F.pad((self._labels == label).to(grid)[None], (OUTLINE // 2,) * 4, "replicate")
            soft = F.avg_pool2d(sharp, OUTLINE, 1)[None].expand(len(grid), -1, -1, -1)
            share = F.grid_sample(soft, there, padding_mode="border", align_corners=False)
            moved.append(there)
            shares.append(share[:, 0])
        return torch.stack(moved), torch.stack(shares)


def _spread_to_unclaimed(claims: Tensor) -> Tensor:
    """Index (N, H, W) of the first claim; of the nearest claimed place's where there is none."""
    known = claims.any(0)
    chosen = claims.to(torch.uint8).argmax(0)
    if not known.any():
        return chosen
    while not known.all():
        layers = torch.stack((chosen, torch.ones_like(chosen))).float() * known
        wide = F.max_pool2d(layers, 3, 1, 1)
        chosen = torch.where(known, chosen, wide[0].long())
        known = known | (wide[1] > 0)
    return chosen
