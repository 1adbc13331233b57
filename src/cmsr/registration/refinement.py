"""Refinement: small displacements of the guide that make the target most likely.

The energy of the local linear model is the negative log-likelihood of the target given the guide
where it lies, and feels fractions of a pixel of the guide. A free-form deformation minimises it,
from a wide lattice of nodes to a narrow one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cmsr.operators.resampling import Resampler, resampler, shape_of
from cmsr.priors.guide_features import whiten
from cmsr.priors.linear_model import energy
from cmsr.registration.free_form import FreeForm
from cmsr.registration.optimisation import descend
from cmsr.registration.transforms import Size, identity_grid, sample

LEVELS = ((24.0, 15, 0.5), (12.0, 15, 1.0))
"""Distance of the nodes in pixels of the target, steps of Adam, and share of the target's sides
at which they are taken, from coarse to fine: a third level, 6 pixels apart, loses .4 dB on known
warps (EXPERIMENTS.md, "Alignment", as for the next three)."""

FOLLOWING = ((12.0, 3, 1.0),)
"""The same from the parameters of the frame before."""

LEAST_SIDE = 64
"""Longer side of a target, in pixels, that is not reduced any further."""

ITERATIONS = 3
"""Steps of conjugate gradients for one energy: as good as six."""

RATE = 0.075
"""Highest learning rate, in pixels of the target; by eye."""

STIFFNESS = 0.32
"""Weight of the squared differences of neighbouring nodes, in pixels of the target, against the
logarithm of the energy: the best of three on twelve known warps."""


def refine(
    y: Tensor,
    valid: Tensor,
    reduce: Resampler,
    guide: Tensor,
    ratio: float,
    start: Tensor | None = None,
) -> tuple[FreeForm, Tensor]:
    """Find the small displacements of a guide that is nearly in place.

    Parameters
    ----------
    y, valid : Tensor, shape (h, w)
        Measurement, and 1 where there is one.
    reduce : Resampler
        The imaging operator, from the guide's grid. Two pixels of the guide per one of the target
        are enough.
    guide : Tensor, shape (G, H, W)
        [0, 1]; off by some pixels at most.
    ratio : float
        Pixels of the guide per pixel of the target.
    start : Tensor, optional
        Parameters found in the frame before, for images of the same sizes; few steps follow.

    Returns
    -------
    The warp and its parameters.
    """
    size, low = shape_of(guide), shape_of(y)
    pixel = 2 / max(low)

    warp, theta = FreeForm(size, (2, 2)), torch.zeros(8, device=y.device)
    if start is not None:
        warp, theta = finest(size, low), start
    for distance, steps, share in LEVELS if start is None else FOLLOWING:
        finer = FreeForm.spaced(size, low, distance)
        theta, warp = warp.resampled(theta, finer), finer
        unlikely = _energy(y, valid, reduce, guide, ratio, share)

        def objective(
            theta: Tensor, warp: FreeForm = warp, unlikely: Callable[..., Tensor] = unlikely
        ) -> Tensor:
            return unlikely(warp, theta).log() + STIFFNESS / pixel**2 * warp.roughness(theta)

        theta = descend(objective, theta, steps, RATE * pixel)
    return warp, theta


def _energy(
    y: Tensor, valid: Tensor, reduce: Resampler, guide: Tensor, ratio: float, share: float
) -> Callable[[FreeForm, Tensor], Tensor]:
    """Return the energy of a deformation, at a share of the resolution."""
    size, low = shape_of(guide), shape_of(y)
    if share < 1 and max(low) * share >= LEAST_SIDE:
        less, fewer = ((round(size[0] * share), round(size[1] * share)) for size in (size, low))
        smaller = resampler(low, fewer, "bicubic", str(y.device))
        reduce = reduce.before(smaller).after(resampler(less, size, "bicubic", str(y.device)))
        guide = resampler(size, less, "bicubic", str(y.device))(guide)
        known = smaller(valid)
        y, valid = smaller(y * valid) / known.clamp_min(0.1), (known > 0.5).to(y)
    features = whiten(guide, ratio)[None]
    grid = identity_grid(shape_of(guide), device=y.device)

    def energy_of(warp: FreeForm, theta: Tensor) -> Tensor:
        moved = sample(features, warp(theta, grid))[0]
        return energy(y, reduce, valid, moved, ratio, iterations=ITERATIONS)

    return energy_of


def finest(size: Size, low: Size) -> FreeForm:
    """Return the warp that `refine` ends with, for a guide of ``size`` and a target of ``low``."""
    return FreeForm.spaced(size, low, LEVELS[-1][0])
