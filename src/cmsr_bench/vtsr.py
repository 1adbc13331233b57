"""VTSRCNN and VTSRGAN (Almasri & Debeir, arXiv 1812.09276): generator and discriminator.

An SRResNet (Ledig et al., CVPR 2017) for the target, with a branch for the visible image whose
features join in the middle, and pixel shuffle to enlarge. VTSRCNN is the generator trained with the
mean squared error, VTSRGAN the same with an adversarial loss added.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmsr.operators.resampling import resampler, shape_of

WIDTH, BLOCKS, VISIBLE_BLOCKS = 32, 6, 2
"""Channels and residual blocks. SRResNet has 64 and 16, which minutes of two cores cannot train."""


class _Block(nn.Module):
    """Residual block without batch normalisation.

    Chosen here: batches are too small to normalise, and a fifth of the residual starts gently.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(WIDTH, WIDTH), nn.PReLU(), _conv(WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        return x + 0.2 * torch.as_tensor(self.body(x))


class Generator(nn.Module):
    """The target's and the visible image's features, joined, enlarged by an integer factor.

    Not specified in the paper, chosen here: the visible image comes to the target's grid by pixel
    unshuffling; the network adds to the bicubically enlarged target and starts at it.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.target = nn.Sequential(_conv(1, WIDTH, 9), nn.PReLU())
        self.visible = nn.Sequential(
            nn.PixelUnshuffle(scale),
            _conv(3 * scale * scale, WIDTH),
            nn.PReLU(),
            *[_Block() for _ in range(VISIBLE_BLOCKS)],
        )
        self.join = nn.Conv2d(2 * WIDTH, WIDTH, 1)
        self.body = nn.Sequential(*[_Block() for _ in range(BLOCKS)], _conv(WIDTH, WIDTH))
        self.enlarge = nn.Sequential(*[_Enlarge(factor) for factor in _factors(scale)])
        self.last = _conv(WIDTH, 1, 9)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, target: Tensor, guide: Tensor) -> Tensor:
        """Sharpen.

        Parameters
        ----------
        target : Tensor, shape (B, 1, h, w)
            About [0, 1].
        guide : Tensor, shape (B, 3, H, W)
            [0, 1]. Where H / h is not quite the factor, as in 329 / 82, guide and detail are
            resampled between the grids.

        Returns
        -------
        Tensor, shape (B, 1, H, W)
        """
        low, high, device = shape_of(target), shape_of(guide), str(target.device)
        exact = low[0] * self.scale, low[1] * self.scale
        visible = guide if exact == high else resampler(high, exact, "bicubic", device)(guide)
        joined = self.join(torch.cat([self.target(target), self.visible(visible)], dim=1))
        detail: Tensor = self.last(self.enlarge(joined + self.body(joined)))
        if exact != high:
            detail = resampler(exact, high, "bicubic", device)(detail)
        return resampler(low, high, "bicubic", device)(target) + detail


class _Enlarge(nn.Module):
    """Enlarge by a prime factor: convolution, pixel shuffle."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(WIDTH, WIDTH * factor**2), nn.PixelShuffle(factor), nn.PReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, C, factor · h, factor · w)."""
        return torch.as_tensor(self.body(x))


class Discriminator(nn.Module):
    """Discriminator of truths and results: strided convolutions, mean over the patch, one logit.

    Not specified in the paper, chosen here: a quarter of SRGAN's widths, no normalisation, no dense
    layers.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in ((1, 24), (24, 48), (48, 96), (96, 96)):
            layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.Conv2d(96, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 1, H, W) to (B,)."""
        return torch.as_tensor(self.body(x)).mean((1, 2, 3))


def _conv(n_in: int, n_out: int, size: int = 3) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, size, padding=size // 2)


def _factors(scale: int) -> list[int]:
    """Prime factors, ascending."""
    factors, rest, factor = [], scale, 2
    while rest > 1:
        while rest % factor == 0:
            factors.append(factor)
            rest //= factor
        factor += 1
    return factors
