"""Layered motion: segments that move each by itself, and a smooth field on top.

Each is kept where held-out pixels confirm it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.layers import estimate_layers
from cmsr.registration.matching import LONGER, match_segments
from cmsr.registration.residual_field import masked, residual_field
from cmsr.registration.segments import Segments
from cmsr.registration.superpixels import AREA, COUNT
from cmsr.registration.transforms import Affine, Size, Stages, identity_grid
from cmsr.registration.view import View

LEAST_GAIN_DB = 0.2
"""Fall of the held-out error, where a segment surely lies, for which it moves by itself; by eye."""

LEAST_SMOOTH_GAIN_DB = 0.5
"""The same for a smooth field on top: at .2 dB, four of 22 exact objects were moved by .2 to .4
pixels, at .5 one (EXPERIMENTS.md, "Segments")."""

FINER = 2
"""Pixels of the guide per one of the target at which layers are refined and compete."""

Misfit = Callable[[Stages], Tensor]
"""Takes warps and returns the squared error of each held-out pixel with the guide so warped, 0 at
all others, (h, w)."""

Segmented = Callable[[int], Tensor]
"""Takes about how many segments are wanted and returns labels from 0 on, at any resolution."""


def layered_motion(
    target: Tensor,
    valid: Tensor,
    guide: Tensor,
    segmented: Segmented,
    size: Size,
    misfit: Misfit,
    *,
    forced: bool = False,
) -> Stages:
    """Find how the segments of a guide move.

    Parameters
    ----------
    target, valid : Tensor (h, w)
        In any unit, and 1 where it was measured.
    guide : Tensor (3, H, W)
        Nearly in place.
    segmented : callable
        Segments the guide.
    size : (height, width)
        Of the guide that is to be warped.
    misfit : callable
        Scores a warp by held-out pixels.
    forced : bool
        Whether segments keep a move that held-out pixels do not confirm.

    Returns
    -------
    Stages
        Empty where all move alike; else a `Segments` warp and, where it helps, a smooth one.
    """
    found = match_segments(target, valid, guide, segmented(COUNT))
    if found is None:
        return []
    view = View.of(target, guide, valid > 0, longer=LONGER, finer=FINER)
    finer = segmented(max(COUNT, view.valid.numel() // AREA))
    warp, theta = estimate_layers(view, finer, size, *found)
    if not forced:
        still = torch.zeros_like(theta)
        better = _better(misfit, warp, theta, [(warp, still)], [(warp, theta)], LEAST_GAIN_DB)
        warp, theta = warp.merged(torch.where(better.repeat_interleave(Affine.dim), theta, still))
    if not theta.any():
        return []
    return [(warp, theta), *_smooth_field(view, size, misfit, warp, theta)]


def _smooth_field(view: View, size: Size, misfit: Misfit, warp: Segments, theta: Tensor) -> Stages:
    """Return the smooth field that is left, 0 in segments that it does not help; none if in all."""
    field, bends = residual_field(view, size, warp, theta)
    with_field: Stages = [(warp, theta), (field, bends)]
    better = _better(misfit, warp, theta, [(warp, theta)], with_field, LEAST_SMOOTH_GAIN_DB)
    if not better.any():
        return []
    grid = identity_grid(shape_of(view.target), device=theta.device)
    return [(field, masked(field, bends, better[warp.owners(theta, grid)[0]]))]


def _better(
    misfit: Misfit, warp: Segments, theta: Tensor, before: Stages, after: Stages, least_db: float
) -> Tensor:
    """Tell which segments (K,) predict held-out pixels better, where they surely lie."""
    errors = misfit(before), misfit(after)
    grid = identity_grid(shape_of(errors[0]), device=theta.device)
    owner, seen = warp.owners(theta, grid)[0], warp.seen(theta, grid)[0]
    was, now = (
        error.new_zeros(warp.count).index_add(0, owner[seen], error[seen]) for error in errors
    )
    return now < was * 10 ** (-least_db / 10)
