"""`--p auto`: ways to alternate scales, trained side by side, one chosen by hidden pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.guided.held_out import Error, kept_pixels
from cmsr.io.guide_reader import as_tensor
from cmsr.io.raster import fill_holes
from cmsr.operators.resampling import Kernel, resampler, shape_of
from cmsr.pair import Pair
from cmsr.progress import Progress
from cmsr.two_branch.arm import Arm, Fit
from cmsr.two_branch.infer import infer
from cmsr.two_branch.train import Arms

SHARES = ((0.0, 0.0), (0.3, 0.0), (0.3, 0.3))
"""What is tried: p of the sharpening branch, and of the guide's. Two of the three share their
sharpening branch, which takes nearly all the time."""

CHOSEN_AT = 0.5
"""Part of the training after which one is chosen; it alone goes on, with all pixels: in all less
than twice the time of one."""


def choose(
    pair: Pair, kernel: Kernel, config: Config, progress: Progress | None = None
) -> tuple[Fit, list[dict[str, Any]]]:
    """Train with several values of p, and to the end with that which predicts hidden pixels best.

    Parameters
    ----------
    pair : Pair
        A fifth of its target's pixels is hidden until the choice is made.
    kernel : str or PointSpread
        The imaging kernel.
    config : Config
        Options of training; ``seed`` also tells which pixels are hidden.
    progress : callable, optional
        Called after every step.

    Returns
    -------
    Fit
        What the best one has learned.
    list of dict
        ``p``, ``guide_p``, ``held_out_db`` and ``chosen`` of each.
    """
    kept = kept_pixels(torch.ones(shape_of(pair.target)), config.seed).to(pair.target)
    seen = hiding(pair, kept)
    shares = [share for share in SHARES if pair.guide is not None or share[0] == share[1]]
    arms = Arms([Arm(seen, replace(config, p=p, guide_p=g)) for p, g in shares], kernel)
    arms.train(round(CHOSEN_AT * arms.arms[0].iterations), progress)
    errors = held_out_errors(arms, pair, pair.valid * (1 - kept), kernel, config)
    best = min(range(len(errors)), key=errors.__getitem__)
    facts = [
        {"p": p, "guide_p": guide_p, "held_out_db": -error, "chosen": index == best}
        for index, ((p, guide_p), error) in enumerate(zip(shares, errors, strict=True))
    ]
    arms.go_on(best, pair)
    return arms.train(progress=progress)[0], facts


def hiding(pair: Pair, kept: Tensor) -> Pair:
    """Return a pair with only those pixels of its target measured where ``kept`` (h, w) is 1.

    The others are filled from around them, as holes are.
    """
    valid = pair.valid * kept
    filled = fill_holes(pair.target[0].cpu().double().numpy(), valid[0].cpu().numpy() > 0)
    return replace(pair, target=as_tensor(filled).to(pair.target), valid=valid)


@torch.no_grad()
def held_out_errors(
    arms: Arms, pair: Pair, hidden: Tensor, kernel: Kernel, config: Config
) -> list[float]:
    """Return how badly each arm predicts hidden pixels of a target, in dB.

    Its result, made from the pixels that it has seen, is reduced and compared with the others.
    At the scale of training, where the target is rebuilt from its reduced self, the guide looks
    more useful than it is, and p = 0 too (EXPERIMENTS.md).
    """
    guides = [_as_used(arm, fit) for arm, fit in zip(arms.arms, arms.fits, strict=True)]
    quick = replace(config, ensemble=False)
    images = infer(arms.fits, guides, arms.arms[0].pair, kernel, quick)
    reduce = resampler(pair.shape, shape_of(pair.target), kernel, str(pair.target.device))
    where = hidden.expand_as(pair.target)
    return [Error.of(reduce(image), pair.target, where).db for image in images]


def _as_used(arm: Arm, fit: Fit) -> Tensor | None:
    guide = arm.pair.guide
    return guide if guide is None or fit.chain is None else fit.chain(guide)
