"""Alignment along frames of one camera: from where the guide lay in the frame before.

The coarse search and the smooth deformation are left out; the free-form deformation takes a few
steps from what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from cmsr.degrade import shape_of
from cmsr.warps.alignment import LEAST_GAIN_DB, Alignment, proven
from cmsr.warps.cpab import Cpab
from cmsr.warps.deform import CELLS
from cmsr.warps.freeform import FreeForm
from cmsr.warps.refine import finest
from cmsr.warps.warp import Affine, Motion, Size, Warp


def recalled(
    facts: Mapping[str, Any], size: Size, low: Size, device: torch.device
) -> Alignment | None:
    """Return where the guide lay in the frame before.

    Parameters
    ----------
    facts : mapping
        `Alignment.facts` of that frame.
    size, low : (height, width)
        Of the guide and of the target, as they were when the guide was looked for.
    device : torch.device
        Where the parameters are to live.

    Returns
    -------
    Alignment or None
        None where that frame is of no help: the guide was refused or torn, or of other sizes.
    """
    known: dict[str, Warp] = {
        "affine": Affine(size),
        "cpab": Cpab(size, CELLS),
        "freeform": finest(size, low),
    }
    if facts.get("refused", True):
        return None
    stages = []
    for stage in facts["stages"]:
        warp = known.get(stage["warp"])
        theta = torch.tensor(stage["parameters"], device=device)
        if warp is None or theta.shape != (warp.dim,):
            return None
        stages.append((warp, theta))
    return Alignment(size, stages, facts["confidence"])


def follow(
    placed: Alignment,
    low: Size,
    guide: Tensor,
    error: Callable[[Tensor], float],
    refine: Callable[[Tensor, Tensor], Motion],
) -> Alignment:
    """Look for the guide close to where it lay; a move must earn its freedom.

    Parameters
    ----------
    placed : Alignment
        Where it lay.
    low : (height, width)
        Of the target.
    guide : Tensor, shape (G, H, W)
        [0, 1].
    error : callable
        Takes a moved guide (G, H, W) and returns how badly it predicts hidden pixels, in dB.
    refine : callable
        Takes a moved guide and the parameters of a free-form warp to start from, and returns the
        small warp that is left, with its parameters.
    """
    free = [theta for warp, theta in placed.stages if isinstance(warp, FreeForm)]
    gross = [motion for motion in placed.stages if not isinstance(motion[0], FreeForm)]
    unmoved = torch.zeros(finest(shape_of(guide), low).dim, device=guide.device)
    moved = Alignment(placed.size, gross).apply(guide)
    stages = [*gross, refine(moved, free[-1] if free else unmoved)]
    return proven(placed, error(placed.apply(guide)), stages, LEAST_GAIN_DB, guide, error)[0]
