"""Alignment: where in the guide each pixel of the target lies, and whether that can be believed.

From gross to fine: an affine map found from far away, a smooth deformation, where asked for
different displacements of different segments, a last small shift.
Each is kept only if the guide then predicts the target better than before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.parallel import ahead
from cmsr.registration.coarse_search import search
from cmsr.registration.deformation import deform
from cmsr.registration.layered_motion import Segmented, layered_motion
from cmsr.registration.matching import worth_matching
from cmsr.registration.segments import Segments
from cmsr.registration.superpixels import superpixels
from cmsr.registration.transforms import (
    Affine,
    Motion,
    Size,
    Stages,
    area_change,
    compose,
    displacement,
    identity_grid,
    inside,
    sample,
)

LEAST_GAIN_DB = 0.05
"""Fall of the held-out error that a move of the guide must bring to be believed."""

LEAST_BENT_GAIN_DB = 0.5
"""The same for a smooth deformation, which has many more ways to please by chance."""

LEAST_PROMISE_DB = 0.3
"""The same for its gross beginning. Where it was needed in the end it brought .6 or more, in other
places .3 at most."""

LEAST_CONFIDENCE = 0.5
"""Confidence of the coarse search below which the guide counts as another scene's."""

LEAST_SIDE = 8
"""Smallest target that the coarse search takes, in pixels."""

FARTHEST = 0.3
"""Largest median displacement allowed, in longer sides of the guide."""

LEAST_SEEN = 0.5
"""Share of the target that must lie on the guide."""

Tear = Literal["no", "proven", "yes"]

Misfit = Callable[[Tensor], Tensor]
"""Takes a moved guide (G, H, W) and returns by how much it mispredicts each hidden pixel, squared,
0 at all others, (h, w)."""


@dataclass(frozen=True)
class Alignment:
    """Where the guide lies.

    Attributes
    ----------
    size : (height, width)
        Of the guide; any other image of the same frame may be read at ``grid`` as well.
    stages : Stages
        Warps for `cmsr.registration.transforms.compose`; none leaves the guide where it is.
    confidence : float or None
        Chance that the guide shows the target's scene; None where nobody asked.
    warnings : tuple of str
        What was refused, and why.
    refused : bool
        Whether the guide seems to show another scene and must not be used.
    """

    size: Size
    stages: Stages = ()
    confidence: float | None = None
    warnings: tuple[str, ...] = ()
    refused: bool = False

    @property
    def torn(self) -> bool:
        """Whether segments of the guide move each by itself."""
        return any(isinstance(warp, Segments) for warp, _ in self.stages)

    def grid(self, size: Size | None = None, device: torch.device | None = None) -> Tensor:
        """Return where each pixel reads the guide, (1, H, W, 2), at its own or another size."""
        with torch.no_grad():
            return compose(self.stages, identity_grid(size or self.size, device=device))

    def apply(self, guide: Tensor) -> Tensor:
        """Move a guide (G, H, W), interpolating once."""
        if not self.stages:
            return guide
        return sample(guide[None], self.grid(shape_of(guide), guide.device), "bicubic")[0]

    def seen(self, size: Size | None = None, device: torch.device | None = None) -> Tensor:
        """Return 1 where the guide reaches and shows what the target sees, else 0, (H, W)."""
        return self.placed(identity_grid(size or self.size, device=device))[1][0].float()

    def placed(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Return where places of a grid (1, H, W, 2) read the guide, and whether it shows them."""
        shown = torch.ones(grid.shape[:3], dtype=torch.bool, device=grid.device)
        for warp, theta in reversed(self.stages):
            if isinstance(warp, Segments):
                shown &= warp.seen(theta, grid)
            grid = warp(theta, grid)
        return grid, shown & inside(grid)

    def owners(self, size: Size | None = None) -> Tensor | None:
        """Return which segment each place moves with, (H, W); None where all is one."""
        grid = identity_grid(size or self.size)
        for warp, theta in reversed(self.stages):
            if isinstance(warp, Segments):
                return warp.owners(theta.cpu(), grid)[0]
            grid = warp(theta.cpu(), grid)
        return None

    def carried(self, labels: Tensor) -> Tensor:
        """Move a label image (h, w) of the guide as the guide is moved, nearest label each."""
        grid = self.grid(shape_of(labels), labels.device)
        return sample(labels[None, None].double(), grid.double(), "nearest")[0, 0].long()

    def facts(self) -> dict[str, Any]:
        """Return what JSON can hold of it; displacements in pixels of the guide."""
        moved = displacement(self.grid(), self.size).norm(dim=-1)
        return {
            "stages": [
                {"warp": type(warp).__name__.lower(), "parameters": theta.tolist()}
                for warp, theta in self.stages
            ],
            "confidence": self.confidence,
            "refused": self.refused,
            "median_displacement": moved.median().item(),
            "largest_displacement": moved.max().item(),
            "unseen": 1 - self.seen().mean().item(),
        }


def align(
    target: Tensor,
    valid: Tensor,
    guide: Tensor,
    error: Callable[[Tensor], float],
    misfit: Misfit,
    refine: Callable[[Tensor], Motion],
    *,
    deformable: bool = True,
    tear: Tear = "no",
    segmented: Segmented | None = None,
    glance: bool = True,
) -> Alignment:
    """Find where the guide lies, and keep of that what is proven.

    Parameters
    ----------
    target : Tensor, shape (h, w)
        In any unit.
    valid : Tensor, shape (h, w)
        1 where the target was measured.
    guide : Tensor, shape (G, H, W)
        [0, 1].
    error : callable
        Takes a moved guide (G, H, W) and returns how badly it predicts hidden pixels, in dB.
    misfit : callable
        The same pixel by pixel, see `Misfit`.
    refine : callable
        Takes a moved guide and returns the small warp that is left, with its parameters.
    deformable : bool
        Whether more than an affine map is tried.
    tear : {"no", "proven", "yes"}
        Whether segments of the guide may move each by itself: never, where that is proven, or in
        any case. In the last one the guide is never refused, as no single map may fit it.
    segmented : callable, optional
        Takes about how many segments are wanted and returns labels of the guide, from 0 on, at any
        resolution; superpixels of ``guide`` otherwise.
    glance : bool
        Whether proof is looked for only where a glance tells that there may be some.
    """
    best, affine = recognise(target, valid, guide)
    if best.refused and tear == "yes":
        best = Alignment(best.size, (), best.confidence)
    if best.refused:
        return best
    lowest = error(guide)
    if affine is not None and affine.any():
        coarse = [(Affine(best.size), affine)]
        best, lowest = proven(best, lowest, coarse, LEAST_GAIN_DB, guide, error)
    rigid = best
    finer = ahead(lambda: refine(rigid.apply(guide))) if deformable else None
    if affine is not None and deformable:
        best, lowest = _bent(best, lowest, affine, target, valid, guide, error)
    if affine is not None and tear != "no":
        cut = segmented or partial(superpixels, guide.expand(3, -1, -1))
        if tear == "yes" or not glance or _worth_tearing(best, target, valid, guide):
            best = _torn(best, target, valid, guide, cut, misfit, forced=tear == "yes")
    if finer is None or best.torn:
        return best
    motion = finer() if best is rigid else refine(best.apply(guide))
    return proven(best, lowest, [*best.stages, motion], LEAST_GAIN_DB, guide, error)[0]


def recognise(target: Tensor, valid: Tensor, guide: Tensor) -> tuple[Alignment, Tensor | None]:
    """Search for a target (h, w) in a guide (G, H, W); return the guide where it is, and the map.

    The alignment is refused where the guide seems to show another scene; the affine parameters (6,)
    are None where the target is too small to be searched for.
    """
    if min(target.shape) < LEAST_SIDE:
        return Alignment(shape_of(guide)), None
    found = search(target, guide.expand(3, -1, -1), valid > 0)
    return recognised(shape_of(guide), found.confidence), found.affine


def recognised(size: Size, confidence: float) -> Alignment:
    """Return the guide where it is, refused where the confidence of the search is too low."""
    if confidence >= LEAST_CONFIDENCE:
        return Alignment(size, (), confidence)
    warning = (
        f"the guide does not seem to show what the target shows (confidence {confidence:.2f}): "
        "it is not used; with align off it is"
    )
    return Alignment(size, (), confidence, (warning,), refused=True)


def trouble(grid: Tensor, size: Size, *, torn: bool = False) -> str | None:
    """Say what makes a grid (1, H, W, 2) impossible for a guide of ``size``, or None.

    A grid that is ``torn`` into segments may fold where these meet.
    """
    if not torn and (area_change(grid) <= 0).any():
        return "folds the guide over itself"
    if (share := inside(grid).float().mean().item()) < LEAST_SEEN:
        return f"leaves only {share:.0%} of the target on the guide"
    moved = displacement(grid, size).norm(dim=-1).median().item()
    if moved > FARTHEST * max(size):
        return f"moves the guide by {moved:.0f} px, further than {FARTHEST * max(size):.0f} px"
    return None


def _bent(
    best: Alignment,
    lowest: float,
    affine: Tensor,
    target: Tensor,
    valid: Tensor,
    guide: Tensor,
    error: Callable[[Tensor], float],
) -> tuple[Alignment, float]:
    """Add a smooth deformation to an affine map where hidden pixels prove both."""

    def promising(stages: Stages) -> bool:
        return lowest - error(replace(best, stages=stages).apply(guide)) > LEAST_PROMISE_DB

    colours = guide.expand(3, -1, -1)
    stages = deform(target, colours, affine, valid > 0, promising)
    if len(stages) == 1:
        return best, lowest
    return proven(best, lowest, stages, LEAST_BENT_GAIN_DB, guide, error)


def _worth_tearing(best: Alignment, target: Tensor, valid: Tensor, guide: Tensor) -> bool:
    """Tell at a glance whether parts of the guide may move by themselves."""
    return worth_matching(target, valid, best.apply(guide).expand(3, -1, -1))


def _torn(
    best: Alignment,
    target: Tensor,
    valid: Tensor,
    guide: Tensor,
    segmented: Segmented,
    misfit: Misfit,
    *,
    forced: bool,
) -> Alignment:
    """Add, to what is known of the guide's place, the different moves of its segments.

    Hidden pixels prove them one by one.
    """
    moved = best.apply(guide).expand(3, -1, -1)

    def of_stages(stages: Stages) -> Tensor:
        return misfit(replace(best, stages=[*best.stages, *stages]).apply(guide))

    def of_moved(count: int) -> Tensor:
        return best.carried(segmented(count))

    found = layered_motion(target, valid, moved, of_moved, best.size, of_stages, forced=forced)
    return _possible(best, [*best.stages, *found], guide.device) if found else best


def proven(
    best: Alignment,
    lowest: float,
    stages: Stages,
    least_gain: float,
    guide: Tensor,
    error: Callable[[Tensor], float],
) -> tuple[Alignment, float]:
    """Return a move if it earns its freedom, else what there was, with the held-out error."""
    tried = _possible(best, stages, guide.device)
    if tried.stages is not stages:
        return tried, lowest
    found = error(tried.apply(guide))
    return (tried, found) if lowest - found > least_gain else (best, lowest)


def _possible(best: Alignment, stages: Stages, device: torch.device) -> Alignment:
    """Return a move, or what there was, with a warning, where `trouble` forbids it."""
    tried = replace(best, stages=stages)
    problem = trouble(tried.grid(device=device), best.size, torn=tried.torn)
    if problem is None:
        return tried
    refusal = f"a move of the guide is refused: it {problem}"
    return replace(best, warnings=(*best.warnings, refusal))
