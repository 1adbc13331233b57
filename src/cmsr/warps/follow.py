"""Alignment along frames of one camera: from where the guide lay in the frame before.

The coarse search and the smooth deformation are left out; the free-form deformation goes on from
what it was, where that tells more. The move must still earn its freedom in this very frame, or all
is searched anew.
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
from cmsr.warps.refine import finest
from cmsr.warps.warp import Affine, Motion, Size, Stages, Warp


def follow(
    facts: Mapping[str, Any],
    target: Tensor,
    guide: Tensor,
    error: Callable[[Tensor], float],
    refine: Callable[[Tensor, Tensor | None], Motion] | None,
) -> Alignment | None:
    """Go on from the frame before.

    Parameters
    ----------
    facts : mapping
        `Alignment.facts` of the frame before, of images of the same sizes.
    target : Tensor, shape (h, w)
        In any unit.
    guide : Tensor, shape (G, H, W)
        [0, 1].
    error : callable
        Takes a moved guide (G, H, W) and returns how badly it predicts hidden pixels, in dB.
    refine : callable or None
        Takes a moved guide and the parameters to start from, if the frame before has any, and
        returns the small warp that is left, with its parameters; None where no more than an affine
        map is wanted.

    Returns
    -------
    Alignment or None
        None where the frame before is of no help: it showed another scene or had other sizes, or
        its move explains nothing here.
    """
    size = shape_of(guide)
    before = _stages(facts, size, shape_of(target), guide.device)
    if before is None:
        return None
    gross, start = before
    unmoved = Alignment(size, (), facts["confidence"])
    kept = gross if start is None else [*gross, (finest(size, shape_of(target)), start)]
    found, lowest = unmoved, error(guide)
    if kept:
        found, lowest = proven(unmoved, lowest, kept, LEAST_GAIN_DB, guide, error)
        if not found.stages:
            return None
    if refine is None:
        return found
    finer = [*gross, refine(Alignment(size, gross).apply(guide), start)]
    return proven(found, lowest, finer, LEAST_GAIN_DB, guide, error)[0]


def _stages(
    facts: Mapping[str, Any], size: Size, low: Size, device: torch.device
) -> tuple[Stages, Tensor | None] | None:
    """Return the warps of facts, and apart from them the parameters of a free-form one."""
    last = finest(size, low)
    known: dict[str, Warp] = {"affine": Affine(size), "cpab": Cpab(size, CELLS), "freeform": last}
    if facts.get("refused", True):
        return None
    gross, start = [], None
    for stage in facts["stages"]:
        warp = known.get(stage["warp"])
        theta = torch.tensor(stage["parameters"], device=device)
        if warp is None or theta.shape != (warp.dim,):
            return None
        if warp is last:
            start = theta
        else:
            gross.append((warp, theta))
    return gross, start
