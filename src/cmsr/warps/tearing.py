"""Segments that move each by itself: found, bent where they are large, kept where they prove it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.degrade import shape_of
from cmsr.warps.matching import LONGER, matched
from cmsr.warps.piecewise import Segments
from cmsr.warps.similarity import climb, explained
from cmsr.warps.view import View
from cmsr.warps.warp import Affine, Motion, Size, identity_grid, inside, sample

LEAST_GAIN_DB = 0.2
"""Fall of the held-out error, where a segment lies, for which it moves otherwise than simpler."""

LEAST_AREA = 300
"""Pixels of the target, at `LONGER`, that a segment must cover for more than a displacement."""

FINER = 2
"""Pixels of the guide per one of the target at which a segment is bent."""

MARGIN = 4
"""Pixels of the target around a segment that are looked at with it."""

Misfit = Callable[[Motion], Tensor]
"""Takes a warp of segments and returns by how much the guide then mispredicts each hidden pixel,
squared, 0 at all others, (h, w)."""


def torn(
    target: Tensor,
    valid: Tensor,
    guide: Tensor,
    labels: Tensor,
    size: Size,
    misfit: Misfit,
    *,
    forced: bool = False,
) -> Motion | None:
    """Find how the segments of a guide move, and let each move as freely as it proves.

    Parameters
    ----------
    target, valid : Tensor (h, w)
        In any unit, and 1 where it was measured.
    guide : Tensor (3, H, W)
        Nearly in place.
    labels : Tensor, integer
        Segments of the guide from 0 on, at any resolution.
    size : (height, width)
        Of the guide that is to be warped.
    misfit : callable
        What hidden pixels say of a warp.
    forced : bool
        Whether segments keep a displacement that hidden pixels do not prove.

    Returns
    -------
    Motion or None
        None where all move alike.
    """
    motion = matched(target, valid, guide, labels, size)
    if motion is None:
        return None
    motion = _freest(misfit, motion[1], bent(target, valid, guide, motion))
    if not forced:
        motion = _freest(misfit, torch.zeros_like(motion[1]), motion)
    return motion if motion[1].any() else None


def bent(target: Tensor, valid: Tensor, guide: Tensor, motion: Motion) -> Motion:
    """Refine the displacements of larger segments to affine maps.

    The parameters are those of `torn`; ``motion`` is a `Segments` warp.
    """
    warp, theta = _of_segments(motion)
    view = View.of(target[None], guide, valid > 0, None, longer=LONGER, finer=FINER)
    grid = identity_grid(shape_of(view.target), device=guide.device)
    owner = warp.owners(theta, grid)[0]
    area = owner.flatten().bincount(minlength=warp.count)
    maps = theta.reshape(warp.count, Affine.dim).clone()
    for label in (area >= LEAST_AREA).nonzero()[:, 0]:
        maps[label] = _Part.of(view, owner == label).climb(maps[label])
    return warp, maps.flatten()


@dataclass(frozen=True)
class _Part:
    """One segment, cut out of a view.

    Attributes
    ----------
    target : Tensor (1, h, w)
    weight : Tensor (h, w)
        1 where the segment is and the target is known.
    layers : Tensor (1, 4, H, W)
        The whole guide, and 1 where it is known.
    grid : Tensor (1, h * FINER, w * FINER, 2)
        Of the cut.
    """

    target: Tensor
    weight: Tensor
    layers: Tensor
    grid: Tensor

    @classmethod
    def of(cls, view: View, own: Tensor) -> Self:
        """Cut a segment, given as a mask (h, w), with a margin."""
        rows, cols = (_span(own.any(axis)) for axis in (1, 0))
        fine = [slice(part.start * FINER, part.stop * FINER) for part in (rows, cols)]
        weight = (own & (view.target_valid > 0))[rows, cols].float()
        layers = torch.cat((view.guide, view.guide_valid[None]))[None]
        return cls(view.target[:, rows, cols], weight, layers, view.grid[:, fine[0], fine[1]])

    def explained(self, theta: Tensor) -> Tensor:
        """Return what the guide explains of the segment after an affine map, in nats."""
        moved = self._affine(theta, self.grid)
        seen = F.avg_pool2d(sample(self.layers, moved)[0] * inside(moved), FINER)
        known = self.weight * (seen[-1].detach() > 0.99)
        return explained(self.target, seen[:-1], known)

    def climb(self, start: Tensor) -> Tensor:
        """Return the affine map (6,) near ``start`` with which the guide explains the most.

        It is sought in coordinates about the segment's centre, where turns do not displace it.
        """
        centre = (self.grid[0] * self._affine.extent.to(self.grid)).mean((0, 1))
        local = torch.cat((start[:2] + _linear(start) @ centre, start[2:]))
        best, _ = climb(lambda at: self.explained(_about(centre, at[0]))[None], local[None])
        return _about(centre, best[0])

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


def _freest(misfit: Misfit, simple: Tensor, motion: Motion) -> Motion:
    """Keep the maps of a warp for the segments that they help; the others take simpler ones."""
    warp, theta = _of_segments(motion)
    before, after = misfit((warp, simple)), misfit(motion)
    owner = warp.owners(theta, identity_grid(shape_of(before), device=before.device))[0]
    sums = [
        part.new_zeros(warp.count).index_add(0, owner.flatten(), part.flatten())
        for part in (before, after)
    ]
    helped = sums[1] < sums[0] * 10 ** (-LEAST_GAIN_DB / 10)
    return warp.merged(torch.where(helped.repeat_interleave(Affine.dim), theta, simple))


def _of_segments(motion: Motion) -> tuple[Segments, Tensor]:
    warp, theta = motion
    if not isinstance(warp, Segments):
        raise TypeError(f"segments are to be judged one by one, not a {type(warp).__name__} warp")
    return warp, theta
