"""Products with matrices whose entries lie near a diagonal, block by block."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 32
"""Rows of a block: narrow enough to leave out most zeros, wide enough for fast products."""


class _Block(NamedTuple):
    """Rows of a matrix, without the columns that are zero in all of them."""

    first: int
    end: int
    part: Tensor


def left_product(matrix: Tensor, x: Tensor) -> Tensor:
    """Return ``matrix @ x`` for a matrix (m, n) and images (..., n, W)."""
    blocks = _blocks(matrix)
    if blocks is None:
        return matrix @ x
    return torch.cat([block.part @ x[..., block.first : block.end, :] for block in blocks], -2)


def right_product(x: Tensor, matrix: Tensor) -> Tensor:
    """Return ``x @ matrix.mT`` for images (..., H, n) and a matrix (m, n)."""
    blocks = _blocks(matrix)
    if blocks is None:
        return x @ matrix.mT
    return torch.cat([x[..., block.first : block.end] @ block.part.mT for block in blocks], -1)


def transposed(matrix: Tensor) -> Tensor:
    """Return the transpose of a matrix, the same object for the same matrix."""
    return _transposed(matrix)


@lru_cache(maxsize=256)
def _transposed(matrix: Tensor) -> Tensor:
    return matrix.mT.contiguous()


@lru_cache(maxsize=256)
def _blocks(matrix: Tensor) -> tuple[_Block, ...] | None:
    """Cut a matrix into blocks; None where that would spare little."""
    rows, columns = matrix.shape
    height = max(1, min(rows, round(BLOCK * rows / max(rows, columns))))
    blocks = []
    for top in range(0, rows, height):
        part = matrix[top : top + height]
        used = part.any(0).nonzero()[:, 0]
        first, end = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
        blocks.append(_Block(first, end, part[:, first:end].contiguous()))
    kept = sum(block.part.numel() for block in blocks)
    return tuple(blocks) if kept < 0.6 * matrix.numel() else None
