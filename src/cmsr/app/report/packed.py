"""Values inside a page, for reading under the cursor: whole levels, packed without loss.

A page unpacks them with `values.js`: base64, zlib, planes of bytes, differences.
"""

from __future__ import annotations

import base64
import math
import sys
import zlib
from typing import Any

import numpy as np

from cmsr.app.report.scale import Scale, Values

LARGEST = 2048
"""Longest side of packed values, in pixels; of larger images every n-th row and column is kept."""

BUDGET = 1_700_000
"""Most bytes of packed values; with base64, two photos and charts a page stays below 5 MB."""

_STEPS = 2**14
"""Steps of floating-point values from one end of their colour scale to the other, at least."""

_MOST = 2.0**31 - 3
"""Largest level."""


def packed(
    values: Values, scale: Scale, quantum: float = 0.0, budget: int | None = None
) -> dict[str, Any]:
    """Return values (H, W), NaN in holes, as what a page's script unpacks.

    Parameters
    ----------
    values : array (H, W)
        In the unit of the scale.
    scale : Scale
        In whose colours they are painted; says how fine floating-point values are kept.
    quantum : float
        Distance of two values that the file can hold; 0 where they are floating-point numbers.
    budget : int, optional
        Most bytes, `BUDGET` by default; values are kept less finely where they take more.

    Returns
    -------
    dict
        ``value = low + step * (level - 1)``; level 0 is a hole. ``least`` and ``most`` are
        (value, column, row) in the whole image, None without any value; every ``every``-th pixel
        is kept, and these two.
    """
    every = max(1, -(-max(values.shape) // LARGEST))
    kept = np.array(values[::every, ::every], np.float64)
    ends = [_end(values, end) for end in (np.nanargmin, np.nanargmax)]
    for value, column, row in filter(None, ends):
        kept[row // every, column // every] = value
    low, high = (end[0] if end else 0.0 for end in ends)
    step = max(quantum or _round_step(scale), (high - low) / _MOST)
    data, planes = _compressed(kept, low, step)
    while len(data) > (budget or BUDGET):
        step *= 2
        data, planes = _compressed(kept, low, step)
    return {
        "width": values.shape[1], "height": values.shape[0], "every": every,
        "low": low, "step": step, "digits": _digits(step), "exact": step == quantum,
        "least": ends[0], "most": ends[1], "unit": scale.unit, "planes": planes,
        "data": base64.b64encode(data).decode(),
    }  # fmt: skip


def _end(values: Values, find: Any) -> tuple[float, int, int] | None:
    """Return the smallest or the largest value, its column and row."""
    seen = np.where(np.isfinite(values), values, np.nan)
    if np.isnan(seen).all():
        return None
    row, column = np.unravel_index(int(find(seen)), values.shape)
    return float(values[row, column]), int(column), int(row)


def _compressed(values: Values, low: float, step: float) -> tuple[bytes, int]:
    """Return levels as compressed differences, one plane for each byte, and how many planes."""
    with np.errstate(invalid="ignore", over="ignore"):
        level = np.where(np.isfinite(values), np.rint((values - low) / step) + 1, 0)
    padded = np.pad(level.astype(np.int64), ((1, 0), (1, 0)))
    apart = padded[1:, 1:] - padded[1:, :-1] - padded[:-1, 1:] + padded[:-1, :-1]
    wrapped = apart.astype(np.uint64).astype(np.uint32).view(np.int32)
    folded = ((wrapped << 1) ^ (wrapped >> 31)).astype("<u4")
    planes = folded.ravel().view(np.uint8).reshape(-1, 4).T
    needed = max(1, -(-int(folded.max(initial=0)).bit_length() // 8))
    return zlib.compress(planes[:needed].tobytes(), 6), needed


def _round_step(scale: Scale) -> float:
    """Return a power of ten, `_STEPS` or more of which make up a scale.

    >>> _round_step(Scale(20.0, 36.0, "°C", "inferno"))
    0.0001
    """
    span = max(scale.high - scale.low, _STEPS * sys.float_info.min)
    return float(10.0 ** math.floor(math.log10(span / _STEPS)))


def _digits(step: float) -> int:
    """Return the decimals that tell values apart which are a step apart.

    >>> _digits(0.01), _digits(0.04), _digits(1.0), _digits(0.0039)
    (2, 2, 0, 3)
    """
    return max(0, math.ceil(-math.log10(step) - 1e-9))
