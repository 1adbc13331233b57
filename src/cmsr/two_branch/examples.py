"""Internal training examples: a label and the guide on one grid, and random patches of both.

A patch takes label and guide from the same place by one sampling grid, so the two can never come
from different places. The network's input is made from the label: reduced by the ratio, then
enlarged back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import Shape, resampler, shape_of
from cmsr.pair import Pair


@dataclass(frozen=True)
class Place:
    """Where a patch lies in an image, and how it is turned.

    Attributes
    ----------
    size : (int, int)
        Height and width of the patch.
    corner : (int, int)
        Its first row and column.
    quarter_turns, mirror : int, bool
        Turns by right angles, then a mirror, without interpolation.
    grid : Tensor, shape (1, h, w, 2), or None
        Instead of all these: where its pixels are read, in grid_sample's convention.
    """

    size: Shape
    corner: tuple[int, int] = (0, 0)
    quarter_turns: int = 0
    mirror: bool = False
    grid: Tensor | None = None

    def of(self, x: Tensor, mode: str = "bicubic") -> Tensor:
        """Cut the patch out of an image (1, C, H, W)."""
        if self.grid is not None:
            grid = self.grid.to(x.device)
            return F.grid_sample(x, grid, mode=mode, padding_mode="reflection", align_corners=False)
        (top, left), (height, width) = self.corner, self.size
        return turn(
            x[..., top : top + height, left : left + width], self.quarter_turns, self.mirror
        )


@dataclass(frozen=True)
class Example:
    """A label with the guide on the same grid.

    Attributes
    ----------
    label : Tensor, shape (1, C, H, W)
        Image that the network reconstructs.
    valid : Tensor, shape (1, 1, H, W) or (1, C, H, W)
        1 where the label was measured.
    guide : Tensor, shape (1, G, H, W), or None
        The guide at the label's resolution.
    """

    label: Tensor
    valid: Tensor
    guide: Tensor | None

    @classmethod
    def downsampling(cls, pair: Pair) -> Self:
        """Label at its original scale, guide reduced (the supplement's Table 1, first row)."""
        return cls.at_scale(pair, pair.target, pair.valid)

    @classmethod
    def upsampling(cls, pair: Pair) -> Self:
        """Guide at its original scale, label enlarged beforehand (Table 1, second row)."""
        enlarge = resampler(shape_of(pair.target), pair.shape, "bicubic", str(pair.target.device))
        solid = resampler(shape_of(pair.target), pair.shape, "nearest", str(pair.target.device))
        return cls(enlarge(pair.target), solid(pair.valid), pair.guide)

    @classmethod
    def at_scale(cls, pair: Pair, label: Tensor, valid: Tensor) -> Self:
        """Bring the guide to the scale of a label that covers the whole pair."""
        return cls(label, valid, None).with_guide(pair.guide)

    def with_guide(self, guide: Tensor | None) -> Self:
        """Return the same label with a guide (1, G, H, W) of the whole pair, brought to scale."""
        if guide is not None and shape_of(guide) != shape_of(self.label):
            device = str(guide.device)
            guide = resampler(shape_of(guide), shape_of(self.label), "bicubic", device)(guide)
        return replace(self, guide=guide)

    def patch(self, place: Place) -> Self:
        """Cut a patch out of everything at one place."""
        valid = (place.of(self.valid, "bilinear") > 0.999).float()
        guide = None if self.guide is None else place.of(self.guide)
        return type(self)(place.of(self.label), valid, guide)


def turn(x: Tensor, quarter_turns: int, mirror: bool) -> Tensor:
    """Turn by right angles, then mirror left to right."""
    x = x.rot90(quarter_turns, (-2, -1))
    return x.flip(-1) if mirror else x


def unturn(x: Tensor, quarter_turns: int, mirror: bool) -> Tensor:
    """Undo `turn`."""
    return (x.flip(-1) if mirror else x).rot90(-quarter_turns, (-2, -1))


def draw_place(shape: Shape, crop: int, rng: np.random.Generator) -> Place:
    """Draw the place of a random patch of at most ``crop`` × ``crop`` pixels.

    With probability 0.05 it is untouched, with 0.45 turned by right angles and mirrored, with 0.50
    seen through a random affine map (Shocher, Cohen, Irani, "Zero-Shot Super-Resolution using Deep
    Internal Learning", CVPR 2018).
    """
    size = min(crop, shape[0]), min(crop, shape[1])
    mode = rng.random()
    if mode < 0.5:
        return Place(size, grid=_affine_grid(shape, size, rng))
    top, left = (int(rng.integers(n - c + 1)) for n, c in zip(shape, size, strict=True))
    if mode >= 0.95:
        return Place(size, (top, left))
    return Place(size, (top, left), int(rng.integers(4)), bool(rng.integers(2)))


def _affine_grid(shape: Shape, size: Shape, rng: np.random.Generator) -> Tensor:
    """Make the sampling grid of a patch under a random scale, aspect, shear and rotation.

    Scale is uniform in [0.5, 1], the difference of the two axes' scales has σ = 0.25, shear has
    σ = 0.1, the angle is any. A patch shows 1 / scale of the image; its centre is chosen so that
    it leaves the image as little as possible, and the image is mirrored beyond its border.
    """
    scale, difference = rng.uniform(0.5, 1.0), rng.normal(0, 0.25)
    shear, angle = rng.normal(0, 0.1, 2), rng.uniform(-math.pi, math.pi)
    stretch = np.clip([1 + difference / 2, 1 - difference / 2], 0.5, 1.5) * scale
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = rotation @ np.array([[1, shear[0]], [shear[1], 1]]) @ np.diag(1 / stretch)
    y, x = (np.arange(n) + 0.5 - n / 2 for n in size)
    offsets = np.stack(np.meshgrid(x, y), axis=-1) @ matrix.T
    extent = np.array(shape[::-1], dtype=float)
    reach = np.minimum(np.abs(offsets).max(axis=(0, 1)), extent / 2)
    centre = rng.uniform(reach, extent - reach)
    grid = (offsets + centre) * 2 / extent - 1
    return torch.from_numpy(grid.astype(np.float32))[None]
