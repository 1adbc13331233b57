"""Conjugate gradients for symmetric, positive definite systems that are given as functions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Apply = Callable[[Tensor], Tensor]


def conjugate_gradients(
    system: Apply, right: Tensor, steps: int, *, precondition: Apply, enough: float = 0.0
) -> Tensor:
    """Solve ``system(x) = right``, starting from zero.

    Parameters
    ----------
    system : callable
        Applies the matrix.
    right : Tensor
        Of any shape.
    steps : int
        Iterations at most.
    precondition : callable
        Applies a rough, symmetric and positive definite inverse of the matrix.
    enough : float
        Stop where the squared norm of the residual is no more than this share of that of
        ``right``; 0 takes all steps.

    References
    ----------
    Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., algorithm 9.1.
    """
    x, residual = torch.zeros_like(right), right
    ready = precondition(residual)
    direction, power = ready, (residual * ready).sum()
    tiny = torch.finfo(right.dtype).tiny
    limit = enough * (right * right).sum()
    for _ in range(steps):
        image = system(direction)
        step = power / (direction * image).sum().clamp(min=tiny)
        x, residual = x + step * direction, residual - step * image
        if enough and (residual * residual).sum() <= limit:
            break
        ready = precondition(residual)
        before, power = power, (residual * ready).sum()
        direction = ready + power / before.clamp(min=tiny) * direction
    return x
