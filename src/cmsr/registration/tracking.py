"""Tracking: where the guide lies in a frame, from where it lay in the frame before.

There is no coarse search and no smooth deformation. The free-form deformation is optimised by a
few steps in every frame, accepted or not; it is used where held-out pixels of this frame and of
previous ones confirm it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, Self

import torch
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.alignment import Alignment
from cmsr.registration.coarse_search import refine_affine
from cmsr.registration.coarse_to_fine import LEAST_GAIN_DB, Problem, trouble
from cmsr.registration.cpab import Cpab
from cmsr.registration.free_form import FreeForm
from cmsr.registration.refinement import finest
from cmsr.registration.transforms import Affine, Motion
from cmsr.registration.view import colours


class Pose(NamedTuple):
    """The guide's place in a frame, and a free-form deformation that may improve it.

    Attributes
    ----------
    coarse : Alignment
        Without the deformation.
    free : FreeForm
        The family of deformations.
    theta : Tensor
        Its parameters.
    worth : float or None
        By how many dB it has lowered the held-out error of late; None where it did, nobody knows by
        how much.
    """

    coarse: Alignment
    free: FreeForm
    theta: Tensor
    worth: float | None = None

    @classmethod
    def of(
        cls,
        found: Alignment,
        problem: Problem,
        deformation: tuple[float, ...] = (),
        worth: float | None = None,
    ) -> Self | None:
        """Recall it from the frame before.

        Parameters
        ----------
        found : Alignment
            Of that frame.
        problem : Problem
            This frame's.
        deformation, worth
            What tracking left behind in that frame; nothing where it began there.

        Returns
        -------
        Pose or None
            None where that frame is of no help: the guide was refused or in layers, or of other
            sizes.
        """
        size, device = shape_of(problem.guide), problem.guide.device
        free = finest(size, shape_of(problem.target))
        if found.refused:
            return None
        theta = torch.tensor(deformation or (0.0,) * free.dim, device=device)
        coarse: list[Motion] = []
        deformed = False
        for warp, parameters in found.stages:
            if isinstance(warp, FreeForm):
                theta, deformed = parameters.to(device), True
            elif isinstance(warp, Affine):
                coarse.append((Affine(size), parameters.to(device)))
            elif isinstance(warp, Cpab):
                coarse.append((Cpab(size), parameters.to(device)))
            else:
                return None
        if theta.shape != (free.dim,):
            return None
        if not deformation:
            worth = None if deformed else 0.0
        return cls(Alignment(size, coarse, found.confidence), free, theta, worth)

    def best(self) -> Alignment:
        """Return where the guide lies, with the deformation where that is accepted."""
        if self.worth is not None and self.worth <= LEAST_GAIN_DB:
            return self.coarse
        return replace(self.coarse, stages=[*self.coarse.stages, (self.free, self.theta)])


def follow(pose: Pose, problem: Problem) -> Pose:
    """Look for the guide close to where it lay."""
    moved = pose.coarse.apply(problem.guide)
    motion = problem.refine(moved, pose.theta)
    tried = replace(pose.coarse, stages=[*pose.coarse.stages, motion])
    if trouble(tried.grid(device=moved.device), shape_of(moved)):
        return pose._replace(theta=torch.zeros_like(pose.theta), worth=0.0)
    gain = problem.error(moved) - problem.error(tried.apply(problem.guide))
    worth = gain if pose.worth is None else (pose.worth + gain) / 2
    return pose._replace(theta=motion[1], worth=worth)


def reacquire(pose: Pose, problem: Problem) -> Pose:
    """Move all of a pose by the affine map close by that explains the target best."""
    guide = problem.guide
    affine = Affine(pose.coarse.size)
    start, rest = torch.zeros(affine.dim, device=guide.device), list(pose.best().stages)
    if rest and isinstance(rest[0][0], Affine):
        start = rest.pop(0)[1]
    theta = refine_affine(problem.target, problem.valid > 0, colours(guide), affine, start, rest)
    kept = [motion for motion in rest if motion[0] is not pose.free]
    moved = replace(pose.coarse, stages=[(affine, theta), *kept])
    if trouble(moved.grid(device=guide.device), shape_of(guide)):
        return pose
    return pose._replace(coarse=moved)
