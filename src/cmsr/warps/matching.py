"""Where each segment of a guide lies over the target: a cost volume, smoothed over the segments.

For every displacement, small windows of the target tell how well a linear function of the guide's
colours explains them. Summed over a segment that is the evidence for its displacement; belief
propagation between neighbours settles segments that show little, and what moves alike becomes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.degrade import shape_of
from cmsr.warps.piecewise import Segments
from cmsr.warps.superpixels import numbered
from cmsr.warps.view import View
from cmsr.warps.warp import Affine, Motion, Size

LONGER = 128
"""Longer side of the target, in pixels, at which segments are matched."""

REACH = 8
"""Largest displacement along each axis, in pixels of the target there."""

SIDE = 2 * REACH + 1
"""Displacements along each axis."""

RADIUS = 2
"""Of the windows."""

FLOOR = 0.02
"""Variance that counts as noise, where the target's is 1."""

RIDGE = 0.01
"""Variance added to each of the guide's colours in a window."""

STIFFNESS = 1.0
"""Nats that one pixel of displacement between neighbours costs per pixel of their border."""

MOST_STIFF = 3
"""Displacement between neighbours from which on it costs no more."""

ALIKE = 0.5
"""Difference of colour, in standard deviations, over which neighbours count half as such."""

ROUNDS = 12
"""Of belief propagation."""

LEAST_SHARE = 0.02
"""Share of the image that must move alike for a displacement to be believed."""

WORTH_TEARING = 0.2
"""Nats per pixel of the target that different displacements must explain beyond one: over another
scene they reach .07 to .16 by chance, over layers that truly move .3 to .5."""


def matched(
    target: Tensor, valid: Tensor, guide: Tensor, labels: Tensor, size: Size
) -> Motion | None:
    """Find the displacement of every segment.

    Parameters
    ----------
    target, valid : Tensor (h, w)
        In any unit, and 1 where it was measured.
    guide : Tensor (3, H, W)
        Nearly in place.
    labels : Tensor, integer
        Segments of the guide from 0 on, at any resolution.
    size : (height, width)
        Of the guide that is to be warped.

    Returns
    -------
    Motion or None
        A `Segments` warp with its parameters; None where all move alike.
    """
    view = View.of(target[None], guide, valid > 0, None, longer=LONGER, finer=1)
    small = F.interpolate(labels[None, None].float(), shape_of(view.target), mode="nearest-exact")
    small = small[0, 0].long()
    count = int(labels.max()) + 1
    volume = Volume(view)
    evidence = volume.evidence(small, count)
    graph = borders(small, view.guide, count)
    common = _common(propagate(evidence, SIDE, *graph), small)
    chosen = propagate(evidence.masked_fill(~common, -torch.inf), SIDE, *graph)
    known = view.target_valid.sum().clamp_min(1)
    gain = (evidence.gather(1, chosen[:, None]).sum() - evidence.sum(0).max()) / known
    if gain < WORTH_TEARING or (chosen == chosen[0]).all():
        return None
    layers = numbered(chosen)
    pixels = _between(evidence, chosen, layers)
    warp = Segments(size, layers[labels])
    theta = torch.zeros(warp.count, Affine.dim).to(guide)
    theta[:, :2] = pixels * (2 / torch.tensor(shape_of(view.target)).max()).to(guide)
    return warp, theta.flatten()


@dataclass(frozen=True)
class Volume:
    """What the guide explains of each target pixel, for every displacement.

    Attributes
    ----------
    view : View
        One pixel of the guide per one of the target.
    """

    view: View

    @cached_property
    def offsets(self) -> Tensor:
        """Displacements (D, 2), x and y, in pixels."""
        steps = torch.arange(-REACH, REACH + 1)
        return torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(-1, 2)

    def evidence(self, labels: Tensor, count: int) -> Tensor:
        """Sum what is explained over each segment of the guide (h, w): (count, D), in nats."""
        wide = F.pad(labels, (REACH,) * 4, value=count)
        sums = labels.new_zeros(len(self.offsets), count + 1).float()
        for total, (dx, dy), gain in zip(sums, self.offsets, self._gains(), strict=True):
            there = self._shifted(wide, int(dx), int(dy))
            total.index_add_(0, there.flatten(), gain.flatten())
        return sums[:, :count].T

    def _gains(self) -> list[Tensor]:
        view = self.view
        target = view.target[0]
        mean = _windows(target)
        variance = (_windows(target.square()) - mean.square()).clamp_min(0)
        guide = F.pad(view.guide[None], (REACH,) * 4, mode="replicate")[0]
        known = F.pad(view.guide_valid, (REACH,) * 4)
        mean_g, whitener = _window_statistics(guide)
        gains = []
        for dx, dy in self.offsets.tolist():
            here, centre, white = (
                self._shifted(part, dx, dy) for part in (guide, mean_g, whitener)
            )
            cross = _windows(target * here) - mean * centre
            explained = torch.einsum("ijhw,jhw->ihw", white, cross).square().sum(0)
            left = (variance - explained).clamp_min(0)
            weight = view.target_valid * self._shifted(known, dx, dy)
            gains.append(((variance + FLOOR) / (left + FLOOR)).log() * weight)
        return gains

    def _shifted(self, wide: Tensor, dx: int, dy: int) -> Tensor:
        """Cut out of a padded image what the target sees after a displacement."""
        height, width = shape_of(self.view.target)
        return wide[..., REACH + dy : REACH + dy + height, REACH + dx : REACH + dx + width]


def propagate(evidence: Tensor, side: int, pairs: Tensor, weight: Tensor) -> Tensor:
    """Choose a displacement for each segment by min-sum belief propagation.

    Parameters
    ----------
    evidence : Tensor (S, side * side)
        For each displacement, in nats.
    side : int
        Number of displacements along each axis.
    pairs : Tensor (E, 2)
        Neighbours, each pair once.
    weight : Tensor (E,)
        How much each pair belongs together.

    Returns
    -------
    Tensor (S,)
        Index of the displacement.

    References
    ----------
    Felzenszwalb, Huttenlocher, "Efficient Belief Propagation for Early Vision", IJCV 2006.
    """
    both = torch.cat((pairs, pairs.flip(1)))
    strength = STIFFNESS * weight.repeat(2)[:, None, None]
    messages = evidence.new_zeros(len(both), side, side)
    cost = -evidence.reshape(-1, side, side)
    back = torch.arange(len(both)).roll(len(pairs))
    for _ in range(ROUNDS):
        belief = cost.index_add(0, both[:, 1], messages)
        arriving = _lowest_within(belief[both[:, 0]] - messages[back], strength)
        messages = 0.5 * messages + 0.5 * (arriving - arriving.amin((1, 2), keepdim=True))
    return cost.index_add(0, both[:, 1], messages).flatten(1).argmin(1)


def _lowest_within(cost: Tensor, strength: Tensor) -> Tensor:
    """Lower envelope of costs (E, n, n) under a truncated linear penalty: their min-convolution."""
    side, near = cost.shape[1], MOST_STIFF - 1
    lowest = cost.amin((1, 2), keepdim=True) + strength * MOST_STIFF
    wide = F.pad(cost, (near,) * 4, value=float("inf"))
    for down in range(-near, near + 1):
        for across in range(-near, near + 1):
            far = abs(down) + abs(across)
            if far <= near:
                rows = slice(near + down, near + down + side)
                moved = wide[:, rows, near + across : near + across + side]
                lowest = torch.minimum(lowest, moved + strength * far)
    return lowest


def borders(labels: Tensor, guide: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return neighbouring segments (E, 2) and the length of their border, weighed by likeness."""
    across = torch.stack((labels[:, :-1].flatten(), labels[:, 1:].flatten()), 1)
    down = torch.stack((labels[:-1].flatten(), labels[1:].flatten()), 1)
    touching = torch.cat((across, down)).sort(1).values
    touching = touching[touching[:, 0] != touching[:, 1]]
    length = torch.bincount(touching[:, 0] * count + touching[:, 1], minlength=count**2)
    index = length.nonzero()[:, 0]
    pairs, length = torch.stack((index // count, index % count), 1), length[index]
    size = torch.bincount(labels.flatten(), minlength=count).clamp_min(1)
    colour = guide.new_zeros(count, len(guide)).index_add(0, labels.flatten(), guide.flatten(1).T)
    colour = colour / size[:, None]
    apart = (colour[pairs[:, 0]] - colour[pairs[:, 1]]).norm(dim=1)
    return pairs, length / (1 + apart / ALIKE)


def _common(chosen: Tensor, labels: Tensor) -> Tensor:
    """Tell which displacements (D,) enough of an image moves by; the most common does always."""
    area = torch.bincount(chosen[labels].flatten(), minlength=SIDE * SIDE)
    return area >= min(LEAST_SHARE * labels.numel(), int(area.max()))


def _between(evidence: Tensor, chosen: Tensor, layers: Tensor) -> Tensor:
    """Displacement (K, 2) of each layer to a fraction of a pixel, by parabolas at its own."""
    count = int(layers.max()) + 1
    table = evidence.new_zeros(count, evidence.shape[1]).index_add(0, layers, evidence)
    table = F.pad(table.reshape(count, SIDE, SIDE), (1, 1, 1, 1))
    found = []
    for part, label in zip(table, sorted(set(chosen.tolist())), strict=True):
        row, column = divmod(label, SIDE)
        x = column - REACH + _peak(part[row + 1, column : column + 3])
        y = row - REACH + _peak(part[row : row + 3, column + 1])
        found.append((x, y))
    return torch.tensor(found).to(evidence)


def _peak(values: Tensor) -> float:
    """Where a parabola through three values is highest, from -0.5 to 0.5."""
    left, middle, right = values.tolist()
    bend = 2 * middle - left - right
    return min(0.5, max(-0.5, (right - left) / (2 * bend))) if bend > 0 else 0.0


def _windows(image: Tensor) -> Tensor:
    """Mean over the windows around each pixel of (..., h, w), cut at the border."""
    flat = image.reshape(1, -1, *image.shape[-2:])
    mean = F.avg_pool2d(flat, 2 * RADIUS + 1, 1, RADIUS, count_include_pad=False)
    return mean.reshape(image.shape)


def _window_statistics(guide: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of each window's colours (3, h, w), and what whitens them (3, 3, h, w)."""
    mean = _windows(guide)
    products = _windows(guide[:, None] * guide[None]) - mean[:, None] * mean[None]
    covariance = products.permute(2, 3, 0, 1) + RIDGE * torch.eye(len(guide)).to(guide)
    inverse = torch.linalg.inv(torch.linalg.cholesky(covariance))
    return mean, inverse.permute(2, 3, 0, 1)
