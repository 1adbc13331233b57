"""PixTransform: the target as a function of each guide pixel's colour and place.

R. de Lutio, S. D'Aronco, J. D. Wegner, K. Schindler, "Guided Super-Resolution as Pixel-to-Pixel
Transformation", ICCV 2019. A small network maps colour and place of one pixel to the target's
value; it is fitted so that its mean over each target pixel is what was measured there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmsr.config import Config
from cmsr.operators.resampling import resampler, shape_of
from cmsr.pair import Pair
from cmsr_bench.supervised import coloured

ITERATIONS = 32 * 1024
"""Steps, as in the paper."""

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


def pixtransform(pair: Pair, config: Config) -> Tensor:
    """Fit the map to a pair by the mean absolute error and read it at every guide pixel.

    ``config.iterations`` is the number of steps. A ratio that is no whole number is rounded for the
    fit alone, on a resampled guide: the map itself knows no grid. Results are not back-projected,
    as in the paper.
    """
    torch.manual_seed(config.seed)
    mean, spread = pair.photo.mean((1, 2), keepdim=True), pair.photo.std((1, 2), keepdim=True)
    guide = coloured((pair.photo - mean) / spread.clamp(min=1e-6))
    level, contrast = pair.target.mean(), pair.target.std()
    network = PixelMap(guide.shape[0], pair.target.shape[1])
    _fit(network, replace(pair, target=(pair.target - level) / contrast), guide, config)
    return _read(network, guide) * contrast + level


def _fit(network: PixelMap, pair: Pair, guide: Tensor, config: Config) -> None:
    """Descend the mean absolute error of the means over random target pixels."""
    low = shape_of(pair.target)
    rows, cols = (n * max(1, round(r)) for n, r in zip(low, pair.ratio, strict=True))
    whole = resampler(pair.shape, (rows, cols))
    values = pair.target[0].flatten(1).T
    colours, places = (_by_cell(x, low) for x in (whole(guide), _places(whole(guide))))
    optimizer = torch.optim.Adam(
        [
            {"params": part.parameters(), "weight_decay": 2 * DECAY[name]}
            for name, part in network.named_children()
        ],
        lr=RATE,
        fused=True,
    )
    batches = _batches(np.flatnonzero(pair.valid[0, 0].numpy()), np.random.default_rng(config.seed))
    for cells in islice(batches, config.iterations):
        colour, place = colours[cells], places[cells]
        mapped = network(colour.flatten(0, 1), place.flatten(0, 1)).view(*colour.shape[:2], -1)
        loss = F.l1_loss(mapped.mean(1), values[cells])
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()


def _batches(cells: npt.NDArray[np.int64], rng: np.random.Generator) -> Iterator[Tensor]:
    """Yield `BATCH` cells at a time, all of them in a new random order each time."""
    while True:
        yield from torch.split(torch.from_numpy(rng.permutation(cells)), BATCH)


@torch.no_grad()
def _read(network: PixelMap, guide: Tensor) -> Tensor:
    """Map every pixel of a guide (G, H, W) to (1, C, H, W)."""
    colours, places = (torch.split(x.flatten(1).T, CHUNK) for x in (guide, _places(guide)))
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
