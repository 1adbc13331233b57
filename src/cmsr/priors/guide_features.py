"""What the linear model may multiply: uncorrelated detail of the guide and of what follows from it.

The channels alone decide whether a guide tells anything. Where it does, more goes into the
estimate: the middle channel of three or more, which is no linear function of them, and the
gradients of the brightness, by which an edge may lie a fraction of a pixel beside the guide's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cmsr.operators.gaussian import blur
from cmsr.priors.sparse_blocks import gradient_x, gradient_y

HIGH_PASS = 1.4
"""Width below which the guide's detail counts, in pixels of the target."""

GRADIENTS = 0.3
"""Variance of the gradients' features, in those of the channels'."""


def described(guide: Tensor) -> Tensor:
    """Return a guide (G, H, W) and, after it, what follows from it: (F, H, W)."""
    brightness = guide.mean(0, keepdim=True)
    along, across = gradient_x(brightness), gradient_y(brightness)
    centred = (along + along.roll(1, -1)) / 2, (across + across.roll(1, -2)) / 2
    middle = [guide.median(0, keepdim=True).values] if len(guide) > 2 else []
    return torch.cat([guide, *middle, *centred])


def joint_mixing_of(guides: Sequence[Tensor], ratio: float) -> Tensor:
    """Return the mixing (F, F) of the detail of all that `described` makes of guides (G, H, W).

    Their own channels come first, and are mixed among themselves alone.
    """
    detail = torch.cat([detail_of(described(guide), ratio).flatten(1) for guide in guides], 1)
    channels = len(guides[0])
    parts = [mixing_of(part) for part in detail.tensor_split((channels, -2)) if len(part)]
    parts[-1] *= GRADIENTS**0.5
    mixing, start = torch.zeros(len(detail), len(detail)).to(detail), 0
    for part in parts:
        inside = slice(start, start + len(part))
        mixing[inside, inside] = part
        start += len(part)
    return mixing


def whiten(guide: Tensor, ratio: float) -> Tensor:
    """Turn a guide (G, H, W) into uncorrelated detail (G, H, W) of unit variance."""
    detail = detail_of(guide, ratio)
    return uncorrelated(detail, mixing_of(detail))


def detail_of(guide: Tensor, ratio: float) -> Tensor:
    """Return what of a guide (G, H, W) is finer than about a pixel of the target."""
    return guide - blur(guide, HIGH_PASS * ratio)


def mixing_of(detail: Tensor) -> Tensor:
    """Return the mixture (G, G) that makes channels of detail (G, ...) uncorrelated and unit."""
    flat = detail.flatten(1)
    values, vectors = torch.linalg.eigh(flat @ flat.mT / flat.shape[1])
    mixing: Tensor = vectors / (values.clamp(min=0) + 1e-3).sqrt()
    return mixing


def uncorrelated(detail: Tensor, mixing: Tensor) -> Tensor:
    """Mix the channels of detail (G, H, W)."""
    return torch.einsum("ck,chw->khw", mixing, detail)
