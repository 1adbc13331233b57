"""What a guide explains of a target at every displacement, segment by segment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.view import View

RADIUS = 2
"""Of the windows."""

FLOOR = 0.02
"""Variance that counts as noise, where the target's is 1."""

RIDGE = 0.01
"""Variance added to each of the guide's colours in a window."""


@dataclass(frozen=True)
class Volume:
    """What the guide explains of each target pixel, for every displacement.

    Attributes
    ----------
    view : View
        One pixel of the guide per one of the target.
    reach : int
        Largest displacement along each axis, in pixels.
    """

    view: View
    reach: int

    @property
    def side(self) -> int:
        """Displacements along each axis."""
        return 2 * self.reach + 1

    @cached_property
    def offsets(self) -> Tensor:
        """Displacements (D, 2), x and y, in pixels."""
        steps = torch.arange(-self.reach, self.reach + 1)
        return torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(-1, 2)

    def evidence(self, labels: Tensor, count: int) -> Tensor:
        """Sum what is explained over each segment of the guide (h, w): (count, D), in nats."""
        wide = F.pad(labels, (self.reach,) * 4, value=count)
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
        guide = F.pad(view.guide[None], (self.reach,) * 4, mode="replicate")[0]
        known = F.pad(view.guide_valid, (self.reach,) * 4)
        mean_g, whitener = _window_statistics(guide)
        gains = []
        for dx, dy in self.offsets.tolist():
            here, centre, white = (
                self._shifted(part, dx, dy) for part in (guide, mean_g, whitener)
            )
            cross = _windows(target * here) - mean * centre
            weight = view.target_valid * self._shifted(known, dx, dy)
            gains.append(_fall(variance, white, cross) * weight)
        return gains

    def _shifted(self, wide: Tensor, dx: int, dy: int) -> Tensor:
        """Cut out of a padded image what the target sees after a displacement."""
        height, width = shape_of(self.view.target)
        top, left = self.reach + dy, self.reach + dx
        return wide[..., top : top + height, left : left + width]


def gains(target: Tensor, guide: Tensor) -> Tensor:
    """Return what a guide (3, h, w) explains of each pixel of a target (h, w), in nats."""
    mean = _windows(target)
    variance = (_windows(target.square()) - mean.square()).clamp_min(0)
    centre, white = _window_statistics(guide)
    return _fall(variance, white, _windows(target * guide) - mean * centre)


def _fall(variance: Tensor, whitener: Tensor, cross: Tensor) -> Tensor:
    """Fall of the logarithm of a variance (h, w) by regression on colours."""
    explained = torch.einsum("ijhw,jhw->ihw", whitener, cross).square().sum(0)
    left = (variance - explained).clamp_min(0)
    return ((variance + FLOOR) / (left + FLOOR)).log()


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
