"""Optimisers of the registration: BFGS for a few parameters, Adam for many."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

MOMENTS = (0.8, 0.95)
"""Decay of Adam's mean and mean square of the gradients, by eye."""

REACH, ITERATIONS = 0.03, 12
"""Length of `climb`'s longest step, of which the first is a third, and number of steps; by eye."""

WARM_UP = 0.2
"""Share of `descend`'s steps over which the rate rises, by eye."""


Objective = Callable[[Tensor, Tensor], Tensor]
"""Takes parameters (M, n) and the numbers (M,) of their functions; returns their values (M,)."""


def climb(objective: Objective, starts: Tensor) -> tuple[Tensor, Tensor]:
    """Maximise smooth functions of a few parameters near a start each, by BFGS with short steps.

    All are maximised at once, none depends on the others, and only those still climbing are
    evaluated.

    Parameters
    ----------
    objective : `Objective`, differentiable; each value is that of its own row.
    starts : Tensor (N, n), where to begin.

    Returns
    -------
    The best parameters (N, n) and their values (N,).
    """
    points = starts.detach()
    every = torch.arange(len(points))
    values, slopes = _of_rows(objective, points, every)
    identity = torch.eye(points.shape[1]).to(points)
    inverse = identity * (REACH / 3 / _length(slopes))[:, None]
    climbing = torch.ones_like(values, dtype=torch.bool)
    for iteration in range(ITERATIONS):
        steps = (inverse @ slopes[..., None])[..., 0]
        steps = steps * (REACH / _length(steps).clamp_min(REACH))
        steps, ahead, ahead_slopes = _higher(objective, points, steps, values, slopes, climbing)
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
    objective: Objective,
    points: Tensor,
    steps: Tensor,
    values: Tensor,
    slopes: Tensor,
    climbing: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Shorten steps until those still climbing rise, thrice at most; return values and slopes."""
    ahead, ahead_slopes, low = values, slopes, climbing
    for shortened in range(4):
        if shortened:
            steps = torch.where(low[:, None], steps / 3, steps)
        (rows,) = low.nonzero(as_tuple=True)
        found, found_slopes = _of_rows(objective, points + steps, rows)
        ahead, ahead_slopes = (
            old.index_put((rows,), new)
            for old, new in ((ahead, found), (ahead_slopes, found_slopes))
        )
        low = climbing & (ahead <= values)
        if not low.any():
            break
    return steps, ahead, ahead_slopes


def _of_rows(objective: Objective, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return values and slopes at some rows of the points."""
    return _values_and_slopes(lambda some: objective(some, rows), points[rows])


def _updated(inverse: Tensor, steps: Tensor, changes: Tensor) -> Tensor:
    """Update inverse Hessians (BFGS) where the slope falls along the step."""
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

    Written out, as importing `torch.optim` takes longer than all that it would be used for.

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
