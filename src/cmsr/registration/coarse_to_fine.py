"""Find where a guide lies, from coarse to fine.

An affine map found from far away, a smooth deformation, where asked for different displacements
of different segments, a last small shift. Each is kept only if the guide then predicts the target
better than before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Protocol

import torch
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.parallel import ahead
from cmsr.registration.alignment import Alignment
from cmsr.registration.coarse_search import Registration, search
from cmsr.registration.deformation import deform
from cmsr.registration.layered_motion import layered_motion
from cmsr.registration.matching import worth_matching
from cmsr.registration.transforms import (
    Affine,
    Motion,
    Size,
    Stages,
    area_change,
    displacement,
    inside,
)
from cmsr.registration.view import colours

LEAST_GAIN_DB = 0.05
"""Fall of the held-out error that a move of the guide must bring to be accepted."""

LEAST_DEFORMED_GAIN_DB = 0.5
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

Layers = Literal["no", "proven", "yes"]


class Problem(Protocol):
    """A target, its guide, and a score of where the guide lies."""

    @property
    def target(self) -> Tensor:
        """In any unit, (h, w)."""

    @property
    def valid(self) -> Tensor:
        """1 where the target was measured, (h, w)."""

    @property
    def guide(self) -> Tensor:
        """[0, 1], (G, H, W)."""

    def error(self, moved: Tensor) -> float:
        """Return how badly a moved guide (G, H, W) predicts held-out pixels, in dB."""

    def misfit(self, moved: Tensor) -> Tensor:
        """Return the same pixel by pixel, squared, 0 where nothing is held out, (h, w)."""

    def refine(self, moved: Tensor, start: Tensor | None = None) -> Motion:
        """Return the small warp that is left, with its parameters."""

    def segments(self, count: int) -> Tensor:
        """Return about ``count`` segments of the guide as labels from 0 on, at any resolution."""


def align(
    problem: Problem,
    *,
    deformable: bool = True,
    layers: Layers = "no",
    precheck: bool = True,
    placed: bool = False,
    near: Registration | None = None,
) -> Alignment:
    """Find where the guide lies, and keep of that what held-out pixels confirm.

    Parameters
    ----------
    problem : Problem
        What to align.
    deformable : bool
        Whether more than an affine map is tried.
    layers : {"no", "proven", "yes"}
        Whether segments of the guide may move each by itself: never, where held-out pixels confirm
        it, or in any case. In the last one the guide is never refused, as no single map may fit it.
    precheck : bool
        Whether layers are looked for only where a quick look tells that there may be some.
    placed : bool
        Whether it is known that the guide is nearly in place: nothing is searched from far away.
    near : Registration, optional
        The affine map, where it was searched for already.
    """
    target, valid, guide = problem.target, problem.valid, problem.guide
    best, affine = Alignment(shape_of(guide)), None
    if not placed:
        best, affine = recognise(target, valid, guide, near)
    if best.refused and layers == "yes":
        best = Alignment(best.size, (), best.confidence)
    if best.refused:
        return best
    lowest = problem.error(guide)
    if affine is not None and affine.any():
        coarse = [(Affine(best.size), affine)]
        best, lowest = accepted(best, lowest, coarse, LEAST_GAIN_DB, problem)
    rigid = best
    finer = ahead(lambda: problem.refine(rigid.apply(guide))) if deformable else None
    if affine is not None and deformable:
        best, lowest = _deformed(best, lowest, affine, problem)
    if (affine is not None or placed) and layers != "no":
        moved = colours(best.apply(guide))
        if layers == "yes" or not precheck or worth_matching(target, valid, moved):
            best = _layered(best, problem, forced=layers == "yes")
    if finer is None or best.layered:
        return best
    motion = finer() if best is rigid else problem.refine(best.apply(guide))
    return accepted(best, lowest, [*best.stages, motion], LEAST_GAIN_DB, problem)[0]


def recognise(
    target: Tensor, valid: Tensor, guide: Tensor, near: Registration | None = None
) -> tuple[Alignment, Tensor | None]:
    """Search for a target (h, w) in a guide (G, H, W); return the guide where it is, and the map.

    ``near`` is what the search gave, if it was made before.

    The alignment is refused where the guide seems to show another scene; the affine parameters (6,)
    are None where the target is too small to be searched for.
    """
    if min(target.shape) < LEAST_SIDE:
        return Alignment(shape_of(guide)), None
    found = near or search(target, colours(guide), valid > 0)
    return recognised(shape_of(guide), found.confidence), found.affine.to(guide.device)


def recognised(size: Size, confidence: float) -> Alignment:
    """Return the guide where it is, refused where the confidence of the search is too low."""
    if confidence >= LEAST_CONFIDENCE:
        return Alignment(size, (), confidence)
    warning = (
        f"the guide was not found in the target (confidence {confidence:.2f}) and is not used: "
        "this is the result without it. It may show another scene or another field of view, or "
        "nothing that the sensor sees; if it is the right photo, say where it lies "
        "(--points, --field-of-view) or that it lies right (--align off)"
    )
    return Alignment(size, (), confidence, (warning,), refused=True)


def trouble(grid: Tensor, size: Size, *, layered: bool = False) -> str | None:
    """Say what makes a grid (1, H, W, 2) impossible for a guide of ``size``, or None.

    A grid in layers may fold where these meet.
    """
    if not layered and (area_change(grid) <= 0).any():
        return "folds the guide over itself"
    if (share := inside(grid).float().mean().item()) < LEAST_SEEN:
        return f"leaves only {share:.0%} of the target on the guide"
    moved = displacement(grid, size).norm(dim=-1).median().item()
    if moved > FARTHEST * max(size):
        return f"moves the guide by {moved:.0f} px, further than {FARTHEST * max(size):.0f} px"
    return None


def _deformed(
    best: Alignment, lowest: float, affine: Tensor, problem: Problem
) -> tuple[Alignment, float]:
    """Add a smooth deformation to an affine map where held-out pixels confirm both."""

    def promising(stages: Stages) -> bool:
        moved = replace(best, stages=stages).apply(problem.guide)
        return lowest - problem.error(moved) > LEAST_PROMISE_DB

    target, valid = problem.target, problem.valid
    stages = deform(target, colours(problem.guide), affine, valid > 0, promising)
    if len(stages) == 1:
        return best, lowest
    return accepted(best, lowest, stages, LEAST_DEFORMED_GAIN_DB, problem)


def _layered(best: Alignment, problem: Problem, *, forced: bool) -> Alignment:
    """Add, to what is known of the guide's place, the different moves of its segments.

    Held-out pixels confirm them one by one.
    """
    moved = colours(best.apply(problem.guide))

    def misfit(stages: Stages) -> Tensor:
        return problem.misfit(replace(best, stages=[*best.stages, *stages]).apply(problem.guide))

    def segments(count: int) -> Tensor:
        return best.carried(problem.segments(count))

    target, valid = problem.target, problem.valid
    found = layered_motion(target, valid, moved, segments, best.size, misfit, forced=forced)
    return _possible(best, [*best.stages, *found], moved.device) if found else best


def accepted(
    best: Alignment, lowest: float, stages: Stages, least_gain: float, problem: Problem
) -> tuple[Alignment, float]:
    """Return a move if it earns its freedom, else what there was, with the held-out error."""
    tried = _possible(best, stages, problem.guide.device)
    if tried.stages is not stages:
        return tried, lowest
    found = problem.error(tried.apply(problem.guide))
    return (tried, found) if lowest - found > least_gain else (best, lowest)


def _possible(best: Alignment, stages: Stages, device: torch.device) -> Alignment:
    """Return a move, or what there was, with a warning, where `trouble` forbids it."""
    tried = replace(best, stages=stages)
    problem = trouble(tried.grid(device=device), best.size, layered=tried.layered)
    if problem is None:
        return tried
    refusal = f"a displacement of the guide was rejected because it {problem}"
    return replace(best, warnings=(*best.warnings, refusal))
