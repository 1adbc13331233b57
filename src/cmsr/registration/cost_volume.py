"""Cost volume: how similar each segment of a guide is to a target at every displacement."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.similarity import SimilarityMap, map_statistics
from cmsr.registration.view import View


def cost_volume(view: View, reach: int, labels: Tensor, count: int) -> Tensor:
    """Sum the similarity over each segment, for all displacements of a square.

    Parameters
    ----------
    view : View
        One pixel of the guide per one of the target.
    reach : int
        Largest displacement along each axis, in pixels.
    labels : Tensor (h, w), integer
        Segments of the guide, 0 to ``count`` - 1.

    Returns
    -------
    Tensor (count, n, n)
        In nats, for displacements down and right, n = 2 · reach + 1.
    """
    height, width = shape_of(view.target)
    side = 2 * reach + 1
    guide = F.pad(view.guide[None], (reach,) * 4, mode="replicate")[0]
    known = F.pad(view.valid.new_ones(height, width), (reach,) * 4)
    segment = F.pad(labels, (reach,) * 4, value=count)
    statistics, similarity = map_statistics(guide), SimilarityMap(view.target)
    sums = torch.zeros(side, side, count + 1, device=labels.device)
    for top in range(side):
        for left in range(side):
            at = slice(top, top + height), slice(left, left + width)
            gain = similarity(guide[:, *at], statistics.part(*at)) * view.valid * known[at]
            sums[top, left].index_add_(0, segment[at].flatten(), gain.flatten())
    return sums[..., :count].permute(2, 0, 1)
