"""How far the guide may be believed: what it predicts of measurements that were held out.

A fifth of the target's pixels is hidden. What each estimate, made from the rest, says of them is
its held-out error: per image it decides whether the guide knows anything of this scene, per region
which estimate to follow.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cmsr.guided.linear_model import blur

HELD_OUT = 0.2
"""Share of the measured pixels that is hidden."""

GAIN = (0.4, 1.2)
"""Held-out gain in dB below which the guide counts for nothing, and above which for all."""

MIX_GAIN = (1.0, 3.0)
"""The same for the mixture of all estimates against the best that does without the guide: hidden
pixels are further from their neighbours than detail is, so a guide looks more useful than it is."""

REGION = 4.0
"""Width of a region, in pixels of the target."""

SHARPNESS = 6.0
"""Power of the error with which an estimate loses weight."""

WHOLE = 0.2
"""Share of the whole image's error in each region's."""

CAUTION_DB = 0.5
"""Advantage given to the estimate that does without the guide."""

DECOY = 1.5
"""Displacement at which a guide tells what gain is mere chance, in pixels of the target."""

LEAST_TRUST = 0.01
"""Trust below which the guide is left out altogether."""


class Finding(NamedTuple):
    """What was found out about a channel.

    Attributes
    ----------
    gain, chance : float
        By how many dB better hidden pixels are predicted with the guide than without, and with a
        guide displaced on purpose.
    straightness : float
        `cmsr.guided.channel.Measurement.straightness`.
    """

    gain: float
    chance: float
    straightness: float


def hide(valid: Tensor, seed: int) -> Tensor:
    """Return ``valid`` (h, w) with a random fifth of its pixels set to 0."""
    generator = torch.Generator().manual_seed(seed)
    kept = torch.rand(valid.shape, generator=generator) > HELD_OUT
    return valid * kept.to(valid)


def error_db(predicted: Tensor, y: Tensor, hidden: Tensor) -> float:
    """Mean squared error on the hidden pixels, in dB."""
    error = ((predicted - y) ** 2 * hidden).sum() / hidden.sum().clamp(min=1)
    return float(10 * torch.log10(error + 1e-9))


def image_trust(gain: float, decoy: float) -> float:
    """Trust in the guide of a whole image, 0 to 1.

    Parameters
    ----------
    gain : float
        How many dB better the hidden pixels are predicted with the guide than without.
    decoy : float
        The same with the guide displaced on purpose: a gain that is no knowledge of this scene.
    """
    return _ramp(min(gain, gain - decoy), GAIN)


def mixture_trust(gain: float) -> float:
    """Trust in the mixture, 0 to 1, by how many dB better it predicts the hidden pixels."""
    return _ramp(gain, MIX_GAIN)


def _ramp(gain: float, bounds: tuple[float, float]) -> float:
    """Go smoothly from 0 to 1 between two gains."""
    low, high = bounds
    share = min(1.0, max(0.0, (gain - low) / (high - low)))
    return share * share * (3 - 2 * share)


def region_weights(
    predicted: Tensor, y: Tensor, hidden: Tensor, errors: Tensor | None = None
) -> Tensor:
    """Weigh estimates against each other, region by region.

    Parameters
    ----------
    predicted : Tensor, shape (K, h, w)
        What each estimate says of the measurement; the first does without the guide.
    y : Tensor, shape (h, w)
        Measurement.
    hidden : Tensor, shape (h, w)
        1 where the estimates had not seen it.
    errors : Tensor, shape (K,), optional
        Mean squared error of each on the hidden pixels of the image that this is a part of.

    Returns
    -------
    Tensor, shape (K, h, w)
        Weights that sum to 1 over the estimates.
    """
    error = (predicted - y) ** 2 * hidden
    local = blur(error, REGION) / (blur(hidden, REGION) + 1e-9)
    if errors is None:
        errors = error.sum((1, 2)) / hidden.sum().clamp(min=1)
    mixed = (1 - WHOLE) * local.clamp(min=0) + WHOLE * errors[:, None, None]
    score = -SHARPNESS * torch.log(mixed + 1e-7)
    score[0] += SHARPNESS * CAUTION_DB * math.log(10) / 10
    return torch.softmax(score, dim=0)
