"""Limit overshoot: values of a result beyond the range that was measured.

A sharp image may exceed the range of its blurred measurement, but so does ringing, strongly so at
large ratios. Overshoot beyond the range of the whole target is always damped; beyond the range of
the neighbouring pixels, only where the guide does not confirm it. The correction is kept invisible
to the sensor, so the image still agrees with the measurement.
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

ROUNDS = 4
"""Limits, each followed by agreement with the measurement, which brings some overshoot back: of a
square on dark, 60 % of the step without, 30, 24 and 20 % after 2, 4 and 8."""


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
    bounds = _around(channel)
    for _ in range(ROUNDS):
        image = image + channel.unseen(_cut(image, weight, *bounds) - image)
    return image


def _around(channel: Channel) -> tuple[Tensor, Tensor]:
    """Return the least and the largest value of the pixels around each place, (H, W)."""
    around = F.pad(channel.y[None, None], (1, 1, 1, 1), mode="replicate")
    high, low = (sign * F.max_pool2d(sign * around, 3, 1)[0, 0] for sign in (1, -1))
    return channel.enlarge(low), channel.enlarge(high)


def _cut(image: Tensor, weight: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Limit each pixel by itself."""
    near = _within(image, low, high, BEYOND_NEAR * (high - low).clamp(min=LEAST_NEAR))
    image = torch.lerp(near, image, weight)
    zero = torch.zeros_like(image)
    return _within(image, zero, zero + 1, zero + BEYOND_ALL)


def _within(image: Tensor, low: Tensor, high: Tensor, most: Tensor) -> Tensor:
    """Leave what is beyond two bounds by half of ``most``, and the rest within ``most``."""
    inside = image.clamp(low, high)
    beyond, knee = image - inside, most / 2
    rest = beyond.abs() - knee
    return torch.where(
        rest > 0, inside + beyond.sign() * knee * (1 + torch.tanh(rest / knee)), image
    )
