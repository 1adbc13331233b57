"""Overshoot of a result beyond what was measured, which nothing proves.

A sharper image may go beyond the range of its blurred measurement, but ringing does so too, and at
large ratios far. Beyond the range of the whole target all overshoot is limited; beyond that of the
pixels around, what is not proven by a guide.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.guided.channel import Channel

BEYOND_ALL = 0.1
"""Most overshoot beyond the range of the whole target, in spans of it: over the near-infrared,
thermal and depth pairs it lowers no result by more than .01 dB."""

BEYOND_NEAR, LEAST_NEAR = 0.5, 0.02
"""Most overshoot beyond the range of the pixels around, in spans of these, without a guide; and the
least such span, in those of the whole."""


def limited(image: Tensor, weight: Tensor, channel: Channel) -> Tensor:
    """Limit the overshoot of an image (H, W), softly.

    Parameters
    ----------
    image : Tensor, shape (H, W)
        In units in which the measured values lie in [0, 1].
    weight : Tensor, shape (H, W)
        The guide's weight, 0 to 1.
    channel : Channel
        The measurement.
    """
    around = F.pad(channel.y[None, None], (1, 1, 1, 1), mode="replicate")
    high, low = (sign * F.max_pool2d(sign * around, 3, 1)[0, 0] for sign in (1, -1))
    high, low = channel.enlarge(high), channel.enlarge(low)
    near = _within(image, low, high, BEYOND_NEAR * (high - low).clamp(min=LEAST_NEAR))
    image = torch.lerp(near, image, weight)
    zero = torch.zeros_like(image)
    return _within(image, zero, zero + 1, zero + BEYOND_ALL)


def _within(image: Tensor, low: Tensor, high: Tensor, most: Tensor) -> Tensor:
    """Leave what lies between two bounds as it is, and the rest no further off than ``most``."""
    inside = image.clamp(low, high)
    return inside + most * torch.tanh((image - inside) / most)
