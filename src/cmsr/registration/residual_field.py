"""What is left once segments have moved: a dense, smooth field of small displacements.

It is found by how well small windows of the target are explained, where the torn guide surely shows
what the target sees; a membrane penalty keeps still what nothing in the image pulls.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.free_form import FreeForm
from cmsr.registration.segments import Segments
from cmsr.registration.similarity import descend, explained
from cmsr.registration.transforms import Size, identity_grid, sample
from cmsr.registration.view import View

LEVELS = ((12.0, 20), (6.0, 20))
"""Distance of the nodes in pixels of the target, and steps of Adam, from gross to fine."""

RATE = 0.1
"""Highest learning rate, in pixels of the target."""

STIFFNESS = 0.2
"""Nats per squared difference of neighbouring nodes, in pixels of the target."""


def residual_field(
    view: View, size: Size, warp: Segments, theta: Tensor
) -> tuple[FreeForm, Tensor]:
    """Find the small displacements that are left of a guide whose segments have moved.

    Parameters
    ----------
    view : View
        Where the field is judged.
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
    weight = seen * view.target_valid
    torn = sample(view.guide[None], warp(theta, view.grid))
    field, found = FreeForm(working, (2, 2)), torch.zeros(8).to(theta)
    for distance, steps in LEVELS:
        finer = FreeForm.spaced(working, low, distance)
        found, field = field.renoded(found, finer), finer

        def objective(field_theta: Tensor, field: FreeForm = field) -> Tensor:
            moved = F.avg_pool2d(sample(torn, field(field_theta, view.grid))[0], view.finer)
            bending = STIFFNESS / pixel**2 * field.roughness(field_theta)
            return bending - explained(view.target, moved, weight)

        found = descend(objective, found, steps, RATE * pixel)
    return FreeForm(size, field.nodes), found


def kept(field: FreeForm, theta: Tensor, owner: Tensor, helped: Tensor) -> Tensor:
    """Set a field's nodes to 0 except in segments that it helps; return the parameters.

    ``owner`` (h, w) tells whose each place is, ``helped`` (K,) whom it helps.
    """
    shares = helped[owner].to(theta)[None, None]
    columns, rows = field.nodes
    at_nodes = F.interpolate(shares, (rows, columns), mode="nearest-exact")
    return (field.lattice(theta) * at_nodes).flatten()
