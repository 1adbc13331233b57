"""A training, `cmsr bench train`: a method from the literature, with cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cmsr.config import Config
from cmsr.errors import InputError, OptionError, OutputError
from cmsr.io import image_files
from cmsr.metrics import psnr
from cmsr.operators.resampling import resampler, shape_of
from cmsr.two_branch.train import Progress
from cmsr_bench import plots
from cmsr_bench.cases import Case, read_cases
from cmsr_bench.learners import RECIPES, Learner
from cmsr_bench.provenance import commit, machine, versions
from cmsr_bench.supervised import TrainingPair, batch, folded
from cmsr_bench.weights_file import Weights

CHECKPOINTS = 10
"""Validations of each fold, after which the weights are written."""

VALIDATED = 4
"""Held-out pairs in a validation during the training; the last one takes all."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Options of `cmsr bench train`.

    Attributes
    ----------
    method : str
        One of `RECIPES`.
    table : Path
        PAIRS.csv; every pair needs a guide and a truth.
    out : Path
        The weight file, with the plot beside it as .svg; an unfinished training is resumed.
    datasets : sequence of str
        Of the pairs to keep; all if empty.
    folds : int
        Parts of the pairs, each held out once; as many as pairs leave one out.
    steps : int
        Batches in each fold; 0 for the method's own number.
    seed : int
        Of the first weights and of the patches.
    """

    method: str
    table: Path
    out: Path
    datasets: Sequence[str] = ()
    folds: int = 2
    steps: int = 0
    seed: int = 0

    def run(self, progress: Progress | None = None) -> Weights:
        """Train every fold, and keep the weight file and a plot of the validation up to date.

        The weights of the last step are kept; nothing is chosen by the validation.

        Raises
        ------
        CmsrError
            If the table or a pair cannot be used, or ``out`` holds another training run.
        """
        if self.method not in RECIPES:
            raise OptionError(
                f"there is no training of {self.method!r}; choose from {', '.join(RECIPES)}"
            )
        cases = read_cases(self.table, self.datasets)
        if not 2 <= self.folds <= len(cases):
            raise OptionError(
                f"folds is {self.folds}; with {len(cases)} pairs it must lie from 2 to {len(cases)}"
            )
        image_files.check_output(self.out, inputs=[self.table], overwrite=True)
        scale = _scale_of(cases)
        if not self.out.exists() and self._plot.exists():
            raise OutputError(
                f"{self._plot}: exists; the plot of the validation would replace it; remove it"
            )
        known = [TrainingPair.of(case, scale) for case in cases]
        weights = self._begun(known, scale)
        torch.set_flush_denormal(True)
        for fold in range(self.folds):
            self._train(fold, known, weights, progress)
        return weights

    @property
    def _plot(self) -> Path:
        return self.out.with_suffix(".svg")

    def _begun(self, known: Sequence[TrainingPair], scale: int) -> Weights:
        """Return the weights so far: those of the file, or empty ones."""
        dealt = folded(known, self.folds)
        held_out = [list(dict.fromkeys(h for pair in held for h in pair.digests)) for held in dealt]
        steps = self.steps or RECIPES[self.method].steps
        fresh = Weights(self.method, scale, self.seed, steps, self.folds, held_out)
        fresh.curves, fresh.done = [[] for _ in held_out], [0] * self.folds
        fresh.origin = {"versions": versions(), "commit": commit(), "machine": machine()}
        if not self.out.exists():
            return fresh
        found = Weights.read(self.out)
        same = ("method", "scale", "seed", "steps", "folds", "held_out")
        if any(getattr(found, name) != getattr(fresh, name) for name in same):
            raise InputError(
                f"{self.out}: holds another training (method, pairs, folds, steps or seed differ); "
                "choose another name or remove it"
            )
        return found

    def _train(
        self, fold: int, known: Sequence[TrainingPair], weights: Weights, progress: Progress | None
    ) -> None:
        hashes = set(weights.held_out[fold])
        held = [k for k in known if not hashes.isdisjoint(k.digests)]
        seen = [k for k in known if hashes.isdisjoint(k.digests)]
        recipe, steps = RECIPES[self.method], weights.steps
        learner, first = Learner(recipe, weights.scale, self.seed), weights.done[fold]
        if first == steps:
            return
        if first:
            learner.load(weights.of_fold(fold))
        losses: list[float] = []
        for step in range(first, steps):
            rng = np.random.default_rng([self.seed, fold, step])
            patches = batch(seen, recipe.batch, recipe.side, rng)
            losses.append(learner.learn(patches, step / steps))
            if progress:
                progress(f"{self.method}, fold {fold + 1}", step + 1, steps, losses[-1])
            done = step + 1
            if done == steps or done % max(1, steps // CHECKPOINTS) == 0:
                validated = held if done == steps else held[:VALIDATED]
                psnr, plain = _validate(learner.network, validated)
                weights.curves[fold].append([done, float(np.mean(losses)), psnr, plain])
                weights.done[fold] = done
                weights.replace_fold(fold, learner.state(finished=done == steps))
                weights.write(self.out)
                plots.curves(self._plot, weights.curves)
                losses.clear()


def report(weights: Weights) -> str:
    """Return a table of each finished fold's PSNR on its held-out pairs."""
    head = "| fold | held out | steps | PSNR (dB) | bicubic | gain |\n|---|---|---|---|---|---|\n"
    rows = [
        f"| {fold + 1} | {len(held)} | {curve[-1][0]} | {curve[-1][2]:.2f} | {curve[-1][3]:.2f} "
        f"| {curve[-1][2] - curve[-1][3]:+.2f} |\n"
        for fold, (held, curve) in enumerate(zip(weights.held_out, weights.curves, strict=True))
        if curve
    ]
    return head + "".join(rows)


def _scale_of(cases: Sequence[Case]) -> int:
    """Return the whole factor of the first pair: that of the table, or of its images."""
    first = cases[0]
    if first.scale is not None:
        ratio = first.scale
    else:
        inputs = first.inputs(Config())
        if inputs.guide is None:
            raise InputError(f"{first.label}: training needs a guide and a truth")
        ratio = inputs.guide.shape[1] / inputs.target.shape[1]
    scale = round(ratio)
    if scale < 2 or abs(ratio / scale - 1) > 0.05:
        raise InputError(f"{first.label}: its factor is {ratio:.3g}; training needs a whole one")
    return scale


@torch.no_grad()
def _validate(network: nn.Module, held: Sequence[TrainingPair]) -> tuple[float, float]:
    """Return the mean PSNR of a network and of bicubic interpolation over held-out pairs."""
    found = []
    for pair in held:
        enlarge = resampler(shape_of(pair.target), shape_of(pair.truth))
        images = network(pair.target, pair.guide), enlarge(pair.target)
        found.append([psnr(x.numpy(), pair.truth.numpy(), 1 / pair.span) for x in images])
    ours, plain = np.mean(found, axis=0)
    return float(ours), float(plain)
