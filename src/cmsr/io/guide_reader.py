"""A guide that is read box by box, from a file or from memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from cmsr.io.inputs import Photo
from cmsr.operators.resampling import Box, Shape, resampler
from cmsr.pair import guide_span, guide_tensor

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
            if top == 0:
                guide_tensor(replace(part, data=part.data[:, :1], valid=part.valid[:1]), notes)
            spans.append(guide_span(part.data, part.valid))
            if part.data.dtype == np.uint8:
                break
        span = min(low for low, _ in spans), max(high for _, high in spans)
        object.__setattr__(self, "span", span)
        object.__setattr__(self, "notes", tuple(notes))

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
        return guide_tensor(self.photo.read(box), [], self.span)[0].to(self.device)

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
