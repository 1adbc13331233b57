"""Linear regression on a guide's channels in the window around each pixel.

The statistics of the windows are images, and the linear systems of all windows are solved at once,
by arithmetic on these.

References
----------
K. He, J. Sun, X. Tang, "Guided Image Filtering", PAMI 2013, eqs. 19-21.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

Average = Callable[[Tensor], Tensor]
"""Takes (..., H, W) and returns the mean over each window, (..., H', W')."""


@dataclass(frozen=True)
class LocalRegression:
    """Guide statistics of every window.

    Attributes
    ----------
    mean : Tensor (..., G, H, W)
        Of the guide's channels.
    factor : dict of Tensor (..., H, W)
        Their covariance plus a ridge, as L D Lᵀ: D at (i, i), L at (i, j) below.
    """

    mean: Tensor
    factor: dict[tuple[int, int], Tensor]

    @classmethod
    def on(cls, guide: Tensor, ridge: float, average: Average) -> Self:
        """Gather the statistics of a guide (..., G, H, W)."""
        mean, channels = average(guide), guide.unbind(-3)
        pairs = [(i, j) for j in range(len(channels)) for i in range(j, len(channels))]
        products = average(torch.stack([channels[i] * channels[j] for i, j in pairs], -3))
        factor: dict[tuple[int, int], Tensor] = {}
        for (i, j), product in zip(pairs, products.unbind(-3), strict=True):
            rest = product - mean[..., i, :, :] * mean[..., j, :, :] + (ridge if i == j else 0)
            for k in range(j):
                rest = rest - factor[i, k] * factor[k, k] * factor[j, k]
            factor[i, j] = rest if i == j else rest / factor[j, j]
        return cls(mean, factor)

    def part(self, rows: slice, cols: slice) -> LocalRegression:
        """Return the statistics of some of the windows."""
        factor = {at: value[..., rows, cols] for at, value in self.factor.items()}
        return LocalRegression(self.mean[..., rows, cols], factor)

    def explained(self, cross: Tensor) -> Tensor:
        """Return the explained variance (..., H, W), given covariances with the guide's channels.

        ``cross`` is (..., G, H, W).
        """
        parts = self._substituted(cross)
        return sum(
            (part.square() / self.factor[i, i] for i, part in enumerate(parts)),
            start=torch.zeros_like(parts[0]),
        )

    def slopes(self, cross: Tensor) -> Tensor:
        """Return the coefficients (..., G, H, W), given what `explained` is given."""
        x = [part / self.factor[i, i] for i, part in enumerate(self._substituted(cross))]
        for i in reversed(range(len(x))):
            for k in range(i + 1, len(x)):
                x[i] = x[i] - self.factor[k, i] * x[k]
        return torch.stack(x, -3)

    def _substituted(self, cross: Tensor) -> list[Tensor]:
        """Solve L x = cross."""
        x = list(cross.unbind(-3))
        for i in range(len(x)):
            for k in range(i):
                x[i] = x[i] - self.factor[i, k] * x[k]
        return x


def box_mean(x: Tensor, radius: int) -> Tensor:
    """Mean of (..., H, W) over square windows, cut at the border."""
    inside = x.new_ones(x.shape[-2:])
    sums, share = (inner_box_mean(F.pad(part, (radius,) * 4), radius) for part in (x, inside))
    return sums / share


def inner_box_mean(x: Tensor, radius: int) -> Tensor:
    """Mean of (..., H, W) over the square windows that lie inside, (..., H - 2r, W - 2r)."""
    width = 2 * radius + 1
    return _window_sums(_window_sums(x, width, -2), width, -1) / width**2


def _window_sums(x: Tensor, width: int, axis: int) -> Tensor:
    """Sum ``width`` neighbours along an axis, by sums of twice as many again and again."""
    length = x.shape[axis] - width + 1
    total, start, reach = None, 0, 1
    while True:
        if width & reach:
            part = x.narrow(axis, start, length)
            total = part if total is None else total + part
            start += reach
        if 2 * reach > width:
            return x if total is None else total
        x = x.narrow(axis, 0, x.shape[axis] - reach) + x.narrow(axis, reach, x.shape[axis] - reach)
        reach *= 2
