"""The share of a learned prior, from how well it predicts held-out pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from cmsr.guided.channel import Channel
from cmsr.guided.held_out import Error, region_weights

FLIPS, HELD_OUT_FLIPS = 4, 2
"""Flips of an image over which what a network makes of it is averaged, from all pixels and where
some are held out."""


class LearnedShare:
    """The image without a guide, and its mixture with what a learned prior makes of it.

    Both agree with the measurement. Where they predict hidden pixels equally well, each has one
    half; where one does better, more.

    Parameters
    ----------
    channel, partial : Channel
        The measurement, and without the hidden pixels.
    hidden : Tensor, shape (h, w)
        1 where a pixel is hidden.
    """

    def __init__(self, channel: Channel, partial: Channel, hidden: Tensor) -> None:
        self._channel, self._partial, self._hidden = channel, partial, hidden
        self._predicted: Tensor | None = None

    def errors(self, held_out: Tensor) -> list[Error]:
        """Return the held-out errors, without and with what was learned."""
        return [
            Error.of(each, self._channel.y, self._hidden) for each in self._predictions(held_out)
        ]

    def mixed(self, free: Tensor, held_out: Tensor, errors: Sequence[float]) -> Tensor:
        """Return the mixture (H, W).

        Parameters
        ----------
        free, held_out : Tensor, shape (H, W)
            Without a guide, from all pixels and without the hidden ones.
        errors : sequence of float
            Mean held-out errors in the whole image.
        """
        predicted, whole = self._predictions(held_out), torch.tensor(errors)
        weights = region_weights(predicted, self._channel.y, self._hidden, whole, caution=0.0)
        change = self._channel.learned(free, FLIPS) - free
        return free + self._channel.unseen(self._channel.enlarge(weights[1]) * change)

    def _predictions(self, held_out: Tensor) -> Tensor:
        """Return what is predicted of the target, without and with what was learned, (2, h, w)."""
        if self._predicted is None:
            both = held_out, self._partial.learned(held_out, HELD_OUT_FLIPS)
            self._predicted = torch.stack([self._channel.reduce(each) for each in both])
        return self._predicted


def pooled_errors(tiles: Iterable[list[Error]]) -> tuple[float, ...]:
    """Return the mean errors over several tiles."""
    return tuple(Error.pooled(list(errors)).mean for errors in zip(*tiles, strict=True))
