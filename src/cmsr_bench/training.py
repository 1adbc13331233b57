"""A training, `cmsr bench train`: a method from the literature, with cross-validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from cmsr.config import Config
from cmsr.errors import InputError, OptionError, OutputError
from cmsr.io import image_files
from cmsr.metrics import psnr
from cmsr.operators.resampling import resampler, shape_of
from cmsr.parallel import no_denormals
from cmsr.progress import Progress
from cmsr_bench import plots
from cmsr_bench.cases import Case, read_cases
from cmsr_bench.learners import RECIPES, Learner
from cmsr_bench.provenance import commit, machine, versions
from cmsr_bench.supervised import TrainingPair, batch, folded
from cmsr_bench.weights_file import Weights

if TYPE_CHECKING:
    from cmsr_bench.commands import BenchTrain

CHECKPOINTS = 10
"""Validations of each fold, after which the weights are written."""

VALIDATED = 4
"""Held-out pairs in a validation during the training; the last one takes all."""


def train(options: BenchTrain, progress: Progress | None = None) -> Weights:
    """Train every fold, and keep the weight file and a plot of the validation up to date.

    The weights of the last step are kept; nothing is chosen by the validation.

    Parameters
    ----------
    options : BenchTrain
        The command's options.
    progress : callable, optional
        Called after every step.

    Raises
    ------
    CmsrError
        If the table or a pair cannot be used, or the file holds another training.
    """
    cases = read_cases(options.table, options.dataset)
    if not 2 <= options.folds <= len(cases):
        raise OptionError(
            f"folds is {options.folds}; with {len(cases)} pairs it must lie from 2 to {len(cases)}"
        )
    image_files.check_output(options.out, inputs=[options.table], overwrite=True)
    plot = options.out.with_suffix(".svg")
    if not options.out.exists() and plot.exists():
        raise OutputError(f"{plot}: exists and would be replaced; remove it first")
    scale = _scale_of(cases)
    pairs = [TrainingPair.of(case, scale) for case in cases]
    weights = _initial(options, pairs, scale)
    with no_denormals():
        for fold in range(options.folds):
            for step in _fold_trained(fold, pairs, weights):
                if progress:
                    progress(f"{weights.method}, fold {fold + 1}", *step)
                if weights.done[fold] == step[0]:
                    weights.write(options.out)
                    plots.curves(plot, weights.curves)
    return weights


def _initial(options: BenchTrain, pairs: Sequence[TrainingPair], scale: int) -> Weights:
    """Return the weights so far: those of the file, or empty ones."""
    dealt = folded(pairs, options.folds)
    held_out = [list(dict.fromkeys(h for pair in held for h in pair.digests)) for held in dealt]
    steps = options.steps or RECIPES[options.method].steps
    fresh = Weights(options.method, scale, options.seed, steps, options.folds, held_out)
    fresh.curves, fresh.done = [[] for _ in held_out], [0] * options.folds
    fresh.origin = {"versions": versions(), "commit": commit(), "machine": machine()}
    if not options.out.exists():
        return fresh
    found = Weights.read(options.out)
    same = ("method", "scale", "seed", "steps", "folds", "held_out")
    if any(getattr(found, name) != getattr(fresh, name) for name in same):
        raise InputError(
            f"{options.out}: holds another training (method, pairs, folds, steps or seed differ); "
            "choose another name or remove it"
        )
    return found


def _fold_trained(
    fold: int, pairs: Sequence[TrainingPair], weights: Weights
) -> Iterator[tuple[int, int, float]]:
    """Train a fold from where its weights are; yield (step, steps, loss) after each step."""
    digests = set(weights.held_out[fold])
    held = [pair for pair in pairs if not digests.isdisjoint(pair.digests)]
    seen = [pair for pair in pairs if digests.isdisjoint(pair.digests)]
    recipe, steps, first = RECIPES[weights.method], weights.steps, weights.done[fold]
    learner = Learner(recipe, weights.scale, weights.seed)
    if 0 < first < steps:
        learner.load(weights.of_fold(fold))
    losses: list[float] = []
    for step in range(first + 1, steps + 1):
        rng = np.random.default_rng([weights.seed, fold, step - 1])
        patches = batch(seen, recipe.batch, recipe.side, rng)
        losses.append(learner.learn(patches, (step - 1) / steps))
        if step == steps or step % max(1, steps // CHECKPOINTS) == 0:
            ours, plain = _validate(learner.network, held if step == steps else held[:VALIDATED])
            weights.curves[fold].append([step, float(np.mean(losses)), ours, plain])
            weights.done[fold] = step
            weights.replace_fold(fold, learner.state(finished=step == steps))
        yield step, steps, losses[-1]
        if weights.done[fold] == step:
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
        pair = first.opened(Config())
        if pair.guide is None:
            raise InputError(f"{first.label}: training needs a guide and a truth")
        ratio = pair.pair.ratio[1]
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
