"""Sharpening by the guide's edges: the guided filter and edge-weighted total variation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import Resampler, project
from cmsr.priors.sparse_blocks import Dual, gradient_x, gradient_y


class GuidedFilter:
    """The colour guided filter (He, Sun, Tang, PAMI 2013, eqs. 19-21), the guide's part kept.

    Parameters
    ----------
    guide : Tensor, shape (G, H, W)
        [0, 1].
    radius : int
        Windows are squares of side 2 · radius + 1 pixels, cut at the border.
    ridge : float
        ε of the paper.
    """

    def __init__(self, guide: Tensor, radius: int, ridge: float = 1e-4) -> None:
        self.guide, self.radius = guide, radius
        self.mean = box_mean(guide, radius)
        count = len(guide)
        pairs = [(i, j) for i in range(count) for j in range(i + 1)]
        products = box_mean(torch.stack([guide[i] * guide[j] for i, j in pairs]), radius)
        covariance = {
            (i, j): mean - self.mean[i] * self.mean[j] + (ridge if i == j else 0)
            for (i, j), mean in zip(pairs, products, strict=True)
        }
        self.factor = _factorised(covariance, count)

    def __call__(self, x: Tensor) -> Tensor:
        """Filter an image of shape (H, W)."""
        coefficients = self.coefficients(x)
        return (coefficients[:-1] * self.guide).sum(0) + coefficients[-1]

    def coefficients(self, x: Tensor) -> Tensor:
        """Return what the guide's channels are multiplied by, and the offset, (G + 1, H, W)."""
        means = box_mean(torch.cat([x[None], self.guide * x]), self.radius)
        cross = list(means[1:] - self.mean * means[0])
        slope = torch.stack(_solved(self.factor, cross))
        offset = means[0] - (slope * self.mean).sum(0)
        return box_mean(torch.cat([slope, offset[None]]), self.radius)


def _factorised(matrix: dict[tuple[int, int], Tensor], size: int) -> dict[tuple[int, int], Tensor]:
    """Factorise symmetric matrices, given by images of their lower entries, as L D Lᵀ.

    Returned are D at (i, i) and L at (i, j) below.
    """
    factor: dict[tuple[int, int], Tensor] = {}
    for j in range(size):
        for i in range(j, size):
            rest = matrix[i, j]
            for k in range(j):
                rest = rest - factor[i, k] * factor[k, k] * factor[j, k]
            factor[i, j] = rest if i == j else rest / factor[j, j]
    return factor


def _solved(factor: dict[tuple[int, int], Tensor], right: list[Tensor]) -> list[Tensor]:
    """Solve L D Lᵀ x = right, pixel by pixel."""
    x = list(right)
    for i in range(len(x)):
        for k in range(i):
            x[i] = x[i] - factor[i, k] * x[k]
    x = [part / factor[i, i] for i, part in enumerate(x)]
    for i in reversed(range(len(x))):
        for k in range(i + 1, len(x)):
            x[i] = x[i] - factor[k, i] * x[k]
    return x


def box_mean(x: Tensor, radius: int) -> Tensor:
    """Mean of (..., H, W) over square windows, cut at the border."""
    for axis in (-2, -1):
        n = x.shape[axis]
        index = torch.arange(n, device=x.device)
        count = (index + radius).clamp(max=n - 1) - (index - radius).clamp(min=0) + 1
        margins = (radius, radius) if axis == -1 else (0, 0, radius, radius)
        total = _window_sums(F.pad(x, margins), 2 * radius + 1, axis)
        x = total / count.to(x.dtype).view([-1, 1] if axis == -2 else [-1])
    return x


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


class EdgeVariation:
    """Total variation that is cheap across the guide's edges and dear elsewhere.

    Parameters
    ----------
    guide : Tensor, shape (G, H, W)
        [0, 1].
    contrast : float
        Step in the guide at which crossing costs 1 / e.
    floor : float
        What crossing the strongest edge still costs.
    """

    def __init__(self, guide: Tensor, contrast: float = 0.03, floor: float = 0.05) -> None:
        self.weight_x, self.weight_y = (
            floor + (1 - floor) * torch.exp(-difference(guide).abs().amax(0) / contrast)
            for difference in (gradient_x, gradient_y)
        )

    def sharpen(
        self,
        x: Tensor,
        y: Tensor,
        reduce: Resampler,
        valid: Tensor,
        *,
        step: float = 0.003,
        iterations: int = 40,
    ) -> Tensor:
        """Lower it under agreement with ``y``, stopped early (Chambolle & Pock, 2011, alg. 1).

        ``x`` (H, W) is where to start; ``y`` and ``valid`` are (h, w).
        """
        dual, leading = Dual(x), x
        for _ in range(iterations):
            dual.climb(leading, 1 / (8 * step))
            dual.shrink(self.weight_x, self.weight_y)
            moved = project(dual.added_to(x, step), y, reduce, valid, 1e-4 / step)
            leading, x = 2 * moved - x, moved
        return x
