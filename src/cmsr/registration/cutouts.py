"""Cut-outs of a photo around places of a target in it, and small warps of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.parallel import together
from cmsr.registration.far_search import reduced, reduced_size
from cmsr.registration.optimisation import climb
from cmsr.registration.similarity import similarity
from cmsr.registration.transforms import Size, exponential, half_sides, identity_grid, sample

AT_ONCE = 7
"""Candidates refined by one task."""

FINER, MARGIN = 2, 0.15
"""Pixels of a cut-out of the photo per one of the target, and what it shows beside it, in sides."""

BENT, SPREAD = 0.05, 0.02
"""Usual radial distortion, strain and shear, which cost similarity, by eye."""

PENALTY = 0.001
"""Similarity, in nats, that one such standard deviation costs, by eye."""


@dataclass(frozen=True)
class Cutouts:
    """Cut-outs of the photo around candidates, in the target's frame, and small warps of them.

    The parameters (N, 7) are those of `transforms.Affine` and the bend.
    """

    size: Size
    photo: Size
    frames: Tensor
    target: Tensor
    valid: Tensor
    layers: Tensor

    @classmethod
    def of(
        cls, target: Tensor, valid: Tensor, photo: Tensor, frames: Sequence[Tensor], longer: int
    ) -> Cutouts:
        """Cut around places, each given by its frame (2, 3), with a target of reduced size."""
        size = reduced_size(shape_of(target), longer)
        known = (reduced(valid[None], size)[0] > 0.99).float()
        small = _standardised(reduced(target[None], size), known)[0]
        tall, wide = (round(side * FINER * (1 + 2 * MARGIN)) for side in size)
        grid = identity_grid((tall, wide))[0] * (1 + 2 * MARGIN) * half_sides(size).float()
        pyramid: dict[float, Tensor] = {}
        layers = []
        for frame in frames:
            scale = math.sqrt(float(torch.linalg.det(frame[:, :2]))) * 2 / max(size)
            level = min(1.0, 2.0 ** (math.ceil(2 * math.log2(FINER / scale)) / 2))
            if level not in pyramid:
                shape = tuple(max(8, round(side * level)) for side in shape_of(photo))
                pyramid[level] = reduced(photo, (shape[0], shape[1]))
            places = F.pad(grid, (0, 1), value=1.0) @ frame.mT
            at = places * 2 / torch.tensor([photo.shape[2], photo.shape[1]]) - 1
            inside = (at.abs() <= 1).all(-1).float()
            colours = sample(pyramid[level][None], at[None])[0]
            layers.append(torch.cat((_standardised(colours, inside), inside[None])))
        pixels = F.avg_pool2d(torch.stack(layers), FINER, 1)
        return cls(
            shape_of(target),
            shape_of(photo),
            torch.stack(list(frames)),
            small,
            known,
            pixels,
        )

    def climb(self, starts: Tensor, free: int) -> tuple[Tensor, Tensor]:
        """Raise the similarity by the first ``free`` parameters, a few candidates a task."""
        mask = (torch.arange(7) < free).float()

        def part(first: int) -> tuple[Tensor, Tensor]:
            some = slice(first, first + AT_ONCE)
            begin, cuts = starts[some], self.some(torch.arange(len(starts))[some])

            def value(moved: Tensor, rows: Tensor) -> Tensor:
                return cuts.some(rows).similarity(begin[rows] * (1 - mask) + moved * mask)

            return climb(value, begin)

        found = together(*(partial(part, first) for first in range(0, len(starts), AT_ONCE)))
        ends, values = zip(*found, strict=True)
        return torch.cat(ends), torch.cat(values)

    def some(self, numbers: Tensor) -> Cutouts:
        """Return the cut-outs of these numbers."""
        return replace(self, frames=self.frames[numbers], layers=self.layers[numbers])

    def similarity(self, thetas: Tensor) -> Tensor:
        """Return the similarity (N,) in nats, less where the photo covers little of the target."""
        guides, shown = self.read(thetas)
        share = shown.mean((1, 2)) / self.valid.mean().clamp_min(1e-6)
        cost = (thetas[:, 4:6] / SPREAD).square().sum(1) + (thetas[:, 6] / BENT).square()
        targets = self.target.expand(len(thetas), -1, -1)
        return similarity(targets, guides, shown) * share - PENALTY * cost

    def read(self, thetas: Tensor, wider: Size | None = None) -> tuple[Tensor, Tensor]:
        """Return the photo in the target's frame (N, 3, h, w), and 1 where it is known (N, h, w).

        ``wider`` is the size of a larger frame around the target's, in pixels of the target; what
        was measured has no say there.
        """
        size = shape_of(self.target)
        extent = half_sides(size).float()
        frame = wider or size
        grid = identity_grid(frame)[0] * half_sides(frame).float() * (max(frame) / max(size))
        square = grid.square().sum(-1) / extent.square().sum()
        bent = grid.unbind(-1), 1 + thetas[:, 6, None, None] * square
        (x, y), stretch = bent
        matrix = _affine(thetas)[..., None, None]
        moved = torch.stack(
            [(row[:, 0] * x + row[:, 1] * y) * stretch + row[:, 2] for row in matrix.unbind(1)],
            -1,
        )
        tall, wide = shape_of(self.layers)
        sides = grid.new_tensor(((wide + FINER - 1) / wide, (tall + FINER - 1) / tall))
        at = moved * (sides / extent / (1 + 2 * MARGIN))
        layers = self.layers.expand(len(thetas), -1, -1, -1)
        read = F.grid_sample(layers, at, "bilinear", "zeros", False)
        known = (read[:, -1].detach() > 0.99).float()
        return read[:, :-1], known if wider else known * self.valid

    def matrix(self, theta: Tensor, number: int = 0) -> tuple[tuple[float, ...], ...]:
        """Return the map of a place, moved by its parameters; see `placement.Placement`."""
        last = torch.tensor([[0.0, 0.0, 1.0]])
        whole = torch.cat((self.frames[number], last)) @ torch.cat((_affine(theta[None])[0], last))
        return tuple(tuple(row) for row in whole.double().tolist())


def _affine(thetas: Tensor) -> Tensor:
    """Return affine maps (N, 2, 3) of parameters (N, 7); see `transforms.Affine`."""
    x, y, turn, scale, strain, shear, _ = thetas.unbind(-1)
    rows = (
        torch.stack((scale + strain, shear - turn, x), -1),
        torch.stack((turn + shear, scale - strain, y), -1),
    )
    return exponential(torch.stack(rows, -2))


def _standardised(image: Tensor, known: Tensor) -> Tensor:
    """Return (C, h, w) of mean 0 and deviation 1 where it is known, 0 elsewhere."""
    count = known.sum().clamp_min(1)
    centred = (image - (image * known).sum((1, 2), keepdim=True) / count) * known
    spread = (centred.square().sum((1, 2), keepdim=True) / count).sqrt()
    return centred / spread.clamp_min(1e-6)
