"""Segments that move each by itself: found, and kept where they prove it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cmsr.degrade import shape_of
from cmsr.warps.layers import settled
from cmsr.warps.matching import LONGER, matched
from cmsr.warps.piecewise import Segments
from cmsr.warps.superpixels import AREA, COUNT, superpixels
from cmsr.warps.view import View
from cmsr.warps.warp import Affine, Motion, Size, identity_grid

LEAST_GAIN_DB = 0.2
"""Fall of the held-out error, where a segment surely lies, for which it moves by itself."""

FINER = 2
"""Pixels of the guide per one of the target at which layers are bent and compete."""

Misfit = Callable[[Motion], Tensor]
"""Takes a warp of segments and returns by how much the guide then mispredicts each hidden pixel,
squared, 0 at all others, (h, w)."""


def torn(
    target: Tensor,
    valid: Tensor,
    guide: Tensor,
    labels: Tensor | None,
    size: Size,
    misfit: Misfit,
    *,
    forced: bool = False,
) -> Motion | None:
    """Find how the segments of a guide move, and let each move by itself that proves it.

    Parameters
    ----------
    target, valid : Tensor (h, w)
        In any unit, and 1 where it was measured.
    guide : Tensor (3, H, W)
        Nearly in place.
    labels : Tensor, integer, or None
        Segments of the guide from 0 on, at any resolution; superpixels where None.
    size : (height, width)
        Of the guide that is to be warped.
    misfit : callable
        What hidden pixels say of a warp.
    forced : bool
        Whether segments keep a move that hidden pixels do not prove.

    Returns
    -------
    Motion or None
        None where all move alike.
    """
    coarse = superpixels(guide) if labels is None else labels
    found = matched(target, valid, guide, coarse)
    if found is None:
        return None
    view = View.of(target[None], guide, valid > 0, None, longer=LONGER, finer=FINER)
    if labels is None:
        labels = superpixels(guide, max(COUNT, view.target_valid.numel() // AREA))
    motion = settled(view, labels, size, *found)
    if not forced:
        motion = _proven(misfit, motion)
    return motion if motion[1].any() else None


def _proven(misfit: Misfit, motion: Motion) -> Motion:
    """Keep the maps of a warp for the segments that they help; the others stay where they are."""
    warp, theta = motion
    if not isinstance(warp, Segments):
        raise TypeError(f"segments are to be judged one by one, not a {type(warp).__name__} warp")
    still = torch.zeros_like(theta)
    before, after = misfit((warp, still)), misfit(motion)
    grid = identity_grid(shape_of(before), device=before.device)
    owner, seen = warp.owners(theta, grid)[0], warp.seen(theta, grid)[0]
    was, now = (
        part.new_zeros(warp.count).index_add(0, owner[seen], part[seen])
        for part in (before, after)
    )
    helped = now < was * 10 ** (-LEAST_GAIN_DB / 10)
    return warp.merged(torch.where(helped.repeat_interleave(Affine.dim), theta, still))
