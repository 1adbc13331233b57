"""Segments that move each by itself, and what smooth field is left: kept where they prove it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.layers import settled
from cmsr.registration.matching import LONGER, matched
from cmsr.registration.residual_field import kept, residual_field
from cmsr.registration.segments import Segments
from cmsr.registration.superpixels import AREA, COUNT
from cmsr.registration.transforms import Affine, Size, Stages, identity_grid
from cmsr.registration.view import View

LEAST_GAIN_DB = 0.2
"""Fall of the held-out error, where a segment surely lies, for which it moves by itself."""

LEAST_SMOOTH_GAIN_DB = 0.5
"""The same for a smooth field on top, which has many more ways to please by chance."""

FINER = 2
"""Pixels of the guide per one of the target at which layers are bent and compete."""

Misfit = Callable[[Stages], Tensor]
"""Takes warps and returns by how much the guide then mispredicts each hidden pixel, squared, 0 at
all others, (h, w)."""

Segmented = Callable[[int], Tensor]
"""Takes about how many segments are wanted and returns labels from 0 on, at any resolution."""


def torn(
    target: Tensor,
    valid: Tensor,
    guide: Tensor,
    segmented: Segmented,
    size: Size,
    misfit: Misfit,
    *,
    forced: bool = False,
) -> Stages:
    """Find how the segments of a guide move, and let each move by itself that proves it.

    Parameters
    ----------
    target, valid : Tensor (h, w)
        In any unit, and 1 where it was measured.
    guide : Tensor (3, H, W)
        Nearly in place.
    segmented : callable
        What the guide is cut into.
    size : (height, width)
        Of the guide that is to be warped.
    misfit : callable
        What hidden pixels say of a warp.
    forced : bool
        Whether segments keep a move that hidden pixels do not prove.

    Returns
    -------
    Stages
        Empty where all move alike; else a `Segments` warp and, where it helps, a smooth one.
    """
    found = matched(target, valid, guide, segmented(COUNT))
    if found is None:
        return []
    view = View.of(target[None], guide, valid > 0, None, longer=LONGER, finer=FINER)
    finer = segmented(max(COUNT, view.target_valid.numel() // AREA))
    warp, theta = settled(view, finer, size, *found)
    if not forced:
        still = torch.zeros_like(theta)
        helped = _helped(misfit, warp, theta, [(warp, still)], [(warp, theta)], LEAST_GAIN_DB)
        warp, theta = warp.merged(torch.where(helped.repeat_interleave(Affine.dim), theta, still))
    if not theta.any():
        return []
    return [(warp, theta), *_smoothed(view, size, misfit, warp, theta)]


def _smoothed(view: View, size: Size, misfit: Misfit, warp: Segments, theta: Tensor) -> Stages:
    """Find the smooth field that is left, 0 in segments that it does not help; none if in all."""
    field, bends = residual_field(view, size, warp, theta)
    with_field: Stages = [(warp, theta), (field, bends)]
    helped = _helped(misfit, warp, theta, [(warp, theta)], with_field, LEAST_SMOOTH_GAIN_DB)
    if not helped.any():
        return []
    grid = identity_grid(shape_of(view.target), device=theta.device)
    return [(field, kept(field, bends, warp.owners(theta, grid)[0], helped))]


def _helped(
    misfit: Misfit, warp: Segments, theta: Tensor, before: Stages, after: Stages, least_db: float
) -> Tensor:
    """Tell which segments (K,) predict hidden pixels better, where they surely lie."""
    errors = misfit(before), misfit(after)
    grid = identity_grid(shape_of(errors[0]), device=theta.device)
    owner, seen = warp.owners(theta, grid)[0], warp.seen(theta, grid)[0]
    was, now = (
        error.new_zeros(warp.count).index_add(0, owner[seen], error[seen]) for error in errors
    )
    return now < was * 10 ** (-least_db / 10)
