"""A guide that is read box by box, from a file or from memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmsr.errors import InputError
from cmsr.io.inputs import Photo
from cmsr.io.raster import Raster, fill_holes
from cmsr.operators.resampling import Box, Shape, resampler

BAND = 512
"""Rows read at a time where all of a guide is looked through."""


@dataclass(frozen=True)
class GuideReader:
    """Boxes of a guide, in [0, 1].

    Attributes
    ----------
    photo : Photo
        The guide as it is stored.
    device : str
        Where tensors are to live.
    span : (float, float)
        What counts as black and as white: the range of all of the guide where its type does not
        give it.
    notes : tuple of str
        What the user should know of the guide.
    """

    photo: Photo
    device: str = "cpu"
    span: tuple[float, float] = field(init=False)
    notes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Look through the guide for its range; raises InputError if it is no guide."""
        spans, notes, (height, width) = [], list[str](), self.shape
        for top in range(0, height, BAND):
            part = self.photo.read((top, 0, min(top + BAND, height), width))
            spans.append(_span(*_values(part, notes)))
            if part.data.dtype == np.uint8:
                break
        span = min(low for low, _ in spans), max(high for _, high in spans)
        object.__setattr__(self, "span", span)
        object.__setattr__(self, "notes", tuple(dict.fromkeys(notes)))

    @property
    def shape(self) -> Shape:
        """Height and width."""
        return self.photo.shape

    def read(self, box: Box) -> Tensor:
        """Return a box, (G, H, W), holes filled.

        Raises
        ------
        InputError
            If the guide is neither grey nor RGB.
        """
        data, valid = _values(self.photo.read(box), [])
        unit = max(map(abs, self.span)) or 1.0  # in units of it, no range overflows
        low, high = (bound / unit for bound in self.span)
        values = np.where(valid, data, 0).astype(np.float64) / unit
        values = np.where(valid, (values - low) / ((high - low) or 1.0), 0.0)
        return as_tensor(fill_holes(values, valid))[0].to(self.device)

    def reduced(self, size: Shape) -> Tensor:
        """Return the whole guide at another size, (G, H, W), antialiased."""
        reduce, (height, width) = resampler(self.shape, size), self.shape
        if height <= BAND:
            return reduce(self.read((0, 0, height, width)))
        total = torch.zeros(())
        for top in range(0, height, BAND):
            bottom = min(top + BAND, height)
            part = self.read((top, 0, bottom, width)).cpu() @ reduce.cols.mT
            if total.ndim == 0:
                total = part.new_zeros(len(part), *size)
            rows = reduce.rows[:, top:bottom]
            used = rows.any(1).nonzero()[:, 0]
            total[:, used] += rows[used] @ part
        return total.to(self.device)


def colours_of(guide: Raster) -> tuple[npt.NDArray[Any], bool]:
    """Return a guide's bands without alpha, and whether there was one: an array's is its last."""
    if len(guide.data) in (2, 4) and not guide.profile:
        return guide.data[:-1], True
    return guide.data, guide.alpha


def _values(guide: Raster, notes: list[str]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return a guide's grey or RGB values (G, H, W), and where they are valid (H, W)."""
    data, alpha = colours_of(guide)
    if alpha:
        notes.append(f"{guide.name}: its alpha channel is ignored")
    if len(data) not in (1, 3):
        raise InputError(
            f"{guide.name}: the guide has {len(data)} bands; expected 1 (grey) or 3 (RGB)"
        )
    return data, np.isfinite(data).all(axis=0) if alpha else guide.valid


def _span(data: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return what counts as black and as white in a guide (C, H, W)."""
    if data.dtype == np.uint8:
        return 0.0, 255.0
    seen = data[:, valid] if valid.any() else np.zeros(1)
    low, high = float(seen.min()), float(seen.max())
    return low, high if high > low else low + max(1.0, abs(low))


def as_tensor(data: npt.NDArray[Any]) -> Tensor:
    """Turn (C, H, W) into (1, C, H, W), float32.

    It is a copy in memory of torch's own: products of what lies elsewhere in memory, aligned now so
    and now otherwise, differ in their last bits from run to run.
    """
    return torch.tensor(np.ascontiguousarray(data, dtype=np.float32))[None]
