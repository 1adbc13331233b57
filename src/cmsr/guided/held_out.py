"""Held-out validation: the guide's weight, from how well it predicts pixels it has not seen.

A fifth of the target's pixels is held out. Each candidate is made from the others; its error on the
held-out pixels decides, for the whole image, whether the guide helps at all, and in each region
which candidate counts most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from cmsr.operators.gaussian import blur

HELD_OUT = 0.2
"""Share of the measured pixels that is held out."""

GAIN = (0.4, 1.2)
"""Held-out gain in dB below which the guide counts for nothing, and above which for all; fitted to
the pairs of docs/BENCHMARKS.md, as all numbers here. `benchmarks/fit_guide_weight.py` measures what
they bring where guides are deformed or another scene's, and what others would."""

MIX_GAIN = (2.0, 3.0)
"""The same for the mixture of all candidates against the one without a guide: held-out pixels are
further from their neighbours than detail is, so a guide looks more useful than it is."""

REGION = 4.0
"""Width of a region, in pixels of the target."""

SHARPNESS = 6.0
"""Power of the error with which a candidate loses weight."""

WHOLE = 0.2
"""Share of the whole image's error in each region's."""

CAUTION_DB = 0.5
"""Advantage given to the candidate without a guide."""

CONTROL = 1.5
"""Displacement of the control guides, in pixels of the target: their gain is mere chance."""

LEAST_WEIGHT = 0.01
"""Weight below which the guide is left out altogether."""


def kept_pixels(valid: Tensor, seed: int) -> Tensor:
    """Return ``valid`` (h, w), a whole target's, with a random fifth of its pixels set to 0."""
    generator = torch.Generator().manual_seed(seed)
    kept = torch.rand(valid.shape, generator=generator) > HELD_OUT
    return valid * kept.to(valid)


@dataclass(frozen=True)
class Error:
    """Squared errors on held-out pixels, summed; those of several tiles add up."""

    total: float
    count: float

    @classmethod
    def of(cls, predicted: Tensor, y: Tensor, hidden: Tensor) -> Self:
        """Compare a prediction (h, w) with a measurement where ``hidden`` is 1."""
        return cls(float(((predicted - y) ** 2 * hidden).sum()), float(hidden.sum()))

    @classmethod
    def pooled(cls, errors: list[Self]) -> Self:
        """Return the error over several tiles."""
        return cls(sum(each.total for each in errors), sum(each.count for each in errors))

    @property
    def mean(self) -> float:
        """Mean squared error."""
        return self.total / max(self.count, 1.0)

    @property
    def db(self) -> float:
        """Mean squared error in dB."""
        return 10 * math.log10(self.mean + 1e-9)


def overall_weight(gain: float, control: float) -> float:
    """Return the guide's weight in a whole image, 0 to 1.

    Parameters
    ----------
    gain : float
        How many dB better the held-out pixels are predicted with the guide than without.
    control : float
        The same with the guide displaced on purpose: a gain that is no knowledge of this scene.
    """
    return _ramp(min(gain, gain - control), GAIN)


def mixture_weight(gain: float) -> float:
    """Return the mixture's weight, 0 to 1, by its held-out gain in dB."""
    return _ramp(gain, MIX_GAIN)


def _ramp(gain: float, bounds: tuple[float, float]) -> float:
    """Go smoothly from 0 to 1 between two gains."""
    low, high = bounds
    share = min(1.0, max(0.0, (gain - low) / (high - low)))
    return share * share * (3 - 2 * share)


def local_error(predicted: Tensor, y: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean squared error of predictions (..., h, w) in the region around each pixel."""
    local = blur((predicted - y) ** 2 * hidden, REGION) / (blur(hidden, REGION) + 1e-9)
    return local.clamp(min=0)


def region_weights(
    predicted: Tensor,
    y: Tensor,
    hidden: Tensor,
    errors: Tensor,
    caution: float = CAUTION_DB,
) -> Tensor:
    """Weigh candidates against each other, region by region.

    Parameters
    ----------
    predicted : Tensor, shape (K, h, w)
        Each candidate's prediction of the measurement; the first does without the guide.
    y : Tensor, shape (h, w)
        Measurement.
    hidden : Tensor, shape (h, w)
        1 where the candidates had not seen it.
    errors : Tensor, shape (K,)
        Mean squared error of each on the held-out pixels of the whole image.
    caution : float
        Advantage of the first in dB.

    Returns
    -------
    Tensor, shape (K, h, w)
        Weights that sum to 1 over the candidates.
    """
    local = local_error(predicted, y, hidden)
    mixed = (1 - WHOLE) * local + WHOLE * errors.to(y)[:, None, None]
    score = -SHARPNESS * torch.log(mixed + 1e-7)
    score[0] += SHARPNESS * caution * math.log(10) / 10
    return torch.softmax(score, dim=0)
