"""Training on a single pair: alternating scales, and the learning-rate rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.operators.resampling import Kernel, resampler
from cmsr.pair import Pair
from cmsr.progress import TRAINING, Progress
from cmsr.registration.chain import WarpChain
from cmsr.two_branch.examples import Example, draw_patch
from cmsr.two_branch.network import TwoBranch, masked_l1

MEASURE_EVERY = 10
"""Iterations between two measurements of the reconstruction error: every 60 are no better
(EXPERIMENTS.md)."""
CHECK_EVERY = 60
"""Iterations between two checks of the learning rate; from the supplement, as the next two."""
WINDOW = 256
"""Iterations over which the trend of the error is fitted."""
LOWEST_RATE = 9e-6
"""Training stops below this learning rate."""


@dataclass
class Fit:
    """Result of training.

    Attributes
    ----------
    network : TwoBranch
        Weights learned from this pair.
    chain : WarpChain or None
        Warps the guide; None leaves it where it is.
    history : dict of lists
        Loss and learning rate at each iteration.
    """

    network: TwoBranch
    chain: WarpChain | None = None
    history: dict[str, list[float]] = field(default_factory=lambda: {"loss": [], "rate": []})


def train(
    pair: Pair,
    kernel: Kernel,
    config: Config,
    fit: Fit | None = None,
    extra: tuple[Example, ...] = (),
    progress: Progress | None = None,
) -> Fit:
    """Learn from one pair alone, by Alternating Scales (the supplement, section 2).

    Parameters
    ----------
    pair : Pair
        The guide is aligned on the way where ``config.align`` says so.
    kernel : str or PointSpread
        The imaging kernel by which labels are reduced.
    config : Config
        ``p``, ``crop``, ``iterations``, ``learning_rate``, ``seed`` and their guide-free twins.
    fit : Fit, optional
        Result to continue from (gradual increments); a new network otherwise.
    extra : tuple of Example
        Further labels for the downsampling-based scheme, such as results at smaller ratios.
    progress : callable, optional
        Called after every step.
    """
    guided = pair.guide is not None
    iterations = config.iterations if guided else config.iterations_guide_free
    crop = config.crop if guided else config.crop_guide_free
    rng = np.random.default_rng(config.seed)
    fit = fit or new_fit(pair, config)
    schemes = (Example.downsampling(pair), *extra), (Example.upsampling(pair),)
    optimizer = torch.optim.Adam(_groups(fit, config.learning_rate))
    rate = PlateauRate(config.learning_rate)
    for step in range(iterations):
        examples = schemes[int(rng.random() < config.p)]
        example = _as_warped(examples[rng.integers(len(examples))], pair, fit)
        patch = draw_patch(example, crop, rng)
        loss = fit.network.loss(
            reenlarged(patch.label, pair.ratio, kernel), patch.guide, patch.label, patch.valid
        )
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        fit.history["loss"].append(loss.item())
        fit.history["rate"].append(rate.value)
        if progress:
            progress(TRAINING, step + 1, iterations, loss.item())
        if (step + 1) % MEASURE_EVERY == 0:
            whole = _as_warped(schemes[0][0], pair, fit)
            error = reconstruction_error(fit.network, whole, pair.ratio, kernel)
            rate.update(step + 1, error)
            for group in optimizer.param_groups:
                group["lr"] = rate.value * group["scale"]
        if rate.value < LOWEST_RATE:
            break
    return fit


def new_fit(pair: Pair, config: Config) -> Fit:
    """Return a network with weights drawn by the seed, on the pair's device, and no warp yet."""
    torch.manual_seed(config.seed)
    network = TwoBranch(pair.target.shape[1], pair.guide).to(pair.target.device)
    if pair.guide is None or config.align == "off":
        return Fit(network)
    return Fit(network, WarpChain(pair.shape, config.align).to(pair.target.device))


def _groups(fit: Fit, rate: float) -> list[dict[str, Any]]:
    """Return all parameters with their learning rates, as an optimiser takes them."""
    network = {"params": list(fit.network.parameters()), "lr": rate, "scale": 1.0}
    return [network, *(fit.chain.groups(rate) if fit.chain else [])]


def _as_warped(example: Example, pair: Pair, fit: Fit) -> Example:
    """Return an example with the whole guide as the chain warps it now."""
    if fit.chain is None or pair.guide is None:
        return example
    return example.with_guide(fit.chain(pair.guide))


def reenlarged(label: Tensor, ratio: tuple[float, float], kernel: Kernel) -> Tensor:
    """Reduce a label by the ratio and enlarge it back: the network's input for that label."""
    full = label.shape[-2], label.shape[-1]
    small = max(1, round(full[0] / ratio[0])), max(1, round(full[1] / ratio[1]))
    device = str(label.device)
    reduced = resampler(full, small, kernel, device)(label)
    return resampler(small, full, "bicubic", device)(reduced)


@torch.no_grad()
def reconstruction_error(
    network: TwoBranch, example: Example, ratio: tuple[float, float], kernel: Kernel
) -> float:
    """Mean squared error of rebuilding a whole label from its reduced self."""
    output = network(reenlarged(example.label, ratio, kernel), example.guide)
    return float(masked_l1((output - example.label) ** 2, torch.zeros_like(output), example.valid))


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
