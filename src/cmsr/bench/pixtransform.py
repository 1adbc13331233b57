"""PixTransform: the target as a function of each guide pixel's colour and place.

R. de Lutio, S. D'Aronco, J. D. Wegner, K. Schindler, "Guided Super-Resolution as Pixel-to-Pixel
Transformation", ICCV 2019. A small network maps colour and place of one pixel to the target's
value; it is fitted so that its mean over each target pixel is what was measured there.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmsr.bench.supervised import coloured
from cmsr.config import Config
from cmsr.degrade import resampler, shape_of
from cmsr.pair import Pair

ITERATIONS = 32 * 1024
"""Steps, as published."""

WIDTHS = (32, 2048, 32)
"""Units of the three hidden layers."""

BATCH, RATE = 32, 1e-3
"""Target pixels in a step, and Adam's learning rate."""

DECAY = {"place": 1e-4, "colour": 1e-3, "head": 1e-4}
"""Weight of each part's squared weights."""

CHUNK = 2**14
"""Pixels that the fitted network maps at once."""


class PixelMap(nn.Module):
    """Colour (N, G) and place (N, 2) to the target (N, C); the two meet in the wide layer."""

    def __init__(self, guides: int, channels: int) -> None:
        super().__init__()
        first, wide, last = WIDTHS
        self.colour = nn.Sequential(nn.Linear(guides, first), nn.ReLU(), nn.Linear(first, wide))
        self.place = nn.Sequential(nn.Linear(2, first), nn.ReLU(), nn.Linear(first, wide))
        self.head = nn.Sequential(
            nn.ReLU(), nn.Linear(wide, last), nn.ReLU(), nn.Linear(last, channels)
        )

    def forward(self, colour: Tensor, place: Tensor) -> Tensor:
        """Map pixels one by one."""
        return torch.as_tensor(self.head(self.colour(colour) + self.place(place)))


def pixtransform(pair: Pair, config: Config, seed: int) -> Tensor:
    """Fit the map to a pair by the mean absolute error and read it at every guide pixel.

    ``config.iterations`` is the number of steps. A ratio that is no whole number is rounded for the
    fit alone, on a resampled guide: the map itself knows no grid. Results are not back-projected,
    as in the paper.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    low, factors = shape_of(pair.target), tuple(max(1, round(r)) for r in pair.ratio)
    whole = resampler(pair.shape, (low[0] * factors[0], low[1] * factors[1]))
    mean, spread = pair.photo.mean((1, 2), keepdim=True), pair.photo.std((1, 2), keepdim=True)
    guide = (coloured(pair.photo) - mean) / spread.clamp(min=1e-6)
    level, contrast = pair.target.mean(), pair.target.std()
    values = ((pair.target - level) / contrast)[0].flatten(1).T
    colours, places = (_by_cell(x, low) for x in (whole(guide), _places(whole(guide))))
    network = PixelMap(guide.shape[0], pair.target.shape[1])
    optimizer = torch.optim.Adam(
        [
            {"params": part.parameters(), "weight_decay": 2 * DECAY[name]}
            for name, part in network.named_children()
        ],
        lr=RATE,
    )
    measured = np.flatnonzero(pair.valid[0, 0].numpy())
    order = np.zeros(0, int)
    for _ in range(config.iterations):
        if len(order) == 0:
            order = rng.permutation(measured)
        cells, order = torch.from_numpy(order[:BATCH].copy()), order[BATCH:]
        shape = (len(cells) * colours.shape[1], -1)
        mapped = network(colours[cells].reshape(shape), places[cells].reshape(shape))
        loss = F.l1_loss(mapped.view(len(cells), colours.shape[1], -1).mean(1), values[cells])
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
    return _read(network, guide) * contrast + level


@torch.no_grad()
def _read(network: PixelMap, guide: Tensor) -> Tensor:
    """Map every pixel of a guide (G, H, W) to (1, C, H, W)."""
    colours, places = (x.flatten(1).T.split(CHUNK) for x in (guide, _places(guide)))
    mapped = torch.cat([network(c, p) for c, p in zip(colours, places, strict=True)])
    return mapped.T.reshape(1, -1, *guide.shape[1:])


def _places(image: Tensor) -> Tensor:
    """Return where each pixel of (G, H, W) lies: (2, H, W), from −0.5 to 0.5."""
    axes = [(torch.arange(n) + 0.5) / n - 0.5 for n in shape_of(image)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def _by_cell(image: Tensor, low: tuple[int, int]) -> Tensor:
    """Sort the pixels of (G, H, W) by the target pixel they lie in: (h · w, pixels, G)."""
    channels, (height, width) = image.shape[0], low
    cells = image.reshape(channels, height, shape_of(image)[0] // height, width, -1)
    return cells.permute(1, 3, 2, 4, 0).reshape(height * width, -1, channels)
