"""The target before and after, in the same colours."""

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
    """The target before and after.

    Attributes
    ----------
    size, target_size : (height, width)
        Of the result and of the target.
    before, after : Picture
        In the same colours.
    unit : str
        Of the values, "" where unknown.
    band : str
        Which channel is shown, where there are several.
    """

    size: tuple[int, int]
    target_size: tuple[int, int]
    before: Picture
    after: Picture
    unit: str
    band: str


def compared(target: Raster, image: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> Compared:
    """Paint the first channel of a target and of its result (H, W) or (H, W, C)."""
    scale, offset, unit = target.unit()
    before = np.where(target.valid, target.data[0].astype(float) * scale + offset, np.nan)
    channel = image if image.ndim == 2 else image[..., 0]
    after = np.where(valid, channel.astype(float) * scale + offset, np.nan)
    colours = Scale.of(before, unit, TARGET_COLOURS)
    bands = len(target.data)
    return Compared(
        size=(after.shape[0], after.shape[1]),
        target_size=target.shape,
        before=painted(before, colours),
        after=painted(after, colours),
        unit=unit,
        band=f"band 1 of {bands}" if bands > 1 else "",
    )
