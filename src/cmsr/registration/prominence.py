"""How far a place of a target in a photo stands out from those around it.

A right place is much better than places a few pixels aside; a wrong one, found by a likeness in the
large, hardly. Two scores that see different things say so: the local linear model goes by values,
the correlation of orientations by edges.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.coarse_search import orientations
from cmsr.registration.cutouts import Cutouts
from cmsr.registration.far_search import BLUR
from cmsr.registration.similarity import similarity

STEP, STEPS = 4, 3
"""Pixels of the target between places aside, and how many steps they go either way."""

PEAK, ASIDE = 2, 5
"""The same for edges: pixels up to which a place is the same, and from which on it is another."""

WIDER = 1.25
"""Side of the part of the photo in which edges are looked for, in sides of the target."""


def prominence(cuts: Cutouts, theta: Tensor) -> float:
    """Return by how much one place (7,) scores above all places aside, by values and by edges.

    ``cuts`` holds a single cut-out.
    """
    return by_values(cuts, theta) + by_edges(cuts, theta)


def by_values(cuts: Cutouts, theta: Tensor) -> float:
    """Return by how many nats the similarity of a place exceeds that of places aside."""
    reach = torch.arange(-STEPS, STEPS + 1)
    down, across = (each.flatten() for each in torch.meshgrid(reach, reach, indexing="ij"))
    aside = down.square() + across.square() >= 4  # two steps away
    shifts = torch.stack((across, down), 1)[aside] * (2 * STEP / max(shape_of(cuts.target)))
    thetas = theta.repeat(1 + len(shifts), 1)
    thetas[1:, :2] += shifts
    guides, shown = cuts.read(thetas)
    found = similarity(cuts.target.expand(len(thetas), -1, -1), guides, shown)
    return float(found[0] - found[1:].max())


def by_edges(cuts: Cutouts, theta: Tensor) -> float:
    """Return by how much the orientations correlate better at a place than aside."""
    height, width = shape_of(cuts.target)
    tall, wide = round(height * WIDER), round(width * WIDER)
    guides, shown = cuts.read(theta[None], (tall, wide))
    photo, target = (
        field * support
        for field, support in (
            orientations(guides[0], shown[0], BLUR),
            orientations(cuts.target[None], cuts.valid, BLUR),
        )
    )

    def slid(image: Tensor, template: Tensor) -> Tensor:
        spectra = torch.fft.fft2(image), torch.fft.fft2(template, s=(tall, wide))
        whole: Tensor = torch.fft.ifft2(spectra[0] * spectra[1].conj()).real
        return whole[: tall - height + 1, : wide - width + 1]

    energy = photo.abs().square()
    near = slid(energy, (target.abs() > 0).float()).clamp_min(1e-3 * float(energy.sum()) + 1e-12)
    found = slid(photo, target) / (near * target.abs().square().sum().clamp_min(1e-12)).sqrt()
    down, across = (torch.arange(n) - (n - 1) // 2 for n in shape_of(found))
    away = (down[:, None].square() + across.square()).float().sqrt()
    return float(found[away <= PEAK].max() - found[away > ASIDE].max())
