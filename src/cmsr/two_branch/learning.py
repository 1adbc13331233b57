"""How a branch learns: its optimiser, and the published rule for the learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

CHECK_EVERY = 60
"""Iterations between two checks of the learning rate; from the supplement, as the next two."""
WINDOW = 256
"""Iterations over which the trend of the error is fitted."""
LOWEST_RATE = 9e-6
"""Training stops below this learning rate."""


class Learner:
    """Parameters, the optimiser that changes them, and how fast.

    Parameters
    ----------
    groups : list of dict
        Parameters as an optimiser takes them; ``scale`` is a group's part of the learning rate.
    rate : float
        Initial learning rate.
    """

    def __init__(self, groups: list[dict[str, Any]], rate: float) -> None:
        groups = [{**group, "lr": rate * group["scale"]} for group in groups]
        self.optimizer = torch.optim.Adam(groups, fused=True)
        self.rate = PlateauRate(rate)

    @property
    def finished(self) -> bool:
        """Whether the rate has fallen so low that nothing more is learned."""
        return self.rate.value < LOWEST_RATE

    def learn(self, loss: Tensor) -> None:
        """Take one step down a loss."""
        if self.finished:
            return
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()

    def measured(self, step: int, error: float) -> None:
        """Take the reconstruction error after an iteration, and adapt the rate."""
        self.rate.update(step, error)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate.value * group["scale"]


class PlateauRate:
    """The published learning-rate rule.

    Every 60 iterations, once 256 have passed since the last change, a line is fitted to the
    reconstruction error of the last 256: where −1.5 × its slope is below the slope's standard
    deviation, the error falls no longer and the rate is divided by 10.
    """

    def __init__(self, value: float) -> None:
        self.value = value
        self._steps: list[int] = []
        self._errors: list[float] = []
        self._changed = 0

    def update(self, step: int, error: float) -> float:
        """Take the error after an iteration and return the rate for the next."""
        self._steps.append(step)
        self._errors.append(error)
        if step % CHECK_EVERY == 0 and step - self._changed >= WINDOW and self._flat():
            self.value /= 10
            self._changed = step
        return self.value

    def _flat(self) -> bool:
        recent = [i for i, step in enumerate(self._steps) if step > self._steps[-1] - WINDOW]
        steps, errors = self._steps[recent[0] :], self._errors[recent[0] :]
        (slope, _), covariance = np.polyfit(steps, errors, 1, cov=True)
        return bool(-1.5 * slope < np.sqrt(covariance[0, 0]))
