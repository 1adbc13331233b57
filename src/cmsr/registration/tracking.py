"""Alignment along frames of one camera: from where the guide lay in the frame before.

The coarse search and the smooth deformation are left out. The free-form deformation goes on
descending from frame to frame, a few steps in each, whether or not it has proven itself yet; it is
used where the hidden pixels of this frame and of those before speak for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.alignment import LEAST_GAIN_DB, Alignment, trouble
from cmsr.registration.coarse_search import refine_affine
from cmsr.registration.cpab import Cpab
from cmsr.registration.deformation import CELLS
from cmsr.registration.free_form import FreeForm
from cmsr.registration.refinement import finest
from cmsr.registration.transforms import Affine, Motion, Size, Warp


class Place(NamedTuple):
    """Where the guide lay, and what a free-form deformation would change about that.

    Attributes
    ----------
    gross : Alignment
        Without the deformation.
    free : FreeForm
        The family of deformations.
    theta : Tensor
        Its parameters.
    worth : float or None
        By how many dB it has lowered the held-out error of late; None where it did, nobody knows by
        how much.
    """

    gross: Alignment
    free: FreeForm
    theta: Tensor
    worth: float | None = None

    @classmethod
    def of(
        cls, facts: Mapping[str, Any], size: Size, low: Size, device: torch.device
    ) -> Self | None:
        """Recall it from the frame before.

        Parameters
        ----------
        facts : mapping
            `Alignment.facts` of that frame, and what `told` returned of it, if it did.
        size, low : (height, width)
            Of the guide and of the target, as they are when the guide is looked for.
        device : torch.device
            Where the parameters are to live.

        Returns
        -------
        Place or None
            None where that frame is of no help: the guide was refused or torn, or of other sizes.
        """
        free = finest(size, low)
        known: dict[str, Warp] = {"affine": Affine(size), "cpab": Cpab(size, CELLS)}
        if facts.get("refused", True):
            return None
        gross: list[Motion] = []
        bent = any(stage["warp"] == "freeform" for stage in facts["stages"])
        theta = torch.tensor(facts.get("freeform", [0.0] * free.dim), device=device)
        for stage in facts["stages"]:
            parameters = torch.tensor(stage["parameters"], device=device)
            warp = known.get(stage["warp"])
            if stage["warp"] == "freeform":
                theta = parameters
            elif warp is None or parameters.shape != (warp.dim,):
                return None
            else:
                gross.append((warp, parameters))
        if theta.shape != (free.dim,):
            return None
        worth = facts.get("worth", None if bent else 0.0)
        return cls(Alignment(size, gross, facts["confidence"]), free, theta, worth)

    def best(self) -> Alignment:
        """Return where the guide is believed to lie."""
        if self.worth is not None and self.worth <= LEAST_GAIN_DB:
            return self.gross
        return replace(self.gross, stages=[*self.gross.stages, (self.free, self.theta)])

    def told(self) -> dict[str, Any]:
        """Return what JSON can hold of the deformation, for the next frame."""
        return {"freeform": self.theta.tolist(), "worth": self.worth}


def follow(
    place: Place,
    guide: Tensor,
    error: Callable[[Tensor], float],
    refine: Callable[[Tensor, Tensor], Motion],
) -> Place:
    """Look for the guide close to where it lay.

    Parameters
    ----------
    place : Place
        Where it lay.
    guide : Tensor, shape (G, H, W)
        [0, 1].
    error : callable
        Takes a moved guide (G, H, W) and returns how badly it predicts hidden pixels, in dB.
    refine : callable
        Takes a moved guide and the parameters of a free-form warp to start from, and returns the
        small warp that is left, with its parameters.
    """
    moved = place.gross.apply(guide)
    motion = refine(moved, place.theta)
    tried = replace(place.gross, stages=[*place.gross.stages, motion])
    if trouble(tried.grid(device=guide.device), shape_of(guide)):
        return place._replace(theta=torch.zeros_like(place.theta), worth=0.0)
    gain = error(moved) - error(tried.apply(guide))
    worth = gain if place.worth is None else (place.worth + gain) / 2
    return place._replace(theta=motion[1], worth=worth)


def nudged(place: Place, target: Tensor, valid: Tensor, guide: Tensor) -> Place:
    """Move all of a place by the affine map close by that explains the target best.

    Parameters
    ----------
    place : Place
        Where the guide lay.
    target, valid : Tensor, shape (h, w)
        In any unit; 1 where it was measured.
    guide : Tensor, shape (G, H, W)
        [0, 1].
    """
    affine = Affine(place.gross.size)
    start, rest = torch.zeros(affine.dim, device=guide.device), list(place.best().stages)
    if rest and isinstance(rest[0][0], Affine):
        start = rest.pop(0)[1]
    colours = guide.expand(3, -1, -1)
    theta = refine_affine(target, valid > 0, colours, affine, start, rest)
    kept = [motion for motion in rest if motion[0] is not place.free]
    moved = replace(place.gross, stages=[(affine, theta), *kept])
    if trouble(moved.grid(device=guide.device), shape_of(guide)):
        return place
    return place._replace(gross=moved)
