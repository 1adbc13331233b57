"""Training on a single pair: alternating scales, one way of training or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.operators.resampling import Kernel
from cmsr.pair import Pair
from cmsr.progress import TRAINING, Progress
from cmsr.two_branch.arm import Arm, Fit
from cmsr.two_branch.examples import Example
from cmsr.two_branch.learning import Learner
from cmsr.two_branch.network import TwoBranch, masked_l1, total
from cmsr.two_branch.training_step import Schemes, TrainingStep, reenlarged

MEASURE_EVERY = 30
"""Iterations between two measurements of the reconstruction error: every 10 are no better
(EXPERIMENTS.md)."""


class Arms:
    """Several ways to train on one target, side by side.

    All see the same patches and toss the same coins; those of one p share their branch S, which
    learns nothing from the guide. Each is, to the byte, what it would be alone.

    Parameters
    ----------
    arms : sequence of Arm
        Alike in target, seed, crop, learning rate and iterations.
    kernel : str or PointSpread
        The imaging kernel by which labels are reduced.
    fits : sequence of Fit, optional
        What to continue from (gradual increments); new networks otherwise.
    extra : tuple of Example
        Further labels for the downsampling-based scheme, such as results at smaller ratios.
    """

    def __init__(
        self,
        arms: Sequence[Arm],
        kernel: Kernel,
        fits: Sequence[Fit] | None = None,
        extra: tuple[Example, ...] = (),
    ) -> None:
        self.arms, self.fits = list(arms), list(fits or [arm.new_fit() for arm in arms])
        self.step, self._kernel = 0, kernel
        rate = arms[0].config.learning_rate
        self._sharpening: dict[float, Learner] = {}
        shared: dict[float, TwoBranch] = {}
        for arm, fit in zip(self.arms, self.fits, strict=True):
            network = shared.setdefault(arm.p, fit.network)
            fit.network.sharpen = network.sharpen
            if network is fit.network:
                group = {"params": list(network.sharpen.parameters()), "scale": 1.0}
                self._sharpening[arm.p] = Learner([group], rate)
        self._explaining = [
            Learner(_guide_groups(arm, fit), rate) if fit.network.explain is not None else None
            for arm, fit in zip(self.arms, self.fits, strict=True)
        ]
        self._shared = shared
        self._schemes = _schemes_of(self.arms, extra)

    def train(self, until: int | None = None, progress: Progress | None = None) -> list[Fit]:
        """Train up to a step, by default the last, or until nothing more is learned."""
        iterations = self.arms[0].iterations
        while self.step < min(until or iterations, iterations) and not self._finished:
            self._learn()
            self.step += 1
            if progress:
                progress(TRAINING, self.step, iterations, self.fits[0].history["loss"][-1])
            if self.step % MEASURE_EVERY == 0:
                self._measure()
        return self.fits

    def go_on(self, index: int, pair: Pair) -> None:
        """Keep one arm alone, and let it see another version of its target."""
        arm = replace(self.arms[index], pair=pair)
        self.arms, self.fits = [arm], [self.fits[index]]
        self._explaining = [self._explaining[index]]
        self._shared = {arm.p: self.fits[0].network}
        self._sharpening = {arm.p: self._sharpening[arm.p]}
        self._schemes = _schemes_of(self.arms, ())

    @property
    def _finished(self) -> bool:
        learners = [*self._sharpening.values(), *filter(None, self._explaining)]
        return all(learner.finished for learner in learners)

    def _learn(self) -> None:
        """Take one step in every branch; all losses belong to the weights before it."""
        step = TrainingStep(
            self.arms[0], self.step, self._schemes[id(self.arms[0].pair)], self._kernel
        )
        own = {p: step.sharpened(network, p) for p, network in self._shared.items()}
        alone = {p: step.loss(sharpened, p) for p, sharpened in own.items()}
        bases = {(p, step.scheme(p)): sharpened.detach() for p, sharpened in own.items()}
        losses: list[Tensor | None] = []
        for arm, fit in zip(self.arms, self.fits, strict=True):
            explained = step.explained(arm, fit, self._schemes[id(arm.pair)])
            if explained is None:
                losses.append(None)
                continue
            at = arm.p, step.scheme(arm.guide_p)
            if at not in bases:
                with torch.no_grad():
                    bases[at] = step.sharpened(fit.network, arm.guide_p)
            losses.append(step.loss(bases[at] + explained, arm.guide_p))
        for p, learner in self._sharpening.items():
            learner.learn(alone[p])
        for arm, fit, loss, guide in zip(
            self.arms, self.fits, losses, self._explaining, strict=True
        ):
            if guide is not None and loss is not None:
                guide.learn(loss)
            leading = self._sharpening[arm.p] if guide is None else guide
            fit.history["loss"].append(
                float(alone[arm.p].detach()) + (0.0 if loss is None else float(loss.detach()))
            )
            fit.history["rate"].append(leading.rate.value)

    @torch.no_grad()
    def _measure(self) -> None:
        """Measure how well the whole target is rebuilt, for the learning rates."""
        pair = self.arms[0].pair
        label = self._schemes[id(pair)][0][0].label
        enlarged = reenlarged(label, pair.ratio, self._kernel)
        own = {p: network.sharpened(enlarged) for p, network in self._shared.items()}
        for p, learner in self._sharpening.items():
            learner.measured(self.step, squared_error(own[p], label, pair.valid))
        for arm, fit, guide in zip(self.arms, self.fits, self._explaining, strict=True):
            if guide is None:
                continue
            example = fit.as_warped(self._schemes[id(arm.pair)][0][0], arm.pair)
            output = total(own[arm.p], fit.network.explained(example.guide))
            guide.measured(self.step, squared_error(output, label, pair.valid))


def train(
    pair: Pair,
    kernel: Kernel,
    config: Config,
    fit: Fit | None = None,
    extra: tuple[Example, ...] = (),
    progress: Progress | None = None,
) -> Fit:
    """Learn from one pair alone, by Alternating Scales (the supplement, section 2).

    Parameters are those of `Arm` and `Arms`; ``progress`` is called after every step.
    """
    arms = Arms([Arm(pair, config)], kernel, [fit] if fit else None, extra)
    return arms.train(progress=progress)[0]


def _schemes_of(arms: Sequence[Arm], extra: tuple[Example, ...]) -> dict[int, Schemes]:
    """Return the examples of each pair, by its identity."""
    pairs = {id(arm.pair): arm.pair for arm in arms}
    return {
        key: ((Example.downsampling(pair), *extra), (Example.upsampling(pair),))
        for key, pair in pairs.items()
    }


def _guide_groups(arm: Arm, fit: Fit) -> list[dict[str, Any]]:
    """Return the parameters of branch E and of the warps with their parts of the learning rate."""
    explain = fit.network.explain
    branch = [] if explain is None else list(explain.parameters())
    group = {"params": branch, "scale": arm.config.guide_rate}
    return [group, *(fit.chain.groups() if fit.chain else [])]


def squared_error(output: Tensor, label: Tensor, valid: Tensor) -> float:
    """Mean squared error where ``valid`` is 1."""
    return float(masked_l1((output - label) ** 2, torch.zeros_like(output), valid))
