"""The expected absolute error of each pixel of a result: E |result − truth|.

Four properties of an image predict its error. Target pixels that their neighbours predict badly
have more detail around them than the target resolves. Where the result is steep, a small shift
makes a large error. Where such detail is confined to few pixels, they are sharp edges, which are
restored well. Held-out pixels show how much the guide helps. The constants are fitted to pairs with
known truth by `benchmarks/fit_error_map.py`; docs/BENCHMARKS.md says how well they hold.

Errors relative to their expectation have nearly the same distribution everywhere, so the map also
gives quantiles: for a share `SHARES` of the pixels, the error is below `TIMES` the map.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.guided.channel import Channel
from cmsr.operators.gaussian import blur

SURROUNDINGS, STEEPNESS = 1.0, 0.2
"""Widths over which surprise and slope are averaged, in pixels of the target."""

LEAST = 1e-3
"""Least surprise, slope and held-out error, in spans of the target."""

SHARES = (0.25, 0.5, 0.75, 0.9, 0.95)
TIMES = (0.24, 0.6, 1.26, 2.28, 3.19)
"""How much of the expected error so many of the pixels stay below."""


class Fit(NamedTuple):
    """Powers of the traces whose product is the expected error, and the logarithm of its factor."""

    factor: float
    surprise: float
    slope: float
    evenness: float
    ratio: float
    gain: float


FITTED = Fit(-0.381, 0.272, 0.644, 0.841, 0.77, 0.509)


class Traces(NamedTuple):
    """Predictors of a result's error, as logarithms: of spans of the target, and of shares.

    Attributes
    ----------
    surprise : Tensor, shape (H, W)
        How far measured pixels are from what their neighbours say of them, nearby.
    slope : Tensor, shape (H, W)
        How much the result rises from pixel to pixel, nearby.
    evenness : float
        See `evenness_of`.
    ratio : float
        Pixels of the result per pixel of the target.
    gain : Tensor, shape (H, W), or float
        Held-out error nearby with the guide, by that without it; 0 without a guide.
    """

    surprise: Tensor
    slope: Tensor
    evenness: float
    ratio: float
    gain: Tensor | float

    @classmethod
    def of(
        cls, image: Tensor, channel: Channel, evenness: float, gain: Tensor | None = None
    ) -> Traces:
        """Look at a result (H, W) and its measurement; ``gain`` is that in `Traces`."""
        surprise = _rms(_residual(channel.y), SURROUNDINGS)
        slope = _rms(_gradient(image), STEEPNESS * channel.ratio)
        return cls(
            torch.log(channel.enlarge(surprise).clamp(min=0) + LEAST),
            torch.log(slope + LEAST),
            math.log(evenness),
            math.log(channel.ratio),
            0.0 if gain is None else gain,
        )

    def error(self, fit: Fit = FITTED) -> Tensor:
        """Return the expected absolute error (H, W), in spans of the target."""
        total = fit.factor + fit.surprise * self.surprise + fit.slope * self.slope
        total = total + fit.evenness * self.evenness + fit.ratio * self.ratio
        return torch.exp(total + fit.gain * self.gain)


def evenness_of(y: Tensor, valid: Tensor) -> float:
    """Return how evenly surprise is spread over a target (h, w): its median by its mean square.

    It is .67 in noise, and near 0 where a few sharp edges hold all of it.
    """
    surprise = _residual(y)[valid > 0].abs()
    if not surprise.numel():
        return 1.0
    return float((surprise.median() + LEAST) / (surprise.square().mean().sqrt() + LEAST))


def gain_of(guided: Tensor, free: Tensor) -> Tensor:
    """Return `Traces.gain` by mean squared held-out errors with and without the guide."""
    with_it, without = (torch.log(error.clamp(min=0).sqrt() + LEAST) for error in (guided, free))
    return with_it - without


def _rms(x: Tensor, width: float) -> Tensor:
    return blur(x.square(), width).clamp(min=0).sqrt()


def _residual(y: Tensor) -> Tensor:
    """Return each pixel of (h, w) minus what cubics say by its neighbours, down and across."""
    height, width = y.shape
    wide = F.pad(y[None, None], (3, 3, 3, 3), mode="reflect")[0, 0]

    def at(down: int, across: int) -> Tensor:
        return wide[3 + down : 3 + down + height, 3 + across : 3 + across + width]

    near = at(0, 1) + at(0, -1) + at(1, 0) + at(-1, 0)
    far = at(0, 3) + at(0, -3) + at(3, 0) + at(-3, 0)
    return y - (9 * near - far) / 32


def _gradient(x: Tensor) -> Tensor:
    """Return how steep an image (H, W) is."""
    wide = F.pad(x[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    across, down = wide[1:-1, 2:] - wide[1:-1, :-2], wide[2:, 1:-1] - wide[:-2, 1:-1]
    return torch.hypot(across, down) / 2
