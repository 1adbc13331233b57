"""Inference: a trained network on the whole pair, self-ensemble and back-projection."""

from __future__ import annotations

import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.operators.resampling import Kernel, back_project, resampler
from cmsr.pair import Pair
from cmsr.two_branch.examples import turn, unturn
from cmsr.two_branch.train import Fit


@torch.no_grad()
def infer(fit: Fit, pair: Pair, kernel: Kernel, config: Config) -> Tensor:
    """Run the network on the whole pair.

    Parameters
    ----------
    fit : Fit
        Result of training.
    pair : Pair
        The pair it was trained on.
    kernel : str or PointSpread
        The imaging kernel.
    config : Config
        ``ensemble`` and ``back_projections``.

    Returns
    -------
    Tensor, shape (1, C, H, W)
        The sharpened target, normalised as the pair's target is.
    """
    low, device = (pair.target.shape[-2], pair.target.shape[-1]), str(pair.target.device)
    enlarged = resampler(low, pair.shape, "bicubic", device)(pair.target)
    reduce = resampler(pair.shape, low, kernel, device)

    def consistent(x: Tensor) -> Tensor:
        return back_project(x, pair.target, reduce, pair.valid, iterations=config.back_projections)

    turns = [(k, m) for k in range(4) for m in (False, True)] if config.ensemble else [(0, False)]
    views = [consistent(_view(fit, enlarged, pair.guide, *t)) for t in turns]
    return views[0] if len(views) == 1 else consistent(_median(views))


def _view(
    fit: Fit, enlarged: Tensor, guide: Tensor | None, quarter_turns: int, mirror: bool
) -> Tensor:
    """Run the network on a turned pair and turn the result back."""
    turned = None if guide is None else turn(guide, quarter_turns, mirror)
    return unturn(fit.network(turn(enlarged, quarter_turns, mirror), turned), quarter_turns, mirror)


def _median(views: list[Tensor]) -> Tensor:
    """Median over an even number of images: the mean of the middle two."""
    ordered = torch.stack(views).sort(dim=0).values
    return ordered[len(views) // 2 - 1 : len(views) // 2 + 1].mean(dim=0)
