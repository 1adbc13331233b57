"""What the camera would have seen from between its pixels: the imaging operator on a finer grid.

Another frame of the same camera, moved by a fraction of a pixel, sees the scene there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array
from torch import Tensor

from cmsr.operators.kernels import Array, cubic, spread, weights
from cmsr.operators.resampling import Kernel, Resampler, ResamplerSum, Shape, Window

Axis = Callable[[float], Array]


@lru_cache(maxsize=64)
def between(
    source: Shape, out: Shape, kernel: Kernel, phases: int, device: str, window: Window
) -> Resampler:
    """Build the imaging operator as if each pixel were read at so many places along each axis.

    Parameters are those of `cmsr.operators.resampling.resampler`; the outcome has ``phases`` times
    as many rows and columns as ``window.out``, over the same area.
    """
    sides = [(source[axis], out[axis], window.axis(axis)) for axis in (0, 1)]

    def term(*axes: Axis) -> Resampler:
        rows, cols = (
            torch.from_numpy(_interleaved(each, large / small, phases)).to(device, torch.float32)
            for each, (large, small, _) in zip(axes, sides, strict=True)
        )
        return Resampler(rows, cols)

    def named(large: int, small: int, part: tuple[int, int, int, int], name: str) -> Axis:
        return lambda offset: weights(large, small, name, offset, part)

    def measured(
        large: int, small: int, part: tuple[int, int, int, int], taps: tuple[float, ...]
    ) -> Axis:
        return lambda offset: spread(large, small, taps, part, offset)

    if isinstance(kernel, str):
        return term(*(named(*side, kernel) for side in sides))
    first, *others = (
        term(*(measured(*side, line) for side, line in zip(sides, taps, strict=True)))
        for taps in kernel.terms
    )
    return ResamplerSum(first.rows, first.cols, tuple(others)) if others else first


def _interleaved(rows: Axis, step: float, phases: int) -> Array:
    """Return the rows of a matrix (n, N) for each place in a pixel, (n · phases, N)."""
    places = [((place + 0.5) / phases - 0.5) * step for place in range(phases)]
    each = np.stack([rows(offset) for offset in places], axis=1)
    return each.reshape(-1, each.shape[-1])


@dataclass(frozen=True)
class Places:
    """Reads an image at scattered places, by cubic interpolation; beyond its border, its mirror.

    Attributes
    ----------
    matrix : sparse array, shape (M, H · W)
        A row a place.
    shape : (int, int)
        H and W.
    """

    matrix: csr_array
    shape: Shape

    @classmethod
    def of(
        cls, rows: npt.NDArray[np.float64], cols: npt.NDArray[np.float64], shape: Shape
    ) -> Places:
        """Read at places (M,) and (M,), in pixels; 0 is the centre of the first."""
        (down, rise), (across, run) = (
            _taps(place, length) for place, length in zip((rows, cols), shape, strict=True)
        )
        value = rise[:, :, None] * run[:, None]
        column = down[:, :, None] * shape[1] + across[:, None]
        row = np.broadcast_to(np.arange(len(rows))[:, None, None], value.shape)
        size = len(rows), shape[0] * shape[1]
        entries = value.astype(np.float32).ravel(), (row.ravel(), column.ravel())
        return cls(csr_array(entries, shape=size), shape)

    def __call__(self, image: Tensor) -> Tensor:
        """Map (H, W) to (M,)."""
        return torch.from_numpy(self.matrix @ image.cpu().numpy().ravel()).to(image)

    def transpose(self, values: Tensor) -> Tensor:
        """Map (M,) to (H, W) by the exact transpose."""
        image = self.matrix.T @ values.cpu().numpy()
        return torch.from_numpy(image).to(values).reshape(self.shape)


def _taps(
    place: npt.NDArray[np.float64], length: int
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.float64]]:
    """Return the four pixels around places (M,) along an axis, and their weights, (M, 4)."""
    first = np.floor(place).astype(int) - 1
    tap = first[:, None] + np.arange(4)
    value = cubic(tap - place[:, None])
    folded = tap % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded), value
