"""Inference: a trained network on the whole pair, self-ensemble and back-projection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.operators.resampling import Kernel, back_project, resampler, shape_of
from cmsr.pair import Pair
from cmsr.parallel import together
from cmsr.two_branch.arm import Fit
from cmsr.two_branch.examples import turn, unturn
from cmsr.two_branch.network import total


@torch.no_grad()
def infer(
    fits: Sequence[Fit],
    guides: Sequence[Tensor | None],
    pair: Pair,
    kernel: Kernel,
    config: Config,
) -> list[Tensor]:
    """Run networks that were trained on one target on the whole of it.

    Parameters
    ----------
    fits : sequence of Fit
        Results of training; what they share is computed once.
    guides : sequence of Tensor, shape (1, G, H, W), or None
        The guide of each, where it lies.
    pair : Pair
        The target.
    kernel : str or PointSpread
        The imaging kernel.
    config : Config
        ``ensemble`` and ``back_projections``.

    Returns
    -------
    list of Tensor, shape (1, C, H, W)
        The sharpened target by each, normalised as the pair's target is.
    """
    low, device = shape_of(pair.target), str(pair.target.device)
    enlarged = resampler(low, pair.shape, "bicubic", device)(pair.target)
    reduce = resampler(pair.shape, low, kernel, device)

    def consistent(x: Tensor) -> Tensor:
        return back_project(x, pair.target, reduce, pair.valid, iterations=config.back_projections)

    def view(quarter_turns: int, mirror: bool) -> list[Tensor]:
        with torch.no_grad():
            seen = _turned_outputs(fits, guides, enlarged, quarter_turns, mirror)
            return [consistent(unturn(x, quarter_turns, mirror)) for x in seen]

    turns = [(k, m) for k in range(4) for m in (False, True)] if config.ensemble else [(0, False)]
    views = together(*(partial(view, *turn) for turn in turns))
    if len(views) == 1:
        return views[0]
    return [consistent(_median(list(each))) for each in zip(*views, strict=True)]


def _turned_outputs(
    fits: Sequence[Fit],
    guides: Sequence[Tensor | None],
    enlarged: Tensor,
    quarter_turns: int,
    mirror: bool,
) -> list[Tensor]:
    """Run networks on a turned pair."""
    seen = turn(enlarged, quarter_turns, mirror)
    shared: dict[int, Tensor] = {}
    outputs = []
    for fit, guide in zip(fits, guides, strict=True):
        key = id(fit.network.sharpen)
        if key not in shared:
            shared[key] = fit.network.sharpened(seen)
        turned = None if guide is None else turn(guide, quarter_turns, mirror)
        outputs.append(total(shared[key], fit.network.explained(turned)))
    return outputs


def _median(views: list[Tensor]) -> Tensor:
    """Median over an even number of images: the mean of the middle two."""
    ordered = torch.stack(views).sort(dim=0).values
    return ordered[len(views) // 2 - 1 : len(views) // 2 + 1].mean(dim=0)
