"""Affine maps of the layers of a guide, where these explain more than displacements."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.optimisation import climb
from cmsr.registration.similarity import RADIUS, similarity
from cmsr.registration.transforms import Affine, identity_grid, inside, sample
from cmsr.registration.view import View

LEAST_GAIN = 0.02, 8.0
"""Nats that more than a displacement must gain, per pixel and besides: where nothing turns they
reach .005 of 9000 pixels and .02 of 400 by chance, where something does .1 of 400 and more
(EXPERIMENTS.md, "Segments")."""

MARGIN = 4
"""Pixels of the target around a layer that are compared with it; by eye."""


def refine_layer(view: View, owner: Tensor, start: Tensor, simple: Tensor) -> Tensor:
    """Refine the map of a layer.

    Parameters
    ----------
    view : View
    owner : Tensor (h, w), bool
        Where in the target the layer is.
    start, simple : Tensor (6,)
        Parameters of `Affine`: from where to search, and what else is taken.

    Returns
    -------
    Tensor (6,)
        The best map near ``start``, or ``simple`` where it gains hardly anything over that.
    """
    if not owner.any():
        return simple
    rows, cols = (_span(owner.any(axis)) for axis in (1, 0))
    weight = (owner & (view.valid > 0))[rows, cols].float()
    if min(weight.shape) < 2 * RADIUS + 1:
        return simple
    fine = (slice(span.start * view.finer, span.stop * view.finer) for span in (rows, cols))
    affine, grid = Affine(shape_of(view.guide)), view.grid[:, *fine]
    centre = (grid[0] * affine.extent.to(grid)).mean((0, 1))  # turns about it displace nothing

    def score(theta: Tensor) -> Tensor:
        moved = affine(theta, grid)
        shown = inside(moved)
        seen = F.avg_pool2d(sample(view.guide[None], moved)[0] * shown, view.finer)
        known = F.avg_pool2d(shown.float(), view.finer)[0] > 0.99
        return similarity(view.target[rows, cols], seen, weight * known)

    local = torch.cat((start[:2] + _linear(start) @ centre, start[2:]))
    best, value = climb(lambda at, _: score(_about(centre, at[0]))[None], local[None])
    each, besides = LEAST_GAIN
    least = score(simple) + each + besides / float(owner.sum())
    return _about(centre, best[0]) if value > least else simple


def fit_affine(labels: Tensor, group: list[int], maps: Tensor) -> Tensor:
    """Fit one affine map (6,) to those of several layers (K, 6), each pixel of theirs alike.

    ``labels`` (h, w) are the layers of the guide.
    """
    size = shape_of(labels)
    affine = Affine(size)
    grid = identity_grid(size, dtype=torch.float64, device=labels.device)[0]
    ends = torch.cat([grid[labels == label] for label in group])
    starts = torch.cat([affine(-maps[n].double(), grid[labels == n]) for n in group])
    extent = affine.extent.to(ends)
    extended = F.pad(starts * extent, (0, 1), value=1.0)
    return affine.parameters(torch.linalg.lstsq(extended, ends * extent).solution.T).to(maps)


def _about(centre: Tensor, local: Tensor) -> Tensor:
    """Parameters of `Affine` of a map whose shift is that of ``centre`` (2,)."""
    return torch.cat((local[:2] - _linear(local) @ centre, local[2:]))


def _linear(theta: Tensor) -> Tensor:
    """Linear part (2, 2) of the velocity field of `Affine`."""
    turn, scale, strain, shear = theta[2:]
    rows = torch.stack((scale + strain, shear - turn)), torch.stack((turn + shear, scale - strain))
    return torch.stack(rows)


def _span(own: Tensor) -> slice:
    """From the first to the last place of a mask (n,), with a margin."""
    (found,) = own.nonzero(as_tuple=True)
    return slice(max(0, int(found[0]) - MARGIN), min(len(own), int(found[-1]) + 1 + MARGIN))
