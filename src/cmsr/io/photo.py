"""A guide to be read box by box, from a file or from memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cmsr.io.raster import Raster

Box = tuple[int, int, int, int]
"""Top, left, bottom, right."""


@dataclass(frozen=True)
class Photo:
    """A guide to be read box by box.

    Attributes
    ----------
    name : str
        The file's, for messages.
    shape : (int, int)
        Height and width.
    read : callable
        Returns a box (top, left, bottom, right) of it.
    placed : bool
        Whether the files themselves say that it covers the target's area.
    """

    name: str
    shape: tuple[int, int]
    read: Callable[[Box], Raster]
    placed: bool = False

    @classmethod
    def of(cls, raster: Raster) -> Photo:
        """Read from memory."""
        return cls(raster.name, raster.shape, lambda box: cut(raster, box))

    @property
    def whole(self) -> Raster:
        """All of it."""
        return self.read((0, 0, *self.shape))


def cut(raster: Raster, box: Box) -> Raster:
    """Cut a box out of a raster, its georeference aside."""
    inside = np.s_[box[0] : box[2], box[1] : box[3]]
    part = replace(raster, data=raster.data[:, *inside], valid=raster.valid[inside], by_band=None)
    return part if raster.by_band is None else part.with_measured(raster.by_band[:, *inside])
