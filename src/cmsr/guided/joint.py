"""Several frames in one measurement: what neighbouring frames say of one channel of a tile.

A pixel of another frame saw the scene from between the pixels of this one. All of them together are
one linear measurement of the image, with which a projection makes it agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cmsr.operators.between import Places
from cmsr.operators.conjugate_gradients import conjugate_gradients
from cmsr.operators.gaussian import smooth
from cmsr.operators.resampling import SMOOTHNESS, Resampler

STEPS = 3
"""Steps of conjugate gradients of a projection; 16 change nothing in the second decimal of dB."""

ENOUGH = 1e-4
"""Share of the residual's squared norm at which they end."""


@dataclass(frozen=True)
class Joint:
    """The pixels of other frames that lie in a tile.

    Attributes
    ----------
    between : Resampler
        What the camera sees from between its pixels, of the image (H, W).
    places : Places
        Where there the other frames' pixels lie.
    y : Tensor, shape (M,)
        What they measured.
    weight : Tensor, shape (M,)
        Square root of how far each counts beside a pixel of this frame.
    damping : float
        How far a projection stays off all measurements for their noise.
    frames : float
        How many frames there are, this one included, on average over the tile.
    """

    between: Resampler
    places: Places
    y: Tensor
    weight: Tensor
    damping: float
    frames: float

    def seen(self, x: Tensor) -> Tensor:
        """Return what the other frames would measure of an image, weighted."""
        return self.places(self.between(x)) * self.weight

    def looking_at(self, image: Tensor) -> Joint:
        """Return the same frames as they would have measured another image."""
        return replace(self, y=self.places(self.between(image)))

    def transpose(self, values: Tensor) -> Tensor:
        """Map (M,) to (H, W) by the exact transpose of `seen`."""
        return self.between.transpose(self.places.transpose(values * self.weight))

    def project(
        self, x: Tensor, y: Tensor, reduce: Resampler, valid: Tensor, ratio: float, damping: float
    ) -> Tensor:
        """Return ``x`` (H, W) with the smoothest change that makes it agree with all frames.

        The others are this frame's own measurement, see `cmsr.operators.resampling.project`.
        """
        own, width = y.numel(), SMOOTHNESS * ratio

        def change(dual: Tensor) -> Tensor:
            here = reduce.transpose(dual[:own].reshape(y.shape) * valid)
            return smooth(here + self.transpose(dual[own:]), width)

        def measured(image: Tensor) -> Tensor:
            return torch.cat([(reduce(image) * valid).ravel(), self.seen(image)])

        goal = torch.cat([(y * valid).ravel(), self.y * self.weight])
        dual = conjugate_gradients(
            lambda u: measured(change(u)) + damping * u,
            goal - measured(x),
            STEPS,
            precondition=lambda residual: residual,
            enough=ENOUGH,
        )
        return x + change(dual)
