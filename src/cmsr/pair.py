"""One target and its guide, checked, normalised, holes filled: where all computing starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io.guide_reader import as_tensor
from cmsr.io.raster import Raster, fill_holes, fitted
from cmsr.normalisation import bounds_of, hole_of, levelled, normalised
from cmsr.operators.resampling import resampler
from cmsr.operators.trend import surface


class Image(Protocol):
    """Something with a name and a size, such as a `Raster`."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""


SWAPPED = "target and guide seem swapped: "

MIN_SIDE = 4
"""Smallest height and width of a target, in pixels."""


@dataclass(frozen=True)
class Pair:
    """A target and a guide that cover the same area.

    Attributes
    ----------
    target : Tensor, shape (1, C, h, w)
        Each channel mapped to [0, 1]; holes filled from around them.
    valid : Tensor, shape (1, 1, h, w) or (1, C, h, w)
        1 where the target was measured, 0 in its holes; one for all channels, or one for each.
    guide : Tensor, shape (1, G, H, W), or None
        [0, 1]; holes filled; G is 1 (grey) or 3 (RGB).
    shape : (int, int)
        H and W of the result.
    offset, scale : arrays, shape (C, 1, 1)
        ``target * scale + offset``, and the trend, is in the units of the input.
        A constant channel has scale 0: whatever is computed, it comes back as that constant.
    dtype : numpy dtype
        Type of the input's values, and of the result's.
    hole : float, optional
        The value that marks a hole in the result.
    trend : array, shape (C, 6), or None
        Smooth surfaces that were taken off the channels, see `cmsr.operators.trend`.
    bounds : (array, array)
        Least and largest value that each channel of a result may have, (C, 1, 1).
    notes : tuple of str
        What the user should know of this pair.
    fill : bool
        Whether the result has values in the holes.
    segments : Tensor, shape (H, W), or None
        The guide's objects, numbered from 0 on.
    camera : bool
        Whether the target comes straight from a camera, never resized by software.
    """

    target: Tensor
    valid: Tensor
    guide: Tensor | None
    shape: tuple[int, int]
    offset: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    dtype: np.dtype[Any]
    hole: float | None = None
    trend: npt.NDArray[np.float64] | None = None
    bounds: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None
    notes: tuple[str, ...] = ()
    fill: bool = False
    segments: Tensor | None = None
    camera: bool = False

    @classmethod
    def of(
        cls,
        target: Raster,
        shape: tuple[int, int],
        *,
        fill: bool = False,
        bounds: tuple[float, float] | None = None,
        segments: npt.NDArray[np.int64] | None = None,
    ) -> Self:
        """Check and normalise a target whose result is to have this shape, without a guide.

        Raises
        ------
        InputError
            If it is too small, or spans more than a 64-bit float can hold.
        """
        notes: list[str] = []
        _check_target(target, notes)
        level, trend = levelled(target)
        data, offset, scale = normalised(level)
        return cls(
            target=as_tensor(fill_holes(data, target.measured)),
            valid=as_tensor(target.measured),
            guide=None,
            shape=shape,
            offset=offset,
            scale=scale,
            dtype=target.data.dtype,
            hole=hole_of(target),
            trend=trend,
            bounds=bounds_of(target, bounds),
            notes=tuple(notes),
            fill=fill and bool(target.measured.any()),
            segments=None if segments is None else torch.from_numpy(segments),
            camera="camera" in target.profile,
        )

    @property
    def ratio(self) -> tuple[float, float]:
        """How much larger the result is than the target, per axis (vertical, horizontal)."""
        height, width = self.target.shape[-2:]
        return self.shape[0] / height, self.shape[1] / width

    def measured(self, channel: int) -> Tensor:
        """Return 1 where a channel was measured, (h, w)."""
        return self.valid[0, channel if self.valid.shape[1] > 1 else 0]

    @property
    def blank(self) -> bool:
        """Whether there is nothing to sharpen: no measurement at all, or only constants."""
        return not self.scale.any()

    def rounding(self, channel: int) -> float:
        """Return the standard deviation of what rounding to whole numbers did to a channel."""
        scale = float(self.scale[channel, 0, 0])
        whole = np.issubdtype(self.dtype, np.integer) and scale > 0
        return 12**-0.5 / scale if whole else 0.0

    @property
    def photo(self) -> Tensor:
        """The guide (G, H, W) of a pair that has one.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.guide is None:
            raise ValueError("the pair has no guide")
        return self.guide[0]

    def to(self, device: str) -> Self:
        """Return the pair with its tensors on another device."""
        guide = None if self.guide is None else self.guide.to(device)
        return replace(
            self,
            target=self.target.to(device),
            valid=self.valid.to(device),
            guide=guide,
            segments=None if self.segments is None else self.segments.to(device),
        )

    def part(
        self, box: tuple[int, int, int, int], shape: tuple[int, int], guide: Tensor | None
    ) -> Self:
        """Return what a box (top, left, bottom, right) of the target holds, with its own guide.

        It has the units and the range of the whole; ``shape`` is that of its result.
        """
        inside = np.s_[..., box[0] : box[2], box[1] : box[3]]
        return replace(
            self, target=self.target[inside], valid=self.valid[inside], guide=guide, shape=shape
        )

    def at(self, shape: tuple[int, int]) -> Self:
        """Return the pair with the guide, and so the result, reduced to another shape."""
        guide = self.guide
        if guide is not None:
            guide = resampler(self.shape, shape, "bicubic", str(guide.device))(guide)
        return replace(self, guide=guide, shape=shape)

    def denormalise(self, image: Tensor, first: int = 0) -> npt.NDArray[Any]:
        """Map rows (C, n, W) or (1, C, n, W) of a result, from ``first`` on, to stored values.

        These have the input's units and type, and the shape (C, n, W).

        Integers are rounded and clipped to what the type holds; holes are marked, or 0 where
        only a mask can tell them.
        """
        image = image.reshape(image.shape[-3:])
        values = image.cpu().double().numpy() * self.scale + self.offset
        values = values + self.surfaces(self.shape, first, image.shape[1])
        if self.bounds is not None:
            values = values.clip(*self.bounds)
        values = fitted(values, self.dtype)
        if self.hole is not None and np.issubdtype(self.dtype, np.integer):
            beside = self.hole + (1 if self.hole < np.iinfo(self.dtype).max else -1)
            values = np.where(values == self.hole, beside, values)
        measured = self.measured_at_output(first, image.shape[1])
        return np.where(measured, values, 0 if self.hole is None else self.hole).astype(self.dtype)

    def surfaces(
        self, shape: tuple[int, int], first: int = 0, count: int | None = None
    ) -> npt.NDArray[np.float64] | float:
        """Return the trend of each channel on some rows of a grid of this shape, (C, n, W)."""
        if self.trend is None:
            return 0.0
        rows = np.arange(first, shape[0] if count is None else first + count)
        return np.stack([surface(trend, shape, rows) for trend in self.trend])

    def valid_at_output(self, first: int = 0, count: int | None = None) -> npt.NDArray[np.bool_]:
        """Return, for some rows of the result, whether the target pixel under each was measured.

        All rows by default, (H, W); of several channels, whether each was.
        """
        return np.asarray(self.measured_at_output(first, count).all(axis=0))

    def measured_at_output(self, first: int = 0, count: int | None = None) -> npt.NDArray[np.bool_]:
        """Return the same channel by channel, (C, n, W), or (1, n, W) for all of them."""
        (height, width), valid = self.shape, self.valid[0].bool().cpu().numpy()
        places = np.arange(first, height if count is None else first + count)
        if self.fill:
            return np.ones((1, len(places), width), bool)
        rows = ((places + 0.5) * valid.shape[1] / height).astype(int)
        cols = ((np.arange(width) + 0.5) * valid.shape[2] / width).astype(int)
        return np.asarray(valid[:, rows[:, None], cols])


def _check_target(target: Raster, notes: list[str]) -> None:
    height, width = target.shape
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"{target.name}: is {width} × {height} pixels; "
            f"at least {MIN_SIDE} × {MIN_SIDE} are needed"
        )
    seen = [target.seen(band) for band in range(len(target.data))]
    if not any(values.size for values in seen):
        notes.append(f"{target.name}: holds no valid pixel; the result holds none either")
    elif all(values.size == 0 or values.min() == values.max() for values in seen):
        notes.append(f"{target.name}: is constant; so is the result")


def asked_shape(target: tuple[int, int], config: Config) -> tuple[int, int] | None:
    """Return the result's height and width that the options ask for; None where they do not."""
    if config.size is not None:
        return config.size[1], config.size[0]
    if config.ratio is not None:
        ratio = config.ratio
        across, down = ratio if isinstance(ratio, tuple) else (ratio, ratio)
        return round(target[0] * down), round(target[1] * across)
    return None


def output_shape(target: Raster, guide: Image | None, config: Config) -> tuple[int, int]:
    """Return the size of the result: what the options ask for, or the guide's.

    Raises
    ------
    InputError
        If the guide is smaller than the target.
    OptionError
        If there is neither a guide nor a ratio, or the result is to be smaller than the target.
    """
    height, width = target.shape
    asked = asked_shape(target.shape, config)
    if asked is not None:
        if asked[0] < height or asked[1] < width:
            raise OptionError(
                f"--size {asked[1]} {asked[0]} is smaller than the target's {width} × {height}"
            )
        return asked
    if guide is None:
        raise OptionError("a guide or a ratio is needed (for example --ratio 4)")
    if guide.shape[0] < height or guide.shape[1] < width:
        swapped = guide.shape[0] <= height and guide.shape[1] <= width
        raise InputError(
            f"{guide.name}: {SWAPPED if swapped else ''}the guide is "
            f"{guide.shape[1]} × {guide.shape[0]} pixels, smaller than the target's "
            f"{width} × {height}; set its size with --ratio or --size"
        )
    return guide.shape
