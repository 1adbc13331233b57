"""Other frames of a series beside a tile: where their pixels lie, and how far they are believed.

Where a frame is not what this one says within its own uncertainty, something moved, or it shows
another scene: there its pixels do not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmsr.guided.channel import GUIDE_FREE, Channel, Damping
from cmsr.guided.held_out import Error, local_error
from cmsr.guided.joint import Joint
from cmsr.operators.between import Places, between
from cmsr.operators.gaussian import blur
from cmsr.operators.resampling import Box, Kernel, Resampler, Window
from cmsr.registration.frames import Array, Motion, View
from cmsr.tiling import Plan

PHASES = 2
"""Places in a pixel, along each axis, at which it is computed what the camera sees there; 4 bring
0.02 dB."""

WITHIN = 1.5
"""Width of the neighbourhood, in pixels of a frame, in which it is compared with what is known."""

DOUBT = (1.75, 3.5)
"""Squared error, in what this frame alone leaves of its own held-out pixels nearby, up to which a
frame's pixels count in full, and from which on not at all."""

LEAST_COUNT = 0.01
"""Pixels of other frames, per pixel of a tile, below which they are left out."""

LEAST_POWER = 1e-8
"""Least squared error that is expected, in squared spans of the target."""

ROUNDS = 12
"""Rounds of denoising where frames are compared."""


class Frame(NamedTuple):
    """Another frame, in this one's normalised units: target (C, h, w), 1 where valid (C, h, w)."""

    target: Tensor
    valid: Tensor
    name: str


@dataclass(frozen=True)
class Placed:
    """A frame that takes part: its number among the frames, and where it lies."""

    number: int
    motion: Motion


class Pixels(NamedTuple):
    """Pixels of another frame: where the camera's view shows them, in this one's level; weights."""

    rows: Array
    cols: Array
    y: Array
    weight: Array


class Part(NamedTuple):
    """A channel of a box of a target, and the other frames as they are compared with it.

    Attributes
    ----------
    plan, box, kernel : Plan, Box, Kernel
        Where the box lies, and how the target was made.
    channel, number : Channel, int
        The channel, and which it is.
    kept : Tensor, shape (h, w)
        0 where its pixels are held out.
    frames : sequence of Frame
        All other frames.
    """

    plan: Plan
    box: Box
    kernel: Kernel
    channel: Channel
    number: int
    kept: Tensor
    frames: Sequence[Frame]

    @property
    def hidden(self) -> Tensor:
        """1 where a pixel is measured and held out, (h, w)."""
        return self.channel.valid * (1 - self.kept)

    def partial(self) -> Channel:
        """Return the channel with pixels held out."""
        return replace(self.channel, valid=self.channel.valid * self.kept, damping=Damping())

    def alone(self) -> Tensor:
        """Return the image (H, W) by this frame alone, pixels held out."""
        known = self.partial()
        return known.denoised(known.estimate(None), GUIDE_FREE(rounds=ROUNDS))

    def error(self, image: Tensor) -> float:
        """Return how badly an image (H, W) predicts held-out pixels, in dB."""
        channel = self.channel
        return Error.of(channel.reduce(image), channel.y, self.hidden).db

    def compared(self, alone: Tensor, placed: Sequence[Placed]) -> list[Pixels]:
        """Compare frames with the image (H, W) by this frame alone."""
        channel = self.channel
        view = self.view(alone)
        usual = local_error(channel.reduce(alone), channel.y, self.hidden).double().cpu().numpy()
        floor = max(channel.noise**2, LEAST_POWER)
        return [
            _pixels(self.frames[each.number], self.number, each.motion, view, usual.clip(floor))
            for each in placed
        ]

    def view(self, image: Tensor) -> View:
        """Return what the camera would have seen of an image (H, W)."""
        return View(self.between(image).double().cpu().numpy(), PHASES, self.box)

    @property
    def between(self) -> Resampler:
        """What the camera sees from between its pixels."""
        window, device = Window(self.plan.fine(self.box), self.box), str(self.channel.y.device)
        return between(self.plan.result, self.plan.target, self.kernel, PHASES, device, window)

    def joint(self, pixels: Sequence[Pixels], damping: float) -> Joint | None:
        """Gather pixels of other frames; None where they count for nothing."""
        rows, cols, y, weight = (np.concatenate(each) for each in zip(*pixels, strict=True))
        counts, like, total = weight > 0, self.channel.y, float(weight.sum())
        if total < LEAST_COUNT * like.numel():
            return None
        height, width = like.shape
        return Joint(
            self.between,
            Places.of(rows[counts], cols[counts], (height * PHASES, width * PHASES)),
            torch.from_numpy(y[counts]).to(like),
            torch.from_numpy(np.sqrt(weight[counts])).to(like),
            damping,
            1 + total / like.numel(),
        )


def _pixels(frame: Frame, number: int, motion: Motion, view: View, usual: Array) -> Pixels:
    """Compare a frame's pixels with what is known, and weigh them; ``usual`` is (h, w)."""
    height, width = frame.target.shape[1:]
    image, valid = cut(frame, number, (0, 0, height, width))
    rows, cols = np.mgrid[:height, :width].astype(float).reshape(2, -1)
    down, across = motion.moved(rows, cols)
    inside = view.inside(down, across) & valid.ravel()
    down, across = down[inside], across[inside]
    y = (image.ravel()[inside] - motion.offset) / motion.gain
    off = np.zeros((2, height * width))
    off[0, inside], off[1, inside] = (y - view.read(down, across)[0]) ** 2, 1
    near = torch.from_numpy(off).float().reshape(2, height, width)
    error, share = blur(near, WITHIN).clamp(min=0).double().flatten(1).numpy()[:, inside]
    top, left = (place.round().astype(int) for place in (down - view.box[0], across - view.box[1]))
    expected = usual[top.clip(0, len(usual) - 1), left.clip(0, usual.shape[1] - 1)]
    low, high = (math.log(each) for each in DOUBT)
    ratio = error / np.maximum(share, 1e-6) / expected
    trust = np.clip((high - np.log(ratio + 1e-9)) / (high - low), 0, 1)
    return Pixels(*view.fine(down, across), y, trust * motion.gain**2)


def cut(frame: Frame, number: int, box: Box) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return a box of a channel of a frame, and where it was measured."""
    inside = np.s_[number, box[0] : box[2], box[1] : box[3]]
    return frame.target[inside].double().cpu().numpy(), frame.valid[inside].bool().cpu().numpy()
