"""Sharpening by the guide's edges: the guided filter and edge-weighted total variation."""

from __future__ import annotations

import torch
from torch import Tensor

from cmsr.degrade import Resampler, project
from cmsr.priors.sparse import divergence, gradient_x, gradient_y


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
        products = box_mean(guide[:, None] * guide[None], radius)
        covariance = (products - self.mean[:, None] * self.mean[None]).permute(2, 3, 0, 1)
        eye = torch.eye(len(guide), device=guide.device)
        self.inverse = torch.linalg.inv(covariance + ridge * eye).permute(2, 3, 0, 1)

    def __call__(self, x: Tensor) -> Tensor:
        """Filter an image of shape (H, W)."""
        coefficients = self.coefficients(x)
        return (coefficients[:-1] * self.guide).sum(0) + coefficients[-1]

    def coefficients(self, x: Tensor) -> Tensor:
        """Return what the guide's channels are multiplied by, and the offset, (G + 1, H, W)."""
        mean = box_mean(x, self.radius)
        cross = box_mean(self.guide * x, self.radius) - self.mean * mean
        slope = (self.inverse * cross).sum(1)
        offset = mean - (slope * self.mean).sum(0)
        return box_mean(torch.cat([slope, offset[None]]), self.radius)


def box_mean(x: Tensor, radius: int) -> Tensor:
    """Mean of (..., H, W) over square windows, cut at the border."""
    for axis in (-2, -1):
        n = x.shape[axis]
        index = torch.arange(n, device=x.device)
        low, high = (index - radius).clamp(min=0), (index + radius + 1).clamp(max=n)
        total = torch.cat([torch.zeros_like(x.narrow(axis, 0, 1)), x.cumsum(axis)], axis)
        count = (high - low).to(x.dtype).view([-1, 1] if axis == -2 else [-1])
        x = (total.index_select(axis, high) - total.index_select(axis, low)) / count
    return x


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
        p = q = torch.zeros_like(x)
        leading, dual_step = x, 1 / (8 * step)
        for _ in range(iterations):
            p, q = p + dual_step * gradient_x(leading), q + dual_step * gradient_y(leading)
            excess = torch.hypot(p / self.weight_x, q / self.weight_y).clamp(min=1)
            p, q = p / excess, q / excess
            moved = project(x + step * divergence(p, q), y, reduce, valid, 1e-4 / step)
            leading, x = 2 * moved - x, moved
        return x
