"""Where each segment of a guide lies over the target: a cost volume, smoothed over the segments.

For every displacement, small windows of the target tell how well a linear function of the guide's
colours explains them. Summed over a segment that is the evidence for its displacement; belief
propagation between neighbours settles segments that show little, and what moves alike becomes one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.belief_propagation import borders, propagate_common
from cmsr.registration.cost_volume import Volume
from cmsr.registration.superpixels import at_size, numbered
from cmsr.registration.transforms import Affine
from cmsr.registration.view import View

LONGER, REACH = 128, 8
"""Longer side of the target at which segments are matched, and the largest displacement along each
axis; in pixels there."""

GLANCE = 96, 6
"""The same for a quick look at whether anything moves by itself."""

BLOCK = 6
"""Side of the squares that stand for segments at that look."""

LEAST_SHARE = 0.01
"""Share of the image that must move alike for a displacement to be believed, and at the quick look:
few superpixels may show a piece of an object that turns, few squares are chance."""

GLANCE_SHARE = 0.02

WORTH_TEARING = 0.3
"""Nats that moving by themselves must explain per pixel that does: where nothing moves they reach
.26 by chance, over layers that truly move .33 to 1.7."""

WORTH_LOOKING = 0.3
"""The same at the quick look, with .35 by chance and .35 to 1.8."""


def matched(
    target: Tensor, valid: Tensor, guide: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Find the displacement of every segment.

    Parameters
    ----------
    target, valid : Tensor (h, w)
        In any unit, and 1 where it was measured.
    guide : Tensor (3, H, W)
        Nearly in place.
    labels : Tensor, integer
        Segments of the guide from 0 on, at any resolution.

    Returns
    -------
    layers, maps : Tensor like ``labels`` and (K, 6), or None
        What moves alike as one layer, and how, as parameters of `Affine`; None where all do.
    """
    view = View.of(target[None], guide, valid > 0, None, longer=LONGER, finer=1)
    found = _match(Volume(view, REACH), labels, LEAST_SHARE)
    if found.gain < WORTH_TEARING or (found.chosen == found.chosen[0]).all():
        return None
    layers = numbered(found.chosen)
    pixels = _between(found, layers)
    maps = torch.zeros(len(pixels), Affine.dim).to(guide)
    maps[:, :2] = pixels * (2 / max(shape_of(view.target)))
    return layers[labels], maps


def worth_matching(target: Tensor, valid: Tensor, guide: Tensor) -> bool:
    """Tell at a glance, a third of the work of `matched`, whether parts may move by themselves.

    The parameters are those of `matched`; squares stand for segments.
    """
    longer, reach = GLANCE
    view = View.of(target[None], guide, valid > 0, None, longer=longer, finer=1)
    rows, cols = (torch.arange(side) // BLOCK for side in shape_of(view.target))
    labels = (rows[:, None] * (cols[-1] + 1) + cols).to(guide.device)
    return _match(Volume(view, reach), labels, GLANCE_SHARE).gain >= WORTH_LOOKING


class _Match(NamedTuple):
    """What was found of S segments.

    ``evidence`` (S, D) in nats for each displacement, ``chosen`` (S,) the index of each one's,
    ``gain`` in nats that those explain beyond the best single one, per pixel of theirs that moves
    otherwise; ``reach`` in pixels.
    """

    evidence: Tensor
    chosen: Tensor
    gain: float
    reach: int


def _match(volume: Volume, labels: Tensor, least: float) -> _Match:
    view, side = volume.view, volume.side
    small = at_size(labels, shape_of(view.target))
    count = int(labels.max()) + 1
    evidence = volume.evidence(small, count)
    graph = borders(small, view.guide, count)
    square = evidence.reshape(count, side, side)
    chosen = propagate_common(square, small, *graph, least)
    single = evidence.sum(0).argmax()
    gain = evidence.gather(1, chosen[:, None]).sum() - evidence[:, single].sum()
    moving = (chosen != single)[small].sum().clamp_min(1)
    return _Match(evidence, chosen, float(gain / moving), volume.reach)


def _between(found: _Match, layers: Tensor) -> Tensor:
    """Displacement (K, 2) of each layer to a fraction of a pixel, by parabolas at its own."""
    count, reach = int(layers.max()) + 1, found.reach
    side = 2 * reach + 1
    table = found.evidence.new_zeros(count, side * side).index_add(0, layers, found.evidence)
    table = F.pad(table.reshape(count, side, side), (1, 1, 1, 1))
    places = []
    for part, label in zip(table, sorted(set(found.chosen.tolist())), strict=True):
        row, column = divmod(label, side)
        x = column - reach + _peak(part[row + 1, column : column + 3])
        y = row - reach + _peak(part[row : row + 3, column + 1])
        places.append((x, y))
    return torch.tensor(places).to(found.evidence)


def _peak(values: Tensor) -> float:
    """Where a parabola through three values is highest, from -0.5 to 0.5."""
    left, middle, right = values.tolist()
    bend = 2 * middle - left - right
    return min(0.5, max(-0.5, (right - left) / (2 * bend))) if bend > 0 else 0.0
