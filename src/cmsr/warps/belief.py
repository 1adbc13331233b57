"""Belief propagation between segments: what shows little moves as its neighbours do."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STIFFNESS = 1.0
"""Nats that one pixel of displacement between neighbours costs per pixel of their border."""

MOST_STIFF = 3
"""Displacement between neighbours from which on it costs no more."""

ALIKE = 0.5
"""Difference of colour, in standard deviations, over which neighbours count half as such."""

ROUNDS = 12
"""Of belief propagation."""


def propagate(evidence: Tensor, side: int, pairs: Tensor, weight: Tensor) -> Tensor:
    """Choose a displacement for each segment by min-sum belief propagation.

    Parameters
    ----------
    evidence : Tensor (S, side * side)
        For each displacement, in nats.
    side : int
        Number of displacements along each axis.
    pairs : Tensor (E, 2)
        Neighbours, each pair once.
    weight : Tensor (E,)
        How much each pair belongs together.

    Returns
    -------
    Tensor (S,)
        Index of the displacement.

    References
    ----------
    Felzenszwalb, Huttenlocher, "Efficient Belief Propagation for Early Vision", IJCV 2006.
    """
    both = torch.cat((pairs, pairs.flip(1)))
    strength = STIFFNESS * weight.repeat(2)[:, None, None]
    messages = evidence.new_zeros(len(both), side, side)
    cost = -evidence.reshape(-1, side, side)
    back = torch.arange(len(both)).roll(len(pairs))
    for _ in range(ROUNDS):
        belief = cost.index_add(0, both[:, 1], messages)
        arriving = _lowest_within(belief[both[:, 0]] - messages[back], strength)
        messages = 0.5 * messages + 0.5 * (arriving - arriving.amin((1, 2), keepdim=True))
    return cost.index_add(0, both[:, 1], messages).flatten(1).argmin(1)


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
