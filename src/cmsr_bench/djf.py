"""Deep Joint Image Filtering (Li, Huang, Ahuja, Yang, ECCV 2016): the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmsr.operators.resampling import resampler, shape_of


def _filter(channels: tuple[int, int, int, int]) -> nn.Sequential:
    """Stack three convolutions of 9, 1 and 5 pixels with ReLU between."""
    layers: list[nn.Module] = []
    for n_in, n_out, size in zip(channels[:-1], channels[1:], (9, 1, 5), strict=True):
        layers += [nn.Conv2d(n_in, n_out, size, padding=size // 2), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Djf(nn.Module):
    """Two branches, for the enlarged target and the guide, and a third that joins them.

    Branches have 96, 48 and 1 channels, the third 64, 32 and 1. Changes: zero padding
    keeps the size; the network adds to the enlarged target, as in the authors' later version (PAMI
    2019), and its last layer starts at zero, for in few steps a network that must first learn the
    identity ends below interpolation.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.target = _filter((1, 96, 48, 1))
        self.guide = _filter((3, 96, 48, 1))
        self.joint = _filter((2, 64, 32, 1))
        for parameter in self.joint[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, target: Tensor, guide: Tensor) -> Tensor:
        """Map a target (B, 1, h, w) and a guide (B, 3, H, W), both in [0, 1], to (B, 1, H, W)."""
        enlarge = resampler(shape_of(target), shape_of(guide), "bicubic", str(target.device))
        enlarged = enlarge(target)
        seen = torch.cat([self.target(enlarged), self.guide(guide)], dim=1)
        return enlarged + torch.as_tensor(self.joint(seen))
