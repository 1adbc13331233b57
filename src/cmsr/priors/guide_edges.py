"""Sharpening by the guide's edges: the guided filter and edge-weighted total variation."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from cmsr.operators.local_regression import LocalRegression, box_mean
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
        self.guide = guide
        self._average = partial(box_mean, radius=radius)
        self._regression = LocalRegression.on(guide, ridge, self._average)

    def __call__(self, x: Tensor) -> Tensor:
        """Filter an image of shape (H, W)."""
        coefficients = self.coefficients(x)
        return (coefficients[:-1] * self.guide).sum(0) + coefficients[-1]

    def coefficients(self, x: Tensor) -> Tensor:
        """Return what the guide's channels are multiplied by, and the offset, (G + 1, H, W)."""
        means = self._average(torch.cat([x[None], self.guide * x]))
        slopes = self._regression.slopes(means[1:] - self._regression.mean * means[0])
        offset = means[0] - (slopes * self._regression.mean).sum(0)
        return self._average(torch.cat([slopes, offset[None]]))


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
