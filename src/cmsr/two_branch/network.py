"""The published network and its loss."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

Start = Literal["published", "kept"]


def _stack(channels: list[int], sizes: list[int], *, gain: float = 0.1) -> nn.Sequential:
    """Convolutions without bias, ReLU between, weights ~ N(0, gain / fan-in)."""
    layers: list[nn.Module] = []
    for n_in, n_out, size in zip(channels[:-1], channels[1:], sizes, strict=True):
        conv = nn.Conv2d(n_in, n_out, size, padding=size // 2, bias=False)
        nn.init.normal_(conv.weight, std=math.sqrt(gain / (n_in * size * size)))
        layers += [conv, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _sharpening(channels: int) -> nn.Sequential:
    """Branch S; its weights lie in memory as the convolutions read them, which is quicker."""
    stack = _stack([channels, *[64] * 7, channels], [3] * 8)
    return stack.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _explaining(channels: int, bands: int, start: Start) -> nn.Sequential:
    """Branch E; ``kept`` lets it start with a signal as large as the guide's, but silent."""
    widths, sizes = [bands, 4, 8, 16, 16, 16, 8, 4, channels], [3] * 5 + [1] * 3
    if start == "published":
        return _stack(widths, sizes)
    stack = _stack(widths, sizes, gain=2.0)
    nn.init.zeros_(stack[-1].weight)  # type: ignore[arg-type]
    return stack


class TwoBranch(nn.Module):
    """The published network: output = U + S(U) + E(guide) (CMSR, CVPR 2021, Fig. 6).

    Parameters
    ----------
    channels : int
        Channels of the target.
    guide : Tensor, shape (1, G, H, W), or None
        The whole guide. E is fed its channels centred, two standard deviations to 1 (the paper is
        silent on that; fed [0, 1], E learns less). None leaves U + S(U), which is ZSSR.
    start : {"published", "kept"}
        Initial weights of E, see `cmsr.config.Config.guide_start`.
    sharpen : nn.Module, optional
        Branch S of another network, to share it.
    """

    mean: Tensor
    spread: Tensor

    def __init__(
        self,
        channels: int,
        guide: Tensor | None,
        start: Start = "published",
        sharpen: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.sharpen = _sharpening(channels) if sharpen is None else sharpen
        self.explain = None
        if guide is not None:
            self.explain = _explaining(channels, guide.shape[1], start)
            self.register_buffer("mean", guide.mean((-2, -1), keepdim=True))
            self.register_buffer("spread", 2 * guide.std((-2, -1), keepdim=True).clamp(min=1e-3))

    def sharpened(self, enlarged: Tensor) -> Tensor:
        """Return U + S(U), (B, C, H, W)."""
        result: Tensor = enlarged + self.sharpen(enlarged)
        return result

    def explained(self, guide: Tensor | None) -> Tensor | None:
        """Return E(guide), (B, C, H, W); None without a guide."""
        if self.explain is None or guide is None:
            return None
        result: Tensor = self.explain((guide - self.mean) / self.spread)
        return result

    def forward(self, enlarged: Tensor, guide: Tensor | None) -> Tensor:
        """Estimate the target at the guide's resolution.

        Parameters
        ----------
        enlarged : Tensor, shape (B, C, H, W)
            U: the bicubically enlarged target, about [0, 1].
        guide : Tensor, shape (B, G, H, W), optional
            The aligned guide, [0, 1].
        """
        return total(self.sharpened(enlarged), self.explained(guide))


def total(sharpened: Tensor, explained: Tensor | None) -> Tensor:
    """Add what the guide explains, if there is a guide."""
    return sharpened if explained is None else sharpened + explained


def masked_l1(x: Tensor, y: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute difference where ``valid`` is 1; zero where nothing is valid."""
    weight = valid.expand_as(x)
    return ((x - y).abs() * weight).sum() / weight.sum().clamp(min=1)
