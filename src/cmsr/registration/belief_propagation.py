"""Belief propagation between segments: those without detail move as their neighbours do."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STIFFNESS = 1.0
"""Nats that one pixel of displacement between neighbours costs per pixel of their border; this and
all below by eye, on layered scenes like those of tests/test_segments.py."""

MOST_STIFF = 3
"""Displacement between neighbours, in pixels, from which on it costs no more."""

ALIKE = 0.5
"""Difference of colour, in standard deviations, that halves the weight of a border."""

ROUNDS = 12
"""Of belief propagation."""


def propagate(evidence: Tensor, pairs: Tensor, weight: Tensor) -> Tensor:
    """Choose a state for each segment by min-sum belief propagation.

    Parameters
    ----------
    evidence : Tensor (S, n, n) or (S, K)
        For each displacement of a square of them, or for each layer, in nats.
    pairs : Tensor (E, 2)
        Neighbours, each pair once.
    weight : Tensor (E,)
        How much each pair belongs together.

    Returns
    -------
    Tensor (S,)
        Index of the displacement, row by row, or of the layer.

    References
    ----------
    Felzenszwalb, Huttenlocher, "Efficient Belief Propagation for Early Vision", IJCV 2006.
    """
    both = torch.cat((pairs, pairs.flip(1)))
    states = tuple(range(1, evidence.dim()))
    envelope = _lowest_within if evidence.dim() > 2 else _lowest_of_layers
    strength = STIFFNESS * weight.repeat(2).reshape(-1, *(1 for _ in states))
    messages = evidence.new_zeros(len(both), *evidence.shape[1:])
    cost = -evidence
    back = torch.arange(len(both)).roll(len(pairs))
    for _ in range(ROUNDS):
        belief = cost.index_add(0, both[:, 1], messages)
        arriving = envelope(belief[both[:, 0]] - messages[back], strength)
        messages = 0.5 * messages + 0.5 * (arriving - arriving.amin(states, keepdim=True))
    return cost.index_add(0, both[:, 1], messages).flatten(1).argmin(1)


def propagate_common(
    evidence: Tensor, labels: Tensor, pairs: Tensor, weight: Tensor, least: float
) -> Tensor:
    """Choose as `propagate` does, among the states that cover enough of an image.

    ``labels`` (h, w) are the segments, and ``least`` is the share of the image that a state must
    cover when all are allowed; the most common one always is.
    """
    freely = propagate(evidence, pairs, weight)
    area = freely[labels].flatten().bincount(minlength=evidence[0].numel())
    rare = area < min(least * labels.numel(), int(area.max()))
    rare = rare.reshape(evidence.shape[1:])
    return propagate(evidence.masked_fill(rare, -torch.inf), pairs, weight)


def _lowest_of_layers(cost: Tensor, strength: Tensor) -> Tensor:
    """Lower envelope of costs (E, K) where to be of another layer costs the same for all."""
    return torch.minimum(cost, cost.amin(1, keepdim=True) + strength * MOST_STIFF)


def _lowest_within(cost: Tensor, strength: Tensor) -> Tensor:
    """Lower envelope of costs (E, n, n) under a truncated linear penalty: their min-convolution."""
    side, near = cost.shape[1], MOST_STIFF - 1
    lowest = cost.amin((1, 2), keepdim=True) + strength * MOST_STIFF
    wide = F.pad(cost, (near,) * 4, value=float("inf"))
    for down in range(-near, near + 1):
        for across in range(-near, near + 1):
            far = abs(down) + abs(across)
            if far <= near:
                rows = slice(near + down, near + down + side)
                moved = wide[:, rows, near + across : near + across + side]
                lowest = torch.minimum(lowest, moved + strength * far)
    return lowest


def borders(labels: Tensor, guide: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return neighbouring segments (E, 2) and the length of their border, weighed by likeness."""
    across = torch.stack((labels[:, :-1].flatten(), labels[:, 1:].flatten()), 1)
    down = torch.stack((labels[:-1].flatten(), labels[1:].flatten()), 1)
    touching = torch.cat((across, down)).sort(1).values
    touching = touching[touching[:, 0] != touching[:, 1]]
    length = torch.bincount(touching[:, 0] * count + touching[:, 1], minlength=count**2)
    index = length.nonzero()[:, 0]
    pairs, length = torch.stack((index // count, index % count), 1), length[index]
    size = torch.bincount(labels.flatten(), minlength=count).clamp_min(1)
    colour = guide.new_zeros(count, len(guide)).index_add(0, labels.flatten(), guide.flatten(1).T)
    colour = colour / size[:, None]
    apart = (colour[pairs[:, 0]] - colour[pairs[:, 1]]).norm(dim=1)
    return pairs, length / (1 + apart / ALIKE)
