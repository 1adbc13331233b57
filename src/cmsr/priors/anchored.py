"""Networks that work on a coarser grid than the result's, anchored in the whole of it.

All tiles of a result then see the same pixels of that grid, wherever they begin.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import Shape

MARGIN = 4
"""Pixels of the network's grid by which an image is continued beyond its border."""

FLIPS: tuple[tuple[int, ...], ...] = ((), (-2, -1), (-1,), (-2,))
"""Axes along which an image is flipped."""


def flipped_mean(
    images: Tensor,
    factor: int,
    origin: Shape,
    flips: int,
    network: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the mean (H, W) of what a network makes of an image and its flips.

    Parameters
    ----------
    images : Tensor, shape (C, H, W)
        A part of the whole.
    factor : int
        Pixels of the images per one of the network's grid.
    origin : (int, int)
        Where they begin in the whole.
    flips : int
        How many, at most four.
    network : callable
        Maps (1, C, H', W') to (1, 1, H', W'), sizes that the factor divides.
    """
    (height, width), edge = images.shape[-2:], MARGIN * factor
    top, left = (edge + place % factor for place in origin)
    bottom, right = edge + -(top + height) % factor, edge + -(left + width) % factor
    wide = F.pad(images[None], (left, right, top, bottom), mode="replicate")
    each = [network(wide.flip(axes)).flip(axes) for axes in FLIPS[:flips]]
    return torch.stack(each).mean(0)[0, 0, top : top + height, left : left + width]
