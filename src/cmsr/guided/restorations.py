"""The images that compete: what each prior makes of a closed-form estimate.

They do without a guide or with it; all agree with the measurement. Which of them suit a target
depends on how far it consists of straight edges; how far each counts, held-out pixels decide
(`candidates.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from cmsr.guided.channel import GUIDE_FREE, Channel
from cmsr.guided.view import View
from cmsr.priors.guide_edges import EdgeVariation

STEP_CONTRAST = 0.06
STEP_ITERATIONS = 30
SMOOTHING_ITERATIONS = 10

FILTER_ROUNDS = 6
"""Rounds of the guided filter."""


def guide_free(channel: Channel, estimate: Tensor, straightness: float, rounds: int) -> Tensor:
    """Do without the guide: by sparse blocks, or by straight edges where the target has such."""
    schedule = GUIDE_FREE(rounds=rounds)
    if straightness == 0:
        return channel.denoised(estimate, schedule)
    even = EdgeVariation(torch.zeros_like(estimate)[None])
    stepped = channel.stepped(estimate, None, None)
    stepped = _sharpened(channel, stepped, even, SMOOTHING_ITERATIONS)
    if straightness == 1:
        return stepped
    return torch.lerp(channel.denoised(estimate, schedule), stepped, straightness)


def guided(
    channel: Channel,
    free: Tensor,
    estimate: Tensor,
    view: View,
    straightness: float,
    trusting: bool = False,
) -> list[Tensor]:
    """Use the guide in several ways; which ones, the target's straightness decides.

    A ``trusting`` filter follows weaker edges of the guide, where the measurement supports them.
    """
    guided_filter = view.fine_filter if trusting else view.filter
    filtered = channel.filtered(estimate, free, guided_filter, FILTER_ROUNDS, trusting)
    found = []
    if straightness > 0:
        stepped = channel.stepped(estimate, view.guide, view.features)
        wide = EdgeVariation(view.guide, STEP_CONTRAST)
        found += [
            _sharpened(channel, filtered, EdgeVariation(view.guide)),
            _sharpened(channel, stepped, wide, STEP_ITERATIONS),
        ]
    if straightness < 1:
        found += [estimate, filtered]
    return found


def _sharpened(channel: Channel, x: Tensor, edges: EdgeVariation, iterations: int = 40) -> Tensor:
    return edges.sharpen(x, channel.y, channel.reduce, channel.valid, iterations=iterations)
