"""Fine alignment: small displacements of the guide that make the target likeliest.

The energy of the local linear model tells how unlikely the target is, given the guide where it
lies; it sees fractions of a pixel of the guide. A free-form deformation descends it, from a wide
lattice of nodes to a narrow one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.degrade import Kernel, resampler, shape_of
from cmsr.freeform import FreeForm
from cmsr.local_linear import energy, whiten
from cmsr.similarity import descend
from cmsr.warp import Size, identity_grid, sample

LEVELS = ((24.0, 15), (12.0, 15))
"""Distance of the nodes in pixels of the target, and steps of Adam, from gross to fine."""

FINENESS = 2.0
"""Pixels of the guide per one of the target at which it is done: finer tells hardly more."""

ITERATIONS = 3
"""Steps of conjugate gradients for one energy: enough to know where it falls."""

RATE = 0.075
"""Highest learning rate, in pixels of the target."""

STIFFNESS = 0.32
"""Weight of the squared differences of neighbouring nodes, in pixels of the target, against the
logarithm of the energy."""


def refine(
    y: Tensor, valid: Tensor, guide: Tensor, kernel: Kernel, ratio: float
) -> tuple[FreeForm, Tensor]:
    """Find the small displacements of a guide that is nearly in place.

    Parameters
    ----------
    y, valid : Tensor, shape (h, w)
        Measurement, and 1 where there is one.
    guide : Tensor, shape (G, H, W)
        [0, 1]; off by some pixels at most.
    kernel : str or PointSpread
        The imaging kernel.
    ratio : float
        Output pixels per pixel of the target.

    Returns
    -------
    The warp and its parameters.
    """
    size, low, fineness = shape_of(guide), shape_of(y), min(ratio, FINENESS)
    working = round(low[0] * fineness), round(low[1] * fineness)
    reduce = resampler(working, low, kernel, str(y.device))
    features = whiten(resampler(size, working, "bicubic", str(y.device))(guide), fineness)[None]
    grid = identity_grid(working, device=y.device)
    pixel = 2 / max(low)

    warp, theta = FreeForm(size, (2, 2)), torch.zeros(8, device=y.device)
    for distance, steps in LEVELS:
        finer = _warp(size, low, distance)
        theta = _renoded(warp.lattice(theta), finer)
        warp = finer

        def objective(theta: Tensor, warp: FreeForm = warp) -> Tensor:
            moved = sample(features, warp(theta, grid))[0]
            unlikely = energy(y, reduce, valid, moved, fineness, iterations=ITERATIONS)
            return unlikely.log() + STIFFNESS / pixel**2 * warp.roughness(theta)

        theta = descend(objective, theta, steps, RATE * pixel)
    return warp, theta


def _warp(size: Size, low: Size, distance: float) -> FreeForm:
    rows, columns = (max(3, round(side / distance) + 1) for side in low)
    return FreeForm(size, (columns, rows))


def _renoded(lattice: Tensor, warp: FreeForm) -> Tensor:
    """Carry displacements (1, 2, rows, columns) over to another lattice, as its parameters."""
    shape = warp.lattice(torch.zeros(warp.dim)).shape[2:]
    return F.interpolate(lattice, tuple(shape), mode="bicubic", align_corners=True).flatten()
