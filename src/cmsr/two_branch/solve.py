"""The published method: a network of two branches and a chain of warps, trained on the pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from cmsr.config import Config
from cmsr.operators.resampling import Kernel
from cmsr.pair import Pair
from cmsr.progress import Progress
from cmsr.registration.alignment import Alignment
from cmsr.registration.coarse_to_fine import recognise
from cmsr.two_branch.arm import Arm, Fit
from cmsr.two_branch.choice import choose
from cmsr.two_branch.examples import Example
from cmsr.two_branch.infer import infer
from cmsr.two_branch.train import train


@dataclass(frozen=True)
class Solution:
    """A sharpened target and how the guide was used.

    Attributes
    ----------
    image : Tensor, shape (1, C, H, W)
        Normalised as the pair's target is.
    guide_weight : Tensor, shape (H, W)
        How far the guide counted, 0 to 1.
    alignment : Alignment or None
        Where the guide was found; None without one.
    history : dict of lists
        Loss and learning rate at each training step.
    arms : list of dict
        What was tried to choose p, and how well each predicts held-out pixels; empty if p was
        given.
    """

    image: Tensor
    guide_weight: Tensor
    alignment: Alignment | None
    history: dict[str, list[float]]
    arms: list[dict[str, Any]]


def solve(
    pair: Pair,
    kernel: Kernel,
    config: Config,
    progress: Progress | None = None,
    found: Alignment | None = None,
) -> Solution:
    """Train and infer, through smaller ratios first where the options say so.

    Parameters
    ----------
    pair : Pair
        The guide may lie a little off: its warp is learned with the network.
    kernel : str or PointSpread
        The imaging kernel.
    config : Config
        Options of training and inference.
    progress : callable, optional
        Called after every training step.
    found : Alignment, optional
        Where the guide was found beforehand; what is learned of its place comes on top.
    """
    before = found or _recognised(pair, config)
    fit = Arm(_placed(pair, before), config).new_fit()
    extra: tuple[Example, ...] = ()
    arms: list[dict[str, Any]] = []
    for step in _increments(pair, config.steps):
        if config.p == "auto":
            fit, arms = choose(_placed(step, before), kernel, config, progress)
        else:
            train(_placed(step, before), kernel, config, fit, extra, progress)
        alignment = _with_learned(before, fit)
        aligned = _placed(step, alignment)
        image = infer([fit], [aligned.guide], step, kernel, config)[0]
        extra = (*extra, Example.at_scale(pair, image, Example.upsampling(step).valid))
    if aligned.guide is None or alignment is None:
        return Solution(image, image.new_zeros(pair.shape), alignment, fit.history, arms)
    seen = alignment.seen(device=image.device)
    return Solution(image, seen, alignment, fit.history, arms)


def _recognised(pair: Pair, config: Config) -> Alignment | None:
    """Check whether the guide shows the target's scene at all."""
    if pair.guide is None:
        return None
    if config.align == "off":
        return Alignment(pair.shape)
    return recognise(pair.target[0, 0], pair.valid[0, 0], pair.guide[0])[0]


def _placed(pair: Pair, alignment: Alignment | None) -> Pair:
    """Return the pair with its guide where it lies, and without it where it must not be used."""
    if pair.guide is None or alignment is None or alignment.refused:
        return replace(pair, guide=None)
    return replace(pair, guide=alignment.apply(pair.guide[0])[None])


def _with_learned(before: Alignment | None, fit: Fit) -> Alignment | None:
    """Return where the guide lies, with what was learned of its place since it was put there."""
    if fit.chain is None or before is None:
        return before
    learned = fit.chain.alignment(before.confidence)
    stages = [] if learned.refused else [*before.stages, *learned.stages]
    return replace(learned, stages=stages)


def _increments(pair: Pair, steps: tuple[float, ...]) -> list[Pair]:
    """List the pair at each ratio below the whole one, ascending, and last as it is."""
    height, width = pair.target.shape[-2:]
    smaller = [ratio for ratio in sorted(steps) if ratio < min(pair.ratio)]
    return [*(pair.at((round(height * r), round(width * r))) for r in smaller), pair]
