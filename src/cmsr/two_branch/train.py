"""Training on a single pair: alternating scales, one way of training or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.operators.resampling import Kernel, resampler, shape_of
from cmsr.pair import Pair
from cmsr.progress import TRAINING, Progress
from cmsr.registration.chain import WarpChain
from cmsr.two_branch.examples import Example, Place, draw_place
from cmsr.two_branch.learning import Learner
from cmsr.two_branch.network import TwoBranch, masked_l1, total

MEASURE_EVERY = 30
"""Iterations between two measurements of the reconstruction error: every 10 are no better
(EXPERIMENTS.md)."""

Schemes = tuple[tuple[Example, ...], tuple[Example, ...]]
"""Examples of the downsampling-based scheme, and of the upsampling-based one."""


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

    def as_warped(self, example: Example, pair: Pair) -> Example:
        """Return an example with the whole guide as the chain warps it now."""
        if self.chain is None or pair.guide is None:
            return example
        return example.with_guide(self.chain(pair.guide))


@dataclass(frozen=True)
class Arm:
    """One way to train a network on a pair.

    Attributes
    ----------
    pair : Pair
        The guide is aligned on the way where ``config.align`` says so.
    config : Config
        ``p``, ``guide_p``, ``guide_rate``, ``guide_start``, ``crop``, ``iterations``,
        ``learning_rate``, ``seed`` and their guide-free twins.
    """

    pair: Pair
    config: Config

    @property
    def p(self) -> float:
        """Share of the upsampling-based scheme in the steps of the sharpening branch."""
        assert self.config.p != "auto", "a p that is still to be chosen"  # noqa: S101
        return self.config.p

    @property
    def guide_p(self) -> float:
        """The same in those of the guide branch."""
        return self.p if self.config.guide_p is None else self.config.guide_p

    @property
    def iterations(self) -> int:
        """Steps to train, at most."""
        guided = self.pair.guide is not None
        return self.config.iterations if guided else self.config.iterations_guide_free

    def new_fit(self) -> Fit:
        """Return a network with weights drawn by the seed, on the pair's device."""
        pair, config = self.pair, self.config
        torch.manual_seed(config.seed)
        network = TwoBranch(pair.target.shape[1], pair.guide, config.guide_start)
        network = network.to(pair.target.device)
        if pair.guide is None or config.align == "off" or config.warps == "found":
            return Fit(network)
        chain = WarpChain(pair.shape, config.align)
        return Fit(network, chain.to(pair.target.device))


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
        sight = _Sight(self.arms[0], self.step, self._schemes[id(self.arms[0].pair)], self._kernel)
        own = {p: sight.sharpened(network, p) for p, network in self._shared.items()}
        alone = {p: sight.loss(sharpened, p) for p, sharpened in own.items()}
        bases = {(p, sight.scheme(p)): sharpened.detach() for p, sharpened in own.items()}
        losses: list[Tensor | None] = []
        for arm, fit in zip(self.arms, self.fits, strict=True):
            explained = sight.explained(arm, fit, self._schemes[id(arm.pair)])
            if explained is None:
                losses.append(None)
                continue
            at = arm.p, sight.scheme(arm.guide_p)
            if at not in bases:
                with torch.no_grad():
                    bases[at] = sight.sharpened(fit.network, arm.guide_p)
            losses.append(sight.loss(bases[at] + explained, arm.guide_p))
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


class _Sight:
    """One training step as all arms see it: one coin, and one patch in each scheme."""

    def __init__(self, arm: Arm, step: int, schemes: Schemes, kernel: Kernel) -> None:
        config, self._schemes, self._kernel = arm.config, schemes, kernel
        self._ratio, self._key = arm.pair.ratio, (config.seed, step)
        self._crop = config.crop if arm.pair.guide is not None else config.crop_guide_free
        self._coin = np.random.default_rng(self._key).random()
        self._places: dict[int, tuple[int, Place]] = {}
        self._labels: dict[int, tuple[Example, Tensor]] = {}
        self._guides: dict[tuple[int, int], Tensor | None] = {}

    def scheme(self, p: float) -> int:
        """Return 1 for the upsampling-based scheme, which a share p of all steps uses, else 0."""
        return int(self._coin < p)

    def sharpened(self, network: TwoBranch, p: float) -> Tensor:
        """Return what branch S makes of the patch."""
        return network.sharpened(self._label(self.scheme(p))[1])

    def loss(self, output: Tensor, p: float) -> Tensor:
        """Compare with the patch's label where it was measured."""
        label = self._label(self.scheme(p))[0]
        return masked_l1(output, label.label, label.valid)

    def explained(self, arm: Arm, fit: Fit, schemes: Schemes) -> Tensor | None:
        """Return what branch E of an arm makes of its guide; None without one."""
        if fit.network.explain is None:
            return None
        scheme = self.scheme(arm.guide_p)
        index, place = self._place(scheme)
        if fit.chain is not None:
            guide = fit.as_warped(schemes[scheme][index], arm.pair).guide
            return None if guide is None else fit.network.explained(place.of(guide))
        key = scheme, id(arm.pair)
        if key not in self._guides:
            guide = schemes[scheme][index].guide
            self._guides[key] = None if guide is None else place.of(guide)
        return fit.network.explained(self._guides[key])

    def _place(self, scheme: int) -> tuple[int, Place]:
        """Draw which example of a scheme is shown and where, by the same random numbers in both."""
        if scheme not in self._places:
            rng, examples = np.random.default_rng((*self._key, 1)), self._schemes[scheme]
            index = int(rng.integers(len(examples)))
            shape = shape_of(examples[index].label)
            self._places[scheme] = index, draw_place(shape, self._crop, rng)
        return self._places[scheme]

    def _label(self, scheme: int) -> tuple[Example, Tensor]:
        """Return the patch without its guide, and what a network is fed for it."""
        if scheme not in self._labels:
            index, place = self._place(scheme)
            patch = replace(self._schemes[scheme][index], guide=None).patch(place)
            self._labels[scheme] = patch, reenlarged(patch.label, self._ratio, self._kernel)
        return self._labels[scheme]


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


def reenlarged(label: Tensor, ratio: tuple[float, float], kernel: Kernel) -> Tensor:
    """Reduce a label by the ratio and enlarge it back: the network's input for that label."""
    full = label.shape[-2], label.shape[-1]
    small = max(1, round(full[0] / ratio[0])), max(1, round(full[1] / ratio[1]))
    device = str(label.device)
    reduced = resampler(full, small, kernel, device)(label)
    return resampler(small, full, "bicubic", device)(reduced)


def squared_error(output: Tensor, label: Tensor, valid: Tensor) -> float:
    """Mean squared error where ``valid`` is 1."""
    return float(masked_l1((output - label) ** 2, torch.zeros_like(output), valid))
