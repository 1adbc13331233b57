"""Residual field: small, smooth displacements that are left once segments have moved.

It maximises the local similarity where the layered guide surely shows what the target sees; a
membrane penalty keeps still what no detail of the image pulls.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.free_form import FreeForm
from cmsr.registration.optimisation import descend
from cmsr.registration.segments import Segments
from cmsr.registration.similarity import similarity
from cmsr.registration.transforms import Size, identity_grid, sample
from cmsr.registration.view import View

LEVELS = ((12.0, 20), (6.0, 20))
"""Distance of the nodes in pixels of the target, and steps of Adam, from coarse to fine: 3 pixels
fit noise (EXPERIMENTS.md, "Segments")."""

RATE = 0.1
"""Highest learning rate, in pixels of the target; by eye."""

STIFFNESS = 0.2
"""Nats per squared difference of neighbouring nodes, in pixels of the target: of .02, .1, .2 and .4
what leaves least of waves of 3 pixels and does not move still layers (ibid.)."""


def residual_field(
    view: View, size: Size, warp: Segments, theta: Tensor
) -> tuple[FreeForm, Tensor]:
    """Find the small displacements that are left of a guide whose segments have moved.

    Parameters
    ----------
    view : View
        Where the field is scored.
    size : (height, width)
        Of the guide that is to be warped.
    warp, theta : Segments and Tensor
        How the segments move.

    Returns
    -------
    The warp, to be applied to a grid before ``warp``, and its parameters.
    """
    low, working = shape_of(view.target), shape_of(view.guide)
    pixel = 2 / max(low)
    seen = warp.seen(theta, identity_grid(low, device=theta.device))[0]
    weight = seen * view.valid
    layered = sample(view.guide[None], warp(theta, view.grid))
    field, found = FreeForm(working, (2, 2)), torch.zeros(8).to(theta)
    for distance, steps in LEVELS:
        finer = FreeForm.spaced(working, low, distance)
        found, field = field.resampled(found, finer), finer

        def objective(field_theta: Tensor, field: FreeForm = field) -> Tensor:
            moved = F.avg_pool2d(sample(layered, field(field_theta, view.grid))[0], view.finer)
            bending = STIFFNESS / pixel**2 * field.roughness(field_theta)
            return bending - similarity(view.target, moved, weight)

        found = descend(objective, found, steps, RATE * pixel)
    return FreeForm(size, field.nodes), found


def masked(field: FreeForm, theta: Tensor, kept: Tensor) -> Tensor:
    """Return a field's parameters with its nodes at 0 outside a mask (h, w)."""
    columns, rows = field.nodes
    at_nodes = F.interpolate(kept.to(theta)[None, None], (rows, columns), mode="nearest-exact")
    return (field.lattice(theta) * at_nodes).flatten()
