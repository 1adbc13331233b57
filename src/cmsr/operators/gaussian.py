"""Gaussian smoothing by products with narrow matrices."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from cmsr.operators.banded import left_product, right_product, transposed

Fields = tuple[tuple[float, float], ...]
"""Variance and width of each field."""


def blur(x: Tensor, width: float) -> Tensor:
    """Blur (..., H, W) by a Gaussian of standard deviation ``width``; constants stay constant."""
    (rows, down), (cols, across) = (_normalised(n, width, str(x.device)) for n in x.shape[-2:])
    return _wide(_narrow(x, rows, cols), down, across)


def smooth(x: Tensor, width: float) -> Tensor:
    """Smooth (..., H, W) by a symmetric, positive semi-definite Gaussian of this σ."""
    rows, cols = (factor(n, width, str(x.device)) for n in (x.shape[-2], x.shape[-1]))
    return _wide(_narrow(x, rows, cols), rows, cols)


@lru_cache(maxsize=128)
def _normalised(n: int, width: float, device: str) -> tuple[Tensor, Tensor]:
    """`factor`, and the same with every row scaled so that constants stay constant."""
    narrow = factor(n, width, device)
    return narrow, narrow / (narrow @ narrow.sum(0))[:, None]


def smoothed_sum(v: Tensor, fields: Fields, ratio: float) -> Tensor:
    """Sum of Gaussian smoothings, each with its variance; widths ascend.

    The first is done at full size. What the others add to it is done on the few columns of its
    factor, for Gaussians of widths w and √(W² − w²) make one of width W.
    """
    (variance, width), *others = fields
    first = width * ratio
    rows, cols = (factor(n, first, str(v.device)) for n in (v.shape[-2], v.shape[-1]))
    few = _narrow(v, rows, cols)
    total = variance * few
    for variance, width in others:
        more = math.sqrt((width * ratio) ** 2 - first**2)
        total = total + variance * smooth(few, more / _step(first))
    return _wide(total, rows, cols)


def _narrow(x: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Bring images (..., H, W) to the few columns of two factors."""
    return right_product(left_product(transposed(rows), x), transposed(cols))


def _wide(few: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Bring images back from the few columns of two factors."""
    return left_product(rows, right_product(few, cols))


def _step(width: float) -> float:
    """Distance of the columns of `factor`, in pixels."""
    return max(1.0, 1.05 * width / math.sqrt(2))


@lru_cache(maxsize=128)
def factor(n: int, width: float, device: str) -> Tensor:
    """L of shape (n, m) with few columns, so that L Lᵀ smooths by ``width`` pixels."""
    half = width / math.sqrt(2)
    step = _step(width)
    count = math.ceil(n / step) + 6
    centres = (torch.arange(count) - (count - 1) / 2) * step + (n - 1) / 2
    factor = torch.exp(-((torch.arange(n)[:, None] - centres) ** 2) / (2 * half**2))
    factor = torch.where(factor > 1e-6, factor, 0.0)
    gain = factor @ (factor.mT @ torch.ones(n))
    return (factor / gain[n // 2].sqrt()).to(device)
