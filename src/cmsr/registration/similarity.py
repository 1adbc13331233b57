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
    target : Tensor (..., C, h, w), about of mean 0 and variance 1 per channel.
    guide : Tensor (..., K, h, w), on the target's grid, likewise standardised.
    weight : Tensor (..., h, w), 0 where the target or the guide is not known, else 1.
    radius : windows have 2 * radius + 1 pixels a side.
    floor : variance that counts as noise.

    Returns
    -------
    Tensor (...)
        In nats; 0 means nothing is explained. Differentiable in the guide.
    """
    depth, channels = target.shape[-3], guide.shape[-3]
    bands = list(guide.unbind(-3))
    pairs = [(i, j) for i in range(channels) for j in range(i, channels)]
    products = torch.stack([bands[i] * bands[j] for i, j in pairs], -3)
    mixed = (target.unsqueeze(-3) * guide.unsqueeze(-4)).flatten(-4, -3)
    moments = torch.cat((target, target.square(), guide, products, mixed), -3)
    window = 2 * radius + 1
    share = _window_means(weight, window)
    shown = share.clamp_min(1e-3).unsqueeze(-3)
    moments = _window_means(moments * weight.unsqueeze(-3), window) / shown
    sizes = [depth, depth, channels, len(pairs), depth * channels]
    mean_t, square_t, mean_g, square_g, cross = torch.split(moments, sizes, -3)

    variance = (square_t - mean_t.square()).clamp_min(0)
    means = [mean.unsqueeze(-3) for mean in mean_g.unbind(-3)]
    crosses = cross.reshape(*target.shape[:-2], channels, *cross.shape[-2:]).unbind(-3)
    covariance = {
        (i, j): square_g[..., n, None, :, :] - means[i] * means[j] + (0.01 if i == j else 0)
        for n, (i, j) in enumerate(pairs)
    }
    cross_terms = [of - mean_t * mean for of, mean in zip(crosses, means, strict=True)]
    residual = (variance - _regressed(covariance, cross_terms)).clamp_min(0)
    gain = ((variance + floor) / (residual + floor)).log().mean(-3)
    return (gain * share).sum((-2, -1)) / share.sum((-2, -1)).clamp_min(1e-3)


def climb(
    objective: Callable[[Tensor], Tensor],
    starts: Tensor,
    *,
    reach: float = 0.03,
    iterations: int = 12,
) -> tuple[Tensor, Tensor]:
    """Maximise smooth functions of a few parameters near a start each, by BFGS with short steps.

    All climb together, as one evaluation of many costs little more than one of one; none hears
    of the others.

    Parameters
    ----------
    objective : function of a Tensor (N, n) that returns a differentiable Tensor (N,), each value
        that of its own row.
    starts : Tensor (N, n), where to begin.
    reach : length of the longest step; the first is a third of it.
    iterations : most steps.

    Returns
    -------
    The best parameters (N, n) and their values (N,).
    """
    points = starts.detach()
    values, slopes = _values_and_slopes(objective, points)
    identity = torch.eye(points.shape[1]).to(points)
    inverse = identity * (reach / 3 / _length(slopes))[:, None]
    climbing = torch.ones_like(values, dtype=torch.bool)
    for iteration in range(iterations):
        steps = (inverse @ slopes[..., None])[..., 0]
        steps = steps * (reach / _length(steps).clamp_min(reach))
        steps, ahead, ahead_slopes = _higher(objective, points, steps, values, climbing)
        climbing = climbing & (ahead > values)
        changes = torch.where(climbing[:, None], slopes - ahead_slopes, 0.0)
        points = torch.where(climbing[:, None], points + steps, points)
        values = torch.where(climbing, ahead, values)
        slopes = torch.where(climbing[:, None], ahead_slopes, slopes)
        climbing = climbing & (_length(steps)[:, 0] >= 1e-4)
        if not climbing.any():
            break
        if iteration == 0:
            curvature = (steps * changes).sum(-1) / changes.square().sum(-1).clamp_min(1e-20)
            scaled = identity * curvature[:, None, None]
            inverse = torch.where((curvature > 0)[:, None, None], scaled, inverse)
        inverse = _updated(inverse, steps, changes)
    return points, values


def _higher(
    objective: Callable[[Tensor], Tensor],
    points: Tensor,
    steps: Tensor,
    values: Tensor,
    climbing: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Shorten steps until those still climbing rise, thrice at most; return values and slopes."""
    ahead, slopes = _values_and_slopes(objective, points + steps)
    for _ in range(3):
        low = climbing & (ahead <= values)
        if not low.any():
            break
        steps = torch.where(low[:, None], steps / 3, steps)
        ahead, slopes = _values_and_slopes(objective, points + steps)
    return steps, ahead, slopes


def _updated(inverse: Tensor, steps: Tensor, changes: Tensor) -> Tensor:
    """Learn from steps how slopes change (BFGS), where they fall along the step."""
    curvature = (steps * changes).sum(-1)[:, None, None]
    step, change = steps[:, :, None], changes[:, :, None]
    safe = curvature.clamp_min(1e-10)
    turn = torch.eye(steps.shape[1]).to(steps) - step @ change.mT / safe
    learned = turn @ inverse @ turn.mT + step @ step.mT / safe
    kept: Tensor = torch.where(curvature > 1e-10, learned, inverse)
    return kept


def _length(rows: Tensor) -> Tensor:
    """Lengths (N, 1) of rows (N, n), never zero."""
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return lengths.clamp_min(1e-12)


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
        _, slope = _values_and_slopes(objective, point)
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


def _values_and_slopes(
    objective: Callable[[Tensor], Tensor], points: Tensor
) -> tuple[Tensor, Tensor]:
    points = points.clone().requires_grad_()
    values = objective(points)
    (slopes,) = torch.autograd.grad(values.sum(), points)
    return values.detach(), slopes


def _window_means(image: Tensor, window: int) -> Tensor:
    """Average (..., h, w) over all square windows that lie inside.

    By two products with banded matrices: at the sizes here several times as fast as pooling.
    """
    down, across = (_band(side, window).to(image) for side in image.shape[-2:])
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
