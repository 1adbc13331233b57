"""The published network and its loss."""

from __future__ import annotations

import math

from torch import Tensor, nn


def _stack(channels: list[int], sizes: list[int]) -> nn.Sequential:
    """Convolutions without bias, ReLU between, weights ~ N(0, 0.1 / fan-in)."""
    layers: list[nn.Module] = []
    for n_in, n_out, size in zip(channels[:-1], channels[1:], sizes, strict=True):
        conv = nn.Conv2d(n_in, n_out, size, padding=size // 2, bias=False)
        nn.init.normal_(conv.weight, std=math.sqrt(0.1 / (n_in * size * size)))
        layers += [conv, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class TwoBranch(nn.Module):
    """The published network: output = U + S(U) + E(guide) (CMSR, CVPR 2021, Fig. 6).

    Parameters
    ----------
    channels : int
        Channels of the target.
    guide : Tensor, shape (1, G, H, W), or None
        The whole guide. E is fed its channels centred, two standard deviations to 1 (the paper is
        silent on that; fed [0, 1], E learns less). None leaves U + S(U), which is ZSSR.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, channels: int, guide: Tensor | None) -> None:
        super().__init__()
        self.sharpen = _stack([channels, *[64] * 7, channels], [3] * 8)
        self.explain = None
        if guide is not None:
            widths = [guide.shape[1], 4, 8, 16, 16, 16, 8, 4, channels]
            self.explain = _stack(widths, [3] * 5 + [1] * 3)
            self.register_buffer("mean", guide.mean((-2, -1), keepdim=True))
            self.register_buffer("spread", 2 * guide.std((-2, -1), keepdim=True).clamp(min=1e-3))

    def branches(self, enlarged: Tensor, guide: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return U + S(U) and E(guide), both (B, C, H, W); the second is None without a guide."""
        sharpened = enlarged + self.sharpen(enlarged)
        if self.explain is None or guide is None:
            return sharpened, None
        return sharpened, self.explain((guide - self.mean) / self.spread)

    def forward(self, enlarged: Tensor, guide: Tensor | None) -> Tensor:
        """Estimate the target at the guide's resolution.

        Parameters
        ----------
        enlarged : Tensor, shape (B, C, H, W)
            U: the bicubically enlarged target, about [0, 1].
        guide : Tensor, shape (B, G, H, W), optional
            The aligned guide, [0, 1].
        """
        sharpened, explained = self.branches(enlarged, guide)
        return sharpened if explained is None else sharpened + explained

    def loss(self, enlarged: Tensor, guide: Tensor | None, label: Tensor, valid: Tensor) -> Tensor:
        """L1 on U + S(U) alone for S, plus L1 on the full output for E and the guide's warp."""
        sharpened, explained = self.branches(enlarged, guide)
        loss = masked_l1(sharpened, label, valid)
        if explained is None:
            return loss
        return loss + masked_l1(sharpened.detach() + explained, label, valid)


def masked_l1(x: Tensor, y: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute difference where ``valid`` is 1; zero where nothing is valid."""
    weight = valid.expand_as(x)
    return ((x - y).abs() * weight).sum() / weight.sum().clamp(min=1)
