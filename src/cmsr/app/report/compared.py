"""The target and its result, in the same colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.app.report.image import Picture, painted
from cmsr.app.report.scale import TARGET_COLOURS, Scale
from cmsr.io.raster import Raster


@dataclass(frozen=True)
class Compared:
    """The target and the result.

    Attributes
    ----------
    size, target_size : (height, width)
        Of the result and of the target.
    before, after : Picture
        Target and result in the same colours.
    unit : str
        Unit of the values, "" if unknown.
    band : str
        The channel shown, "" if there is only one.
    """

    size: tuple[int, int]
    target_size: tuple[int, int]
    before: Picture
    after: Picture
    unit: str
    band: str


def compared(target: Raster, image: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> Compared:
    """Paint the first channel of a target and of its result (H, W) or (H, W, C)."""
    (factor, _, unit), bands = target.unit(), len(target.data)
    quantum = abs(factor) if np.issubdtype(target.data.dtype, np.integer) else 0.0
    before, after = target.in_unit(target.data[0], target.measured[0]), target.in_unit(image, valid)
    colours = Scale.of(before, unit, TARGET_COLOURS)
    return Compared(
        size=(after.shape[0], after.shape[1]),
        target_size=target.shape,
        before=painted(before, colours, quantum),
        after=painted(after, colours, quantum),
        unit=unit,
        band=f"band 1 of {bands}" if bands > 1 else "",
    )
