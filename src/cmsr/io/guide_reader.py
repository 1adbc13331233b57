"""A guide that is read box by box, from a file or from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmsr.io.inputs import Photo
from cmsr.io.raster import Raster, fill_holes
from cmsr.operators.banded import right_product
from cmsr.operators.resampling import Box, Shape, resampler

BAND = 512
"""Rows read at a time where all of a guide is looked through."""

STRIPS, STRIP = 32, 64
"""Strips that a guide of more rows than all of them twice is looked through by, and their rows."""

SAMPLES = 2**20
"""Pixels, about, whose values decide what counts as black and as white."""

TAILS = 0.5, 99.5
"""Percentiles that count as black and white, unless a few pixels lie far from most."""

MOST, FAR = 0.75, 1.5
"""Share of the pixels that are most of them; and how far beyond the shortest interval that holds
them, in its lengths, black and white lie at the furthest: a cloud is beyond white. A sample of a
normal law has its tails within that."""

ROOM, ROOM_8_BIT = 1.25, 1.5
"""Span from black to white in those of the tails. Everything else was fitted to photos of 8 bits
from 0 to 255, which stay so where their tails fill two thirds of it."""

LEAST_SPAN = 0.05
"""Least span from black to white, as a share of that of all values."""

KNEE = 0.5
"""How far beyond black and white values go, softly limited."""

MOST_BANDS = 8
"""Bands that a guide is used with; more are averaged in groups of neighbours, which are alike."""


@dataclass(frozen=True)
class GuideReader:
    """Boxes of a guide, its values scaled to about [0, 1].

    Black and white are those of most of its pixels: neither its type and exposure nor a hot pixel
    or a cloud changes what it counts for.

    Attributes
    ----------
    photo : Photo
        The guide as it is stored.
    device : str
        Where tensors are to live.
    span : array, shape (2, G, 1, 1)
        Black and white of each band; of grey and RGB the same for all.
    whole : bool
        Whether all of what was looked through is known.
    notes : tuple of str
        What the user should know of the guide.
    """

    photo: Photo
    device: str = "cpu"
    span: npt.NDArray[np.float64] = field(init=False)
    whole: bool = field(init=False)
    notes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Look through the guide for its range."""
        notes, parts = list[str](), []
        every = max(1, round((self.shape[0] * self.shape[1] / SAMPLES) ** 0.5))
        for box in self._strips():
            data, known = _values(self.photo.read(box), notes)
            thin = np.s_[:, ::every, ::every]
            parts.append(np.where(known[thin], data[thin], np.nan).reshape(len(data), -1))
        values, eight = np.concatenate(parts, axis=1).astype(np.float64), data.dtype == np.uint8
        bands = values.reshape(1, -1) if len(values) <= 3 else values
        spans = np.array([_span(band[np.isfinite(band)], eight) for band in bands])
        spans = np.broadcast_to(spans, (len(values), 2))
        object.__setattr__(self, "span", spans.T[:, :, None, None])
        object.__setattr__(self, "whole", bool(np.isfinite(values).all()))
        object.__setattr__(self, "notes", tuple(dict.fromkeys(notes)))

    def _strips(self) -> Iterator[Box]:
        """Yield the boxes that are looked through: all of the guide, or evenly spread strips."""
        height, width = self.shape
        rows, tops = BAND, list(range(0, height, BAND))
        if height > 2 * STRIPS * STRIP:
            rows, tops = STRIP, np.linspace(0, height - STRIP, STRIPS).astype(int).tolist()
        for top in tops:
            yield top, 0, min(top + rows, height), width

    @property
    def shape(self) -> Shape:
        """Height and width."""
        return self.photo.shape

    def read(self, box: Box) -> Tensor:
        """Return a box, (G, H, W), holes filled."""
        return self.read_known(box)[0]

    def read_known(self, box: Box) -> tuple[Tensor, Tensor]:
        """Return a box, (G, H, W), holes filled, and 1 where it is known, (H, W)."""
        data, known = _values(self.photo.read(box), [])
        unit = float(np.abs(self.span).max()) or 1.0  # in units of it, no range overflows
        low, high = self.span / unit
        values = np.where(known, data, 0).astype(np.float64) / unit
        scaled = _limited((values - low) / np.where(high > low, high - low, 1.0))
        filled = as_tensor(fill_holes(np.where(known, scaled, 0.0), known))[0]
        seen = torch.tensor(known.all(axis=0).astype(np.float32))
        return filled.to(self.device), seen.to(self.device)

    def reduced(self, size: Shape) -> Tensor:
        """Return the whole guide at another size, (G, H, W), antialiased."""
        return self._reduced(size, self.read)

    def reduced_known(self, size: Shape) -> Tensor:
        """Return the share of each pixel of the guide at another size that is known, (H, W)."""
        return self._reduced(size, lambda box: self.read_known(box)[1][None])[0]

    def _reduced(self, size: Shape, read: Callable[[Box], Tensor]) -> Tensor:
        reduce, (height, width) = resampler(self.shape, size), self.shape
        if height <= BAND:
            return reduce(read((0, 0, height, width)))
        total = torch.zeros(())
        for top in range(0, height, BAND):
            bottom = min(top + BAND, height)
            part = right_product(read((top, 0, bottom, width)).cpu(), reduce.cols)
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
    """Return a guide's bands (G, H, W), and where they are known, (G, H, W) or (1, H, W)."""
    data, alpha = colours_of(guide)
    known = guide.measured
    if alpha:
        notes.append(f"{guide.name}: its alpha channel is ignored")
        known = np.asarray(np.isfinite(data).all(axis=0, keepdims=True))
    elif data.dtype == np.uint8:  # black in one band is a colour, not a hole
        known = np.asarray(known.any(axis=0, keepdims=True))
    if len(data) <= MOST_BANDS:
        return data, known
    notes.append(
        f"{guide.name}: its {len(data)} bands are averaged to {MOST_BANDS}, neighbours together"
    )
    first = np.linspace(0, len(data), MOST_BANDS + 1).astype(int)[:-1]
    sizes = np.diff([*first, len(data)])[:, None, None]
    means = np.add.reduceat(data.astype(np.float64), first, axis=0) / sizes
    return means, np.asarray(known.all(axis=0, keepdims=True))


def _span(values: npt.NDArray[np.float64], eight: bool) -> tuple[float, float]:
    """Return what counts as black and as white among values (N,), of 8 bits or not."""
    if values.size == 0:
        return 0.0, 1.0
    low, high = _tails(values)
    if eight and ROOM_8_BIT * (high - low) >= 255:
        return 0.0, 255.0
    wider = (ROOM_8_BIT if eight else ROOM) * (high - low) - (high - low)
    return low - wider / 2, high + wider / 2


def _tails(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return where most of the values (N,) begin and end."""
    unit = float(np.abs(values).max()) or 1.0
    values = np.sort(values / unit)
    lowest, highest = float(values[0]), float(values[-1])
    if lowest == highest:
        return unit * lowest, unit * lowest + max(1.0, unit * abs(lowest))
    low, high = (float(bound) for bound in np.percentile(values, TAILS))
    count = int(MOST * (values.size - 1))
    lengths = values[count:] - values[: values.size - count]
    first = int(lengths.argmin())
    length, middle = float(lengths[first]), float(values[first] + values[first + count]) / 2
    if length > 0:
        reach = (0.5 + FAR) * length
        low, high = max(low, middle - reach), min(high, middle + reach)
    lacking = max(0.0, LEAST_SPAN * (highest - lowest) - (high - low)) / 2
    return unit * (low - lacking), unit * (high + lacking)


def _limited(scaled: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Leave [0, 1] as it is, and what lies beyond no further than `KNEE`."""
    if scaled.size == 0 or (scaled.min() >= 0 and scaled.max() <= 1):
        return scaled
    beyond = scaled - scaled.clip(0, 1)
    return np.asarray(scaled.clip(0, 1) + KNEE * np.tanh(beyond / KNEE))


def as_tensor(data: npt.NDArray[Any]) -> Tensor:
    """Turn (C, H, W) into (1, C, H, W), float32.

    It is a copy in memory of torch's own: products of what lies elsewhere in memory, aligned now so
    and now otherwise, differ in their last bits from run to run.
    """
    return torch.tensor(np.ascontiguousarray(data, dtype=np.float32))[None]
