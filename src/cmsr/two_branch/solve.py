"""The published method: a network of two branches and a chain of warps, trained on the pair."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from cmsr.config import Config
from cmsr.operators.resampling import Kernel
from cmsr.pair import Pair
from cmsr.progress import Progress
from cmsr.registration.alignment import Alignment, recognise
from cmsr.two_branch.examples import Example
from cmsr.two_branch.infer import infer
from cmsr.two_branch.train import new_fit, train


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
    """

    image: Tensor
    guide_weight: Tensor
    alignment: Alignment | None
    history: dict[str, list[float]]


def solve(pair: Pair, kernel: Kernel, config: Config, progress: Progress | None = None) -> Solution:
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
    """
    alignment = _recognised(pair, config)
    if alignment and alignment.refused:
        pair = replace(pair, guide=None)
    fit = new_fit(pair, config)
    extra: tuple[Example, ...] = ()
    for step in _increments(pair, config.steps):
        train(step, kernel, config, fit, extra, progress)
        if fit.chain:
            alignment = fit.chain.alignment(alignment.confidence if alignment else None)
        aligned = replace(step, guide=_moved(step, alignment))
        image = infer(fit, aligned, kernel, config)
        extra = (*extra, Example.at_scale(pair, image, Example.upsampling(step).valid))
    if aligned.guide is None or alignment is None:
        return Solution(image, image.new_zeros(pair.shape), alignment, fit.history)
    seen = alignment.seen(device=image.device)
    return Solution(image, seen, alignment, fit.history)


def _recognised(pair: Pair, config: Config) -> Alignment | None:
    """Check whether the guide shows the target's scene at all."""
    if pair.guide is None:
        return None
    if config.align == "off":
        return Alignment(pair.shape)
    return recognise(pair.target[0, 0], pair.valid[0, 0], pair.guide[0])[0]


def _moved(pair: Pair, alignment: Alignment | None) -> Tensor | None:
    """Return the pair's guide where the alignment puts it; None where it must not be used."""
    if pair.guide is None or alignment is None or alignment.refused:
        return None
    return alignment.apply(pair.guide[0])[None]


def _increments(pair: Pair, steps: tuple[float, ...]) -> list[Pair]:
    """List the pair at each ratio below the whole one, ascending, and last as it is."""
    height, width = pair.target.shape[-2:]
    smaller = [ratio for ratio in sorted(steps) if ratio < min(pair.ratio)]
    return [*(pair.at((round(height * r), round(width * r))) for r in smaller), pair]
