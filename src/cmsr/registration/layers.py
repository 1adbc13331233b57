"""Layers of a guide: estimate their motion and assign segments to them, alternately.

Matching by displacement splits an object that rotates or slants. Two adjacent pieces with similar
motion are fitted by one affine map; then all maps compete for every segment.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.belief_propagation import borders, propagate_common
from cmsr.registration.layer_refinement import fit_affine, refine_layer
from cmsr.registration.segments import Segments
from cmsr.registration.similarity import SimilarityMap
from cmsr.registration.superpixels import at_size, numbered
from cmsr.registration.transforms import Affine, Size, identity_grid, sample
from cmsr.registration.view import View

ROUNDS = 3
"""Of refining and competing: two leave turned objects in pieces (as the next two: EXPERIMENTS.md,
"Segments")."""

LEAST_SHARE = 0.02
"""Share of the guide that a layer must cover."""

NEAR = 1.5
"""Difference of displacement between pieces that may be of one object, in pixels of the target."""


def estimate_layers(
    view: View, labels: Tensor, size: Size, layers: Tensor, maps: Tensor
) -> tuple[Segments, Tensor]:
    """Refine layers and let them compete for the segments of a guide, in turns.

    Parameters
    ----------
    view : View
        Where a layer's map is scored.
    labels : Tensor (h, w), integer
        Segments of the guide from 0 on, at any resolution.
    size : (height, width)
        Of the guide that is to be warped.
    layers : Tensor (h, w), integer
        The first layers, 0 to K - 1.
    maps : Tensor (K, 6)
        Their parameters of `Affine`, displacements.

    Returns
    -------
    The warp of the layers that are left, and its parameters.

    References
    ----------
    J. Y. A. Wang, E. H. Adelson, "Representing Moving Images with Layers", IEEE Transactions on
    Image Processing 1994.
    """
    for _ in range(ROUNDS):
        layers, maps = _assigned(view, labels, _proposals(view, size, layers, maps))
    return Segments(size, layers).ordered(maps.flatten())


def _proposals(view: View, size: Size, layers: Tensor, maps: Tensor) -> Tensor:
    """Propose maps (K, 6): those of all layers, refined, and one for each two that meet."""
    grid = identity_grid(shape_of(view.target), device=view.target.device)
    owner = Segments(size, layers).owners(maps.flatten(), grid)[0]
    area = owner.flatten().bincount(minlength=len(maps))
    proposals = [refine_layer(view, owner == label, own, own) for label, own in enumerate(maps)]
    for one, other in _similar_neighbours(view, layers, maps):
        together = (owner == one) | (owner == other)
        larger = maps[one if area[one] > area[other] else other]
        start = fit_affine(layers, [one, other], maps)
        proposals.append(refine_layer(view, together, start, larger))
    distinct: Tensor = torch.unique(torch.stack(proposals), dim=0)
    return distinct


def _similar_neighbours(view: View, layers: Tensor, maps: Tensor) -> list[list[int]]:
    """Return the pairs of layers (h, w) that meet and move almost alike where they do."""
    size, count = shape_of(view.guide), len(maps)
    small = at_size(layers, size)
    affine = Affine(size)
    moved = torch.stack([affine(-own, view.grid)[0] for own in maps])
    moved = moved * affine.extent.to(moved) * max(shape_of(view.target)) / 2
    pairs, _ = borders(small, view.guide, count)
    found = []
    for one, other in pairs.tolist():
        border = _dilated(small == one) & _dilated(small == other)
        apart = (moved[one] - moved[other])[border].norm(dim=-1).mean()
        if apart <= NEAR:
            found.append([one, other])
    return found


def _dilated(mask: Tensor) -> Tensor:
    """Widen a mask (h, w) by a pixel."""
    return F.max_pool2d(mask.float()[None], 3, 1, 1)[0] > 0


def _assigned(view: View, labels: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Give each segment to one of the maps (K, 6); return layers (h, w) and the maps left."""
    size, count = shape_of(view.guide), int(labels.max()) + 1
    fine = at_size(labels, size)
    evidence = torch.stack([_evidence(view, fine, count, own) for own in maps], 1)
    pairs, weight = borders(fine, view.guide, count)
    chosen = propagate_common(evidence, labels, pairs, weight / view.finer, LEAST_SHARE)
    return numbered(chosen)[labels], maps[torch.unique(chosen)]


def _evidence(view: View, labels: Tensor, count: int, own: Tensor) -> Tensor:
    """Sum the similarity to the guide moved by one map over each segment, in nats: (S,)."""
    grid = Affine(shape_of(view.guide))(own, view.grid)
    moved, known = view.read(grid)
    gain = SimilarityMap(view.target)(moved[0]) * view.valid * known[0]
    wide = gain.repeat_interleave(view.finer, 0).repeat_interleave(view.finer, 1)
    there = sample(labels[None, None].double(), grid.double(), "nearest").long()
    sums = gain.new_zeros(count).index_add(0, there.flatten(), wide.flatten())
    return sums / view.finer**2
