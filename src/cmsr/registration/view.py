"""A target and a guide at a working resolution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.similarity import similarity
from cmsr.registration.transforms import Size, identity_grid


@dataclass(frozen=True)
class View:
    """A pair at a bounded resolution, whatever the sizes of its images.

    Attributes
    ----------
    target : Tensor (h, w), or a stack (N, h, w) of several
        Of mean 0 and deviation 1.
    valid : Tensor (h, w), or (N, h, w)
        1 where the target is known, else 0.
    guide : Tensor (3, h * finer, w * finer)
        Standardised likewise, channel by channel.
    finer : int
        Pixels of the guide per one of the target.
    """

    target: Tensor
    valid: Tensor
    guide: Tensor
    finer: int

    @classmethod
    def of(
        cls, target: Tensor, guide: Tensor, valid: Tensor | None, *, longer: int, finer: int
    ) -> "View":
        """Reduce a target (H, W) to at most ``longer`` pixels, and a guide (3, H, W) with it."""
        size = shape_of(target)
        shrink = min(1.0, longer / max(size))
        height, width = (max(8, round(side * shrink)) for side in size)
        known = torch.ones(size).to(guide) if valid is None else valid.to(guide)
        small, seen = _reduced(target.to(guide).float()[None], known, (height, width))
        everywhere = torch.ones(shape_of(guide)).to(guide)
        colours, _ = _reduced(guide.float(), everywhere, (height * finer, width * finer))
        return cls(small[0], seen, colours, finer)

    @cached_property
    def grid(self) -> Tensor:
        """The identity grid (1, h * finer, w * finer, 2), which warps are applied to."""
        return identity_grid(shape_of(self.guide), device=self.guide.device)

    def similarity(self, grids: Tensor) -> Tensor:
        """Return the similarity (N,) to the guide read at each of N grids, in nats.

        A stack of N targets takes one grid each.
        """
        moved, known = self.read(grids)
        target = self.target.expand(len(grids), -1, -1)
        return similarity(target, moved, self.valid * known)

    def read(self, grids: Tensor) -> tuple[Tensor, Tensor]:
        """Return the guide read at each of N grids, (N, 3, h, w), and where it is known there."""
        layers = F.pad(self.guide, (0, 0, 0, 0, 0, 1), value=1.0).expand(len(grids), -1, -1, -1)
        moved = F.grid_sample(layers, grids, padding_mode="zeros", align_corners=False)
        moved = F.avg_pool2d(moved, self.finer)
        return moved[:, :-1], moved[:, -1].detach() > 0.99

    def mirrored(self, axes: tuple[int, ...]) -> "View":
        """Return the pair with the target mirrored along some axes: another scene, but as alike."""
        return replace(self, target=self.target.flip(axes), valid=self.valid.flip(axes))

    def stacked(self, others: Sequence["View"]) -> "View":
        """Return a view of several targets through this one's guide, in that order."""
        return replace(
            self,
            target=torch.stack([view.target for view in others]),
            valid=torch.stack([view.valid for view in others]),
        )

    def rows(self, numbers: Tensor) -> "View":
        """Return a view of some of a stack's targets; of a single target it is the same."""
        if self.target.ndim == 2:
            return self
        return replace(self, target=self.target[numbers], valid=self.valid[numbers])


def colours(guide: Tensor) -> Tensor:
    """Return three bands of a guide (G, H, W): the first three, or fewer repeated."""
    return guide[[min(band, len(guide) - 1) for band in range(3)]]


def _reduced(image: Tensor, known: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Resize an image (C, H, W) and its mask; mean 0 and deviation 1 where known."""
    image = torch.where(known > 0, image, 0.0)
    count = known.sum().clamp_min(1)
    centred = (image - image.sum((1, 2), keepdim=True) / count) * known
    spread = (centred.square().sum((1, 2), keepdim=True) / count).sqrt().clamp_min(1e-12)
    resized = F.interpolate((centred / spread)[None], size, mode="bicubic", antialias=True)[0]
    known = F.interpolate(known[None, None], size, mode="bilinear", antialias=True)[0, 0]
    return resized, (known > 0.99).to(image)
