"""Alignment: where in the guide each pixel of the target lies, and how sure that is.

From coarse to fine: an affine map found from far away, a smooth deformation, where asked for
different displacements of different segments, a last small shift.
Each is kept only if the guide then predicts the target better than before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.parallel import ahead
from cmsr.registration.coarse_search import search
from cmsr.registration.cpab import Cpab
from cmsr.registration.deformation import CELLS, deform
from cmsr.registration.free_form import FreeForm
from cmsr.registration.layered_motion import layered_motion
from cmsr.registration.matching import worth_matching
from cmsr.registration.segments import Segments
from cmsr.registration.transforms import (
    Affine,
    Motion,
    Size,
    Stages,
    ThinPlate,
    Warp,
    area_change,
    compose,
    displacement,
    identity_grid,
    inside,
    sample,
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

MOST_LOOKED_AT = 1024
"""Places along the longer side at which displacements are measured, at most."""

LEAST_SEEN = 0.5
"""Share of the target that must lie on the guide."""

Layers = Literal["no", "proven", "yes"]


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
    def layered(self) -> bool:
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

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        return {
            "size": list(self.size),
            "stages": [
                {"warp": _name(warp), "parameters": theta.tolist(), **_shape_of_warp(warp)}
                for warp, theta in self.stages
            ],
            "confidence": self.confidence,
            "warnings": list(self.warnings),
            "refused": self.refused,
        }

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is not an alignment.
        """
        height, width = values["size"]
        size = int(height), int(width)
        return cls(
            size,
            [
                (_warp_of(stage, size), torch.tensor(stage["parameters"]))
                for stage in values["stages"]
            ],
            values["confidence"],
            tuple(values["warnings"]),
            values["refused"],
        )

    def facts(self) -> dict[str, Any]:
        """Return what JSON can hold of it; displacements in pixels of the guide."""
        share = min(1.0, MOST_LOOKED_AT / max(self.size))
        size = round(self.size[0] * share), round(self.size[1] * share)
        moved = displacement(self.grid(size), self.size).norm(dim=-1)
        return {
            "stages": [
                {"warp": _name(warp), "parameters": theta.tolist()} for warp, theta in self.stages
            ],
            "confidence": self.confidence,
            "refused": self.refused,
            "median_displacement": moved.median().item(),
            "largest_displacement": moved.max().item(),
            "unseen": 1 - self.seen(size).mean().item(),
        }


def _name(warp: Warp) -> str:
    return type(warp).__name__.lower()


def _shape_of_warp(warp: Warp) -> dict[str, Any]:
    """Return what it takes to build a warp again, beside its image's size."""
    if isinstance(warp, FreeForm):
        return {"nodes": list(warp.nodes)}
    if isinstance(warp, Segments):
        return {"labels": warp.labels.tolist()}
    return {}


def _warp_of(stage: Mapping[str, Any], size: Size) -> Warp:
    """Build the warp of a stage, as `Alignment.to_json` describes it."""
    match stage["warp"]:
        case "affine":
            return Affine(size)
        case "cpab":
            return Cpab(size, CELLS)
        case "thinplate":
            return ThinPlate(size)
        case "freeform":
            columns, rows = stage["nodes"]
            return FreeForm(size, (columns, rows))
        case "segments":
            return Segments(size, torch.tensor(stage["labels"]))
        case other:
            raise ValueError(f"there is no warp {other!r}")


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
    """
    target, valid, guide = problem.target, problem.valid, problem.guide
    best, affine = Alignment(shape_of(guide)), None
    if not placed:
        best, affine = recognise(target, valid, guide)
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


def recognise(target: Tensor, valid: Tensor, guide: Tensor) -> tuple[Alignment, Tensor | None]:
    """Search for a target (h, w) in a guide (G, H, W); return the guide where it is, and the map.

    The alignment is refused where the guide seems to show another scene; the affine parameters (6,)
    are None where the target is too small to be searched for.
    """
    if min(target.shape) < LEAST_SIDE:
        return Alignment(shape_of(guide)), None
    found = search(target, colours(guide), valid > 0)
    return recognised(shape_of(guide), found.confidence), found.affine


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
