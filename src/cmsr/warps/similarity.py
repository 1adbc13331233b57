"""How much of a target a guide explains, and the two ways to search for where it does most."""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

MOMENTS = (0.8, 0.95)
"""Decay of Adam's mean and mean square of the slopes."""

WARM_UP = 0.2
"""Share of `descend`'s steps over which the rate rises."""


def explained(
    target: Tensor, guide: Tensor, weight: Tensor, *, radius: int = 3, floor: float = 0.02
) -> Tensor:
    """Measure how much of a target's local structure a linear function of the guide explains.

    In each window the target is regressed on the guide's channels; the measure is the mean fall
    of the logarithm of its variance, ``log(var + floor) - log(residual var + floor)``. The
    logarithm keeps the few windows of strong contrast from outvoting the many.

    Parameters
    ----------
    target : Tensor (C, h, w), about of mean 0 and variance 1 per channel.
    guide : Tensor (K, h, w), on the target's grid, likewise standardised.
    weight : Tensor (h, w), 0 where the target or the guide is not known, else 1.
    radius : windows have 2 * radius + 1 pixels a side.
    floor : variance that counts as noise.

    Returns
    -------
    Tensor ()
        In nats; 0 means nothing is explained. Differentiable in the guide.
    """
    channels = len(guide)
    pairs = [(i, j) for i in range(channels) for j in range(i, channels)]
    products = [guide[i] * guide[j] for i, j in pairs]
    mixed = (target[:, None] * guide).flatten(0, 1)
    moments = torch.cat((target, target.square(), guide, torch.stack(products), mixed))
    window = 2 * radius + 1
    share = _window_means(weight[None], window)
    moments = _window_means(moments * weight, window) / share.clamp_min(1e-3)
    sizes = [len(target), len(target), channels, len(pairs), len(mixed)]
    mean_t, square_t, mean_g, square_g, cross = torch.split(moments, sizes)

    variance = (square_t - mean_t.square()).clamp_min(0)
    cross = cross.reshape(len(target), channels, *share.shape[1:]) - mean_t[:, None] * mean_g
    covariance = {
        (i, j): square_g[n] - mean_g[i] * mean_g[j] + (0.01 if i == j else 0)
        for n, (i, j) in enumerate(pairs)
    }
    residual = (variance - _regressed(covariance, list(cross.unbind(1)))).clamp_min(0)
    gain = ((variance + floor) / (residual + floor)).log().mean(0)
    return (gain * share[0]).sum() / share.sum().clamp_min(1e-3)


def climb(
    objective: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    reach: float = 0.03,
    iterations: int = 12,
) -> tuple[Tensor, float]:
    """Maximise a smooth function of a few parameters near a start, by BFGS with short steps.

    Parameters
    ----------
    objective : function of a Tensor (n,) that returns a differentiable Tensor ().
    start : Tensor (n,), where to begin.
    reach : length of the longest step; the first is a third of it.
    iterations : most steps.

    Returns
    -------
    The best parameters (n,) and their value.
    """
    point = start.detach()
    value, slope = _value_and_slope(objective, point)
    inverse = torch.eye(len(point)).to(point) * (reach / 3 / slope.norm().clamp_min(1e-12))
    for iteration in range(iterations):
        step = inverse @ slope
        step = step * (reach / step.norm().clamp_min(reach))
        for _ in range(4):
            ahead, ahead_slope = _value_and_slope(objective, point + step)
            if ahead > value:
                break
            step = step / 3
        else:
            break
        change = slope - ahead_slope
        point, value, slope = point + step, ahead, ahead_slope
        curvature = step @ change
        if step.norm() < 1e-4:
            break
        if curvature > 1e-10:
            if iteration == 0:
                inverse = torch.eye(len(point)).to(point) * (curvature / (change @ change))
            turn = torch.eye(len(point)).to(point) - torch.outer(step, change) / curvature
            inverse = turn @ inverse @ turn.T + torch.outer(step, step) / curvature
    return point, value


def descend(
    objective: Callable[[Tensor], Tensor], start: Tensor, steps: int, rate: float
) -> Tensor:
    """Minimise a smooth function of many parameters near a start, by Adam in one cycle.

    Written out, as importing `torch.optim` takes longer than everything this is used for.

    Parameters
    ----------
    objective : function of a Tensor (n,) that returns a differentiable Tensor ().
    start : Tensor (n,), where to begin.
    steps : number of steps.
    rate : highest learning rate.
    """
    point = start.detach()
    mean, square = torch.zeros_like(point), torch.zeros_like(point)
    for step in range(1, steps + 1):
        _, slope = _value_and_slope(objective, point)
        mean = MOMENTS[0] * mean + (1 - MOMENTS[0]) * slope
        square = MOMENTS[1] * square + (1 - MOMENTS[1]) * slope.square()
        ready = mean / (1 - MOMENTS[0] ** step)
        size = (square / (1 - MOMENTS[1] ** step)).sqrt() + 1e-8
        point = point - rate * _one_cycle(step / steps) * ready / size
    return point


def _one_cycle(share: float) -> float:
    """Rate relative to its highest, after a share of the steps: up, then down to a fiftieth."""
    if share < WARM_UP:
        return 0.5 - 0.5 * math.cos(math.pi * share / WARM_UP)
    return 0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP)))


def _value_and_slope(objective: Callable[[Tensor], Tensor], point: Tensor) -> tuple[float, Tensor]:
    point = point.clone().requires_grad_()
    value = objective(point)
    (slope,) = torch.autograd.grad(value, point)
    return value.item(), slope


def _window_means(image: Tensor, window: int) -> Tensor:
    """Average (K, h, w) over all square windows that lie inside.

    By two products with banded matrices: at the sizes here several times as fast as pooling.
    """
    down, across = (_band(side, window).to(image) for side in image.shape[1:])
    return down @ (image @ across.T)


@lru_cache(maxsize=16)
def _band(side: int, window: int) -> Tensor:
    """Return the matrix (side - window + 1, side) that averages ``window`` neighbours."""
    return torch.ones(side - window + 1, side).triu().tril(window - 1) / window


def _regressed(covariance: dict[tuple[int, int], Tensor], cross: list[Tensor]) -> Tensor:
    """Variance that a regression explains, by elimination: ``cross' covariance^-1 cross``."""
    share = torch.zeros_like(cross[0])
    for i in range(len(cross)):
        pivot = covariance[i, i]
        share = share + cross[i].square() / pivot
        for j in range(i + 1, len(cross)):
            ratio = covariance[i, j] / pivot
            cross[j] = cross[j] - ratio * cross[i]
            for k in range(j, len(cross)):
                covariance[j, k] = covariance[j, k] - ratio * covariance[i, k]
    return share
