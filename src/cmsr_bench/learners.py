"""Training steps: by the mean squared error, and with an adversarial loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmsr_bench.djf import Djf
from cmsr_bench.vtsr import Discriminator, Generator

Batch = tuple[Tensor, Tensor, Tensor]
"""Targets, guides, truths."""


@dataclass(frozen=True)
class Recipe:
    """Training of a method.

    Attributes
    ----------
    network : callable
        The network for a factor.
    steps, batch, side : int
        Batches, patches in each, and a patch's side in target pixels.
    rate : float
        Adam's first learning rate; a half cosine takes it to a hundredth.
    adversarial_from : float
        Share of the steps after which the adversarial loss is added.
    """

    network: Callable[[int], nn.Module]
    steps: int
    batch: int
    side: int
    rate: float
    adversarial_from: float = math.inf


RECIPES = {
    "djf": Recipe(Djf, steps=600, batch=4, side=12, rate=1e-3),
    "vtsrcnn": Recipe(Generator, steps=600, batch=4, side=20, rate=1e-3),
    "vtsrgan": Recipe(Generator, steps=600, batch=4, side=20, rate=1e-3, adversarial_from=0.7),
}
"""The trained methods. The numbers are set by hand, not fitted: the papers' trainings take days,
these minutes of one core. The adversary enters late, when results begin to resemble truths."""

ADVERSARIAL = 1e-3
"""Weight of the adversarial loss beside the mean squared error, as in SRGAN."""


class Learner:
    """A network and its optimiser."""

    def __init__(self, recipe: Recipe, scale: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe
        self.network = recipe.network(scale)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.modules: dict[str, nn.Module] = {"network": self.network}
        if recipe.adversarial_from < 1:
            self.modules["adversary"] = Discriminator()
        self.optimizers = {
            name: torch.optim.Adam(module.parameters(), lr=recipe.rate)
            for name, module in self.modules.items()
        }

    def learn(self, batch: Batch, progress: float) -> float:
        """Take one step; ``progress`` is the finished share of the training.

        Returns
        -------
        float
            The mean squared error before the step.
        """
        target, guide, truth = batch
        self._set_rate(progress)
        output = self.network(target, guide)
        error = F.mse_loss(output, truth)
        loss = error
        if progress >= self.recipe.adversarial_from:
            adversary = self.modules["adversary"]
            loss = error + ADVERSARIAL * F.softplus(-adversary(output)).mean()
        self._descend("network", loss)
        if progress >= self.recipe.adversarial_from:
            adversarial = F.softplus(adversary(output.detach())) + F.softplus(-adversary(truth))
            self._descend("adversary", adversarial.mean())
        return error.item()

    def _descend(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        parameters = list(self.modules[name].parameters())
        torch.autograd.backward(loss, inputs=parameters)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    def _set_rate(self, progress: float) -> None:
        rate = self.recipe.rate * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate

    def state(self, *, finished: bool) -> dict[str, Tensor]:
        """Return the network's tensors by name; before the end also the optimisers'."""
        if finished:
            return {f"network.{k}": v for k, v in self.network.state_dict().items()}
        state = {
            f"{name}.{k}": v
            for name, module in self.modules.items()
            for k, v in module.state_dict().items()
        }
        for name, optimizer in self.optimizers.items():
            for index, moments in optimizer.state_dict()["state"].items():
                state |= {f"adam.{name}.{index}.{k}": v for k, v in moments.items()}
        return state

    def load(self, state: dict[str, Tensor]) -> None:
        """Resume from an unfinished `state`."""
        for name, module in self.modules.items():
            module.load_state_dict(_under(state, name))
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in _under(state, f"adam.{name}").items():
                index, _, field = key.partition(".")
                moments.setdefault(int(index), {})[field] = value
            groups = self.optimizers[name].state_dict()["param_groups"]
            self.optimizers[name].load_state_dict({"state": moments, "param_groups": groups})


def _under(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with a prefix, without it."""
    return {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
