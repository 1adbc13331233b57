"""Smooth deformation: what an affine map leaves of the way from the target to the guide.

The coarse search's affine map and a continuous piecewise-affine warp are refined together, from
gross to fine, by how well small windows of the target are explained by the guide's colours. A
membrane penalty on the deformation keeps still what nothing in the image pulls.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.cpab import Cpab
from cmsr.registration.similarity import descend
from cmsr.registration.transforms import Affine, Stages, compose_between
from cmsr.registration.view import View

LEVELS = ((64, 25), (128, 40))  # longer side of the target in pixels, steps of Adam
FINER = 2  # pixels of the guide per one of the target
RATE = 4e-3  # in half longer sides, at its highest
STIFFNESS = 1.0  # nats per squared difference of neighbours' velocities
WORTH_DEFORMING = 0.04  # nats that a deformation must explain at the first level to go on
CELLS = (4, 4)


def deform(
    target: Tensor,
    guide: Tensor,
    affine: Tensor,
    *,
    target_valid: Tensor | None = None,
    guide_valid: Tensor | None = None,
    promising: Callable[[Stages], bool] | None = None,
) -> Stages:
    """Refine an affine map by a smooth deformation.

    Parameters
    ----------
    target : Tensor (C, h, w)
        In any unit.
    guide : Tensor (3, H, W)
        In any unit.
    affine : Tensor (6,)
        Parameters of `cmsr.registration.transforms.Affine` of the guide's size, near the truth.
    target_valid, guide_valid : Tensor (h, w) and (H, W), bool, optional
        Where the images hold measurements; everywhere if not given.
    promising : callable, optional
        Asked whether to go on with what the first, gross level has found.

    Returns
    -------
    Stages
        Affine, then `Cpab`, for `transforms.compose`; without the second where it explains
        hardly more than the affine map does.
    """
    size = shape_of(guide)
    rigid, smooth = Affine(size), Cpab(size, CELLS)
    parameters = torch.cat((affine, torch.zeros(smooth.dim).to(affine)))

    def stages(parameters: Tensor) -> Stages:
        return [(rigid, parameters[:6]), (smooth, parameters[6:])]

    for level, (longer, steps) in enumerate(LEVELS):
        view = View.of(target, guide, target_valid, guide_valid, longer=longer, finer=FINER)

        def value(parameters: Tensor, view: View = view) -> Tensor:
            grid = compose_between(stages(parameters), shape_of(view.guide))
            return STIFFNESS * smooth.roughness(parameters[6:]) - view.explained(grid)[0]

        before = value(parameters).item()
        parameters = descend(value, parameters, steps, RATE)
        if level > 0:
            continue
        if before - value(parameters).item() < WORTH_DEFORMING:
            return [(rigid, affine)]
        if promising is not None and not promising(stages(parameters)):
            return [(rigid, affine)]
    return stages(parameters)
