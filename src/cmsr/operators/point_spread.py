"""A point-spread function that the user measured: a small array of weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmsr.errors import InputError

MAX_SIDE = 129
"""Largest height and width, in pixels of the result."""

_NEGLIGIBLE = 1e-5
"""Singular values below this share of the largest are left out."""


@dataclass(frozen=True)
class PointSpread:
    """Weights in pixels of the result, centred on the target's pixel, of sum one.

    The array lies over the picture as it is seen: its top left weight counts what is above and to
    the left of the centre. It is kept as a sum of outer products (singular value decomposition),
    so that applying it costs two narrow matrix products a term.

    Attributes
    ----------
    name : str
        What to call it, the file's name.
    terms : tuple of (column, row) of floats
        ``Σ_s outer(column_s, row_s)`` is the array, the strongest term first.
    """

    name: str
    terms: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]

    @classmethod
    def of(cls, array: npt.ArrayLike, name: str) -> PointSpread:
        """Check and normalise an array of shape (h, w).

        Raises
        ------
        InputError
            If it is not two-dimensional, too large, holds something not finite, or its sum is not
            positive.
        """
        weights = np.asarray(array)
        check_shape(weights.shape, name)
        if not (np.issubdtype(weights.dtype, np.number) and np.isrealobj(weights)):
            raise InputError(f"{name}: a kernel holds real numbers, not {weights.dtype.name}")
        weights = weights.astype(np.float64)
        if not np.isfinite(weights).all():
            raise InputError(f"{name}: a kernel's weights must be finite; some are not")
        total = weights.sum()
        if not total > 1e-9 * np.abs(weights).sum():
            raise InputError(f"{name}: a kernel's weights must have a positive sum, not {total:g}")
        left, values, right = np.linalg.svd(weights / total)
        kept = values > _NEGLIGIBLE * values[0]
        return cls(
            name,
            tuple(
                (tuple((left[:, s] * values[s]).tolist()), tuple(right[s].tolist()))
                for s in np.flatnonzero(kept)
            ),
        )

    def __str__(self) -> str:
        return self.name


def check_shape(shape: tuple[int, ...], name: str) -> None:
    """Raise InputError unless ``shape`` is two-dimensional, not empty and small."""
    if len(shape) != 2 or 0 in shape:
        size = " × ".join(map(str, shape)) or "a single number"
        raise InputError(f"{name}: a kernel is a two-dimensional array; this one is {size}")
    if max(shape) > MAX_SIDE:
        raise InputError(
            f"{name}: a kernel of {shape[0]} × {shape[1]} is too large; "
            f"at most {MAX_SIDE} × {MAX_SIDE} is allowed"
        )
