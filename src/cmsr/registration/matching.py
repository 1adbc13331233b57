"""Match each segment of a guide to the target: a cost volume, smoothed over the segments.

The similarity at each displacement, summed over a segment, is the evidence for its motion. Belief
propagation between neighbours decides for segments with little evidence. Segments with the same
motion become one layer.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.belief_propagation import borders, propagate_common
from cmsr.registration.cost_volume import cost_volume
from cmsr.registration.superpixels import at_size, numbered
from cmsr.registration.transforms import Affine
from cmsr.registration.view import View

LONGER, REACH = 128, 8
"""Longer side of the target at which segments are matched, and the largest displacement along each
axis; in pixels there."""

LEAST_SHARE = 0.01
"""Share of the image that must move alike for a displacement to be accepted: few superpixels may
show a piece of an object that turns (as all below: EXPERIMENTS.md, "Segments")."""

LEAST_GAIN = 0.3
"""Nats that separate moves must gain per pixel that moves: where nothing moves they reach .26 by
chance, over layers that truly move .33 to 1.7."""

PRECHECK_LONGER, PRECHECK_REACH = 96, 6
"""Of the pre-check, whether anything moves by itself, as above."""

PRECHECK_BLOCK = 6
"""Side of the squares that stand for segments in the pre-check."""

PRECHECK_SHARE = 0.02
"""As above: few squares are chance."""

PRECHECK_GAIN = 0.3
"""As above, with .35 by chance and .35 to 1.8."""


def match_segments(
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
    view = View.of(target, guide, valid > 0, longer=LONGER, finer=1)
    found = _match(view, REACH, labels, LEAST_SHARE)
    if found.gain < LEAST_GAIN or (found.chosen == found.chosen[0]).all():
        return None
    layers = numbered(found.chosen)
    pixels = _subpixel(found, layers)
    maps = torch.zeros(len(pixels), Affine.dim).to(guide)
    maps[:, :2] = pixels * (2 / max(shape_of(view.target)))
    return layers[labels], maps


def worth_matching(target: Tensor, valid: Tensor, guide: Tensor) -> bool:
    """Check, for a third of the work of `match_segments`, whether parts may move by themselves.

    The parameters are those of `match_segments`; squares stand for segments.
    """
    view = View.of(target, guide, valid > 0, longer=PRECHECK_LONGER, finer=1)
    rows, cols = (torch.arange(side) // PRECHECK_BLOCK for side in shape_of(view.target))
    labels = (rows[:, None] * (cols[-1] + 1) + cols).to(guide.device)
    return _match(view, PRECHECK_REACH, labels, PRECHECK_SHARE).gain >= PRECHECK_GAIN


class _Match(NamedTuple):
    """Displacements chosen for S segments.

    ``evidence`` (S, n, n) in nats for each displacement, ``chosen`` (S,) the index of each one's,
    ``gain`` in nats over the best single displacement, per pixel that moves otherwise.
    """

    evidence: Tensor
    chosen: Tensor
    gain: float


def _match(view: View, reach: int, labels: Tensor, least: float) -> _Match:
    small = at_size(labels, shape_of(view.target))
    count = int(labels.max()) + 1
    evidence = cost_volume(view, reach, small, count)
    chosen = propagate_common(evidence, small, *borders(small, view.guide, count), least)
    table = evidence.flatten(1)
    single = table.sum(0).argmax()
    gain = table.gather(1, chosen[:, None]).sum() - table[:, single].sum()
    moving = (chosen != single)[small].sum().clamp_min(1)
    return _Match(evidence, chosen, float(gain / moving))


def _subpixel(found: _Match, layers: Tensor) -> Tensor:
    """Displacement (K, 2) of each layer to a fraction of a pixel, by parabolas at its own."""
    side, count = found.evidence.shape[-1], int(layers.max()) + 1
    table = found.evidence.new_zeros(count, side, side).index_add(0, layers, found.evidence)
    pixels = []
    for part, label in zip(F.pad(table, (1,) * 4), sorted(set(found.chosen.tolist())), strict=True):
        row, column = divmod(label, side)
        x = column - side // 2 + _peak(part[row + 1, column : column + 3])
        y = row - side // 2 + _peak(part[row : row + 3, column + 1])
        pixels.append((x, y))
    return torch.tensor(pixels).to(found.evidence)


def _peak(values: Tensor) -> float:
    """Where a parabola through three values is highest, from -0.5 to 0.5."""
    left, middle, right = values.tolist()
    bend = 2 * middle - left - right
    return min(0.5, max(-0.5, (right - left) / (2 * bend))) if bend > 0 else 0.0
