"""Smooth deformation: the part of the guide's displacement that no affine map describes.

The coarse search's affine map and a continuous piecewise-affine warp are refined together, from
coarse to fine, by the local similarity of target and guide. A membrane penalty prevents
deformation where the image has no detail.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.cpab import Cpab
from cmsr.registration.optimisation import descend
from cmsr.registration.transforms import Affine, Stages, compose_between
from cmsr.registration.view import View

LEVELS = ((64, 25), (128, 40))
"""Longer side of the target in pixels and steps of Adam: no worse than 40 and 40 steps
(EXPERIMENTS.md, "Alignment", as for the next three)."""

FINER = 2
"""Pixels of the guide per one of the target."""

RATE = 4e-3
"""Highest learning rate, in half longer sides."""

STIFFNESS = 1.0
"""Nats per squared difference of neighbours' velocities."""

LEAST_GAIN = 0.04
"""Nats that a deformation must gain at the first level to go on: .08 gives up on three of twenty
known warps."""

CELLS = (4, 4)


def deform(
    target: Tensor,
    guide: Tensor,
    affine: Tensor,
    valid: Tensor | None = None,
    promising: Callable[[Stages], bool] | None = None,
) -> Stages:
    """Refine an affine map by a smooth deformation.

    Parameters
    ----------
    target : Tensor (h, w)
        In any unit.
    guide : Tensor (3, H, W)
        In any unit.
    affine : Tensor (6,)
        Parameters of `cmsr.registration.transforms.Affine` of the guide's size, near the truth.
    valid : Tensor (h, w), bool, optional
        Where the target holds measurements; everywhere if not given.
    promising : callable, optional
        Asked whether to go on with what the first, coarse level has found.

    Returns
    -------
    Stages
        Affine, then `Cpab`, for `transforms.compose`; without the second where it gains hardly
        anything over the affine map.
    """
    size = shape_of(guide)
    rigid, smooth = Affine(size), Cpab(size, CELLS)
    parameters = torch.cat((affine, torch.zeros(smooth.dim).to(affine)))

    def stages(parameters: Tensor) -> Stages:
        return [(rigid, parameters[:6]), (smooth, parameters[6:])]

    for level, (longer, steps) in enumerate(LEVELS):
        view = View.of(target, guide, valid, longer=longer, finer=FINER)

        def value(parameters: Tensor, view: View = view) -> Tensor:
            grid = compose_between(stages(parameters), shape_of(view.guide))
            return STIFFNESS * smooth.roughness(parameters[6:]) - view.similarity(grid)[0]

        before = value(parameters).item()
        parameters = descend(value, parameters, steps, RATE)
        if level > 0:
            continue
        if before - value(parameters).item() < LEAST_GAIN:
            return [(rigid, affine)]
        if promising is not None and not promising(stages(parameters)):
            return [(rigid, affine)]
    return stages(parameters)
