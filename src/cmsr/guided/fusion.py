"""Other frames of a series: where they lie, how far they can be believed, and what they prove.

Each frame is placed by an affine motion, to a few hundredths of a pixel. Where its pixels are not
what this frame says within its own uncertainty, something moved, and they do not count. All of it is
used only if it predicts held-out pixels of this frame better than this frame does alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmsr.guided.channel import GUIDE_FREE, Channel, Damping
from cmsr.guided.held_out import Error, local_error
from cmsr.guided.joint import Joint
from cmsr.operators.between import Places, between
from cmsr.operators.gaussian import blur
from cmsr.operators.resampling import Box, Kernel, Window
from cmsr.registration.frames import Array, Motion, View, find_motion, levelled
from cmsr.tiling import Plan

LARGEST = 320
"""Side of the middle part of a frame, in its pixels, in which motions are looked for."""

DAMPINGS = (0.02, 0.06, 0.2)
"""How far projections may stay off the measurements: what predicts held-out pixels best is taken."""

PHASES = 2
"""Places in a pixel, along each axis, at which it is computed what the camera sees there; 4 bring
0.02 dB."""

PROOF_DB = 0.1
"""Gain on held-out pixels, in dB, from which on other frames are used."""

STILL = 0.05
"""Motion in pixels below which a frame that has no noise tells nothing new."""

INDEPENDENT = 1.2
"""Least power of the difference of two frames that do not move, in that of the noise; it is 2 where
their noise is independent, 0 in copies."""

GAINS = (0.5, 2.0)
"""Contrast that a frame may have, in that of this one."""

WITHIN = 1.5
"""Width of the neighbourhood, in pixels of a frame, in which it is compared with what is known."""

DOUBT = (1.75, 3.5)
"""Squared error, in what this frame alone leaves of its own held-out pixels nearby, up to which a
frame's pixels count in full, and from which on not at all."""

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


@dataclass(frozen=True)
class Fusion:
    """What other frames are for one channel of a target.

    Attributes
    ----------
    frames : tuple of Placed
        Those that take part.
    damping : float
        See `cmsr.guided.joint.Joint`.
    gain : float
        By how many dB held-out pixels are predicted better with them.
    """

    frames: tuple[Placed, ...]
    damping: float
    gain: float

    def facts(self, frames: Sequence[Frame]) -> dict[str, Any]:
        """Return what a record says of it."""
        used = [
            {
                "frame": frames[each.number].name,
                "shift": [round(each.motion.across[2], 3), round(each.motion.down[2], 3)],
                "gain": round(each.motion.gain, 4),
            }
            for each in self.frames
        ]
        return {"used": used, "held_out_gain": round(self.gain, 2)}


def middle(plan: Plan) -> Box:
    """Return the box of a target in which motions are looked for."""
    (top, bottom), (left, right) = (
        (max(0, (n - LARGEST) // 2), min(n, (n + LARGEST) // 2)) for n in plan.target
    )
    return top, left, bottom, right


def find_fusion(
    plan: Plan, kernel: Kernel, channels: Sequence[Channel], kept: Tensor, frames: Sequence[Frame]
) -> list[Fusion | None]:
    """Find, for each channel of the `middle` of a target, which frames help, and by how much.

    Parameters
    ----------
    plan : Plan
        Of the result.
    kernel : str or PointSpread
        The imaging kernel.
    channels : sequence of Channel
        Of that box.
    kept : Tensor, shape (h, w)
        0 where its pixels are held out.
    frames : sequence of Frame
        The other frames.
    """
    box, first = middle(plan), channels[0]
    view = _view(plan, box, kernel, first, first.estimate(None))
    placed: list[Placed] = []
    for number, frame in enumerate(frames):
        seen, valid = _cut(frame, 0, box)
        motion = find_motion(view, seen, valid)
        if motion is None or not GAINS[0] < motion.gain < GAINS[1]:
            continue
        if _tells(first, seen, motion) and not _copied(frame, [frames[p.number] for p in placed]):
            placed.append(Placed(number, motion))
    if not placed:
        return [None] * len(channels)
    found = []
    for number, channel in enumerate(channels):
        there = placed
        if number:
            view = _view(plan, box, kernel, channel, channel.estimate(None))
            there = [
                replace(each, motion=levelled(view, *_cut(frames[each.number], number, box), each.motion))
                for each in placed
            ]
        found.append(_proven(plan, box, kernel, (channel, number), kept, frames, there))
    return found


def _proven(
    plan: Plan,
    box: Box,
    kernel: Kernel,
    of: tuple[Channel, int],
    kept: Tensor,
    frames: Sequence[Frame],
    placed: Sequence[Placed],
) -> Fusion | None:
    """Choose the damping that predicts held-out pixels best; None where none is worth it."""
    channel, number = of
    start = Fusion(tuple(placed), DAMPINGS[0], 0.0)
    alone, known = _alone(channel, kept)
    joint = joint_of(start, plan, box, kernel, of, kept, frames, alone)
    if joint is None:
        return None
    hidden = channel.valid * (1 - kept)
    errors = []
    for damping in DAMPINGS:
        several = replace(known, others=replace(joint, damping=damping))
        image = several.denoised(alone, GUIDE_FREE(rounds=ROUNDS))
        errors.append(Error.of(channel.reduce(image), channel.y, hidden).db)
    before = Error.of(channel.reduce(alone), channel.y, hidden).db
    best = int(np.argmin(errors))
    gain = before - errors[best]
    return replace(start, damping=DAMPINGS[best], gain=gain) if gain >= PROOF_DB else None


def joint_of(
    fusion: Fusion,
    plan: Plan,
    box: Box,
    kernel: Kernel,
    of: tuple[Channel, int],
    kept: Tensor,
    frames: Sequence[Frame],
    alone: Tensor | None = None,
) -> Joint | None:
    """Gather what other frames measured in a box of a target; None where they count for nothing.

    Parameters
    ----------
    fusion : Fusion
        Which they are.
    plan, box, kernel : Plan, Box, Kernel
        Where the box lies, and how the target was made.
    of : (Channel, int)
        The channel of that box, and its number.
    kept : Tensor, shape (h, w)
        0 where its pixels are held out.
    frames : sequence of Frame
        All other frames.
    alone : Tensor, optional
        The image (H, W) of the box by this frame alone, pixels held out, if it is known.
    """
    channel, number = of
    if alone is None:
        alone = _alone(channel, kept)[0]
    view = _view(plan, box, kernel, channel, alone)
    hidden = channel.valid * (1 - kept)
    usual = local_error(channel.reduce(alone), channel.y, hidden).double().cpu().numpy()
    floor = max(channel.noise**2, 1e-8)
    parts = [
        _pixels(frames[each.number], number, each.motion, view, usual, floor)
        for each in fusion.frames
    ]
    rows, cols, y, weight = (np.concatenate(each) for each in zip(*parts, strict=True))
    total = float(weight.sum())
    if total < 0.01 * channel.y.numel():
        return None
    counts = weight > 0
    at = view.fine(rows[counts], cols[counts])
    like = channel.y
    return Joint(
        _between(plan, box, kernel, like),
        Places.of(*at, (view.image.shape[0], view.image.shape[1])),
        torch.from_numpy(y[counts]).to(like),
        torch.from_numpy(np.sqrt(weight[counts])).to(like),
        fusion.damping,
        1 + total / like.numel(),
    )


def _alone(channel: Channel, kept: Tensor) -> tuple[Tensor, Channel]:
    """Return the image (H, W) by this frame alone, pixels held out; and what it was made from."""
    known = replace(channel, valid=channel.valid * kept, damping=Damping())
    return known.denoised(known.estimate(None), GUIDE_FREE(rounds=ROUNDS)), known


def _pixels(
    frame: Frame, number: int, motion: Motion, view: View, usual: Array, floor: float
) -> tuple[Array, Array, Array, Array]:
    """Return places, measurements (in this frame's level) and weights of a frame's pixels."""
    height, width = frame.target.shape[1:]
    image, valid = _cut(frame, number, (0, 0, height, width))
    rows, cols = np.mgrid[:height, :width].astype(float).reshape(2, -1)
    down, across = motion.moved(rows, cols)
    inside = view.inside(down, across) & valid.ravel()
    level = (image.ravel() - motion.offset) / motion.gain
    off = np.zeros(height * width)
    off[inside] = (level[inside] - view.read(down[inside], across[inside])[0]) ** 2
    counted = torch.from_numpy(np.stack([off, inside.astype(float)]).reshape(2, height, width))
    error, share = blur(counted.float(), WITHIN).clamp(min=0).double().flatten(1).numpy()
    near = np.stack([down[inside] - view.box[0], across[inside] - view.box[1]]).round().astype(int)
    near = near.clip(0, np.array(usual.shape)[:, None] - 1)
    expected = np.maximum(usual[near[0], near[1]], floor)
    ratio = error[inside] / np.maximum(share[inside], 1e-6) / expected
    low, high = (math.log(each) for each in DOUBT)
    trust = np.clip((high - np.log(ratio + 1e-9)) / (high - low), 0, 1)
    return down[inside], across[inside], level[inside], trust * motion.gain**2


def _tells(channel: Channel, frame: Array, motion: Motion) -> bool:
    """Return whether a frame moved, or has noise of its own: else it tells nothing new."""
    if motion.largest > STILL:
        return True
    if channel.noise == 0:
        return False
    own = channel.y.double().cpu().numpy()
    change = (frame - motion.gain * own - motion.offset)[channel.valid.bool().cpu().numpy()]
    power = (1.4826 * float(np.median(np.abs(change)))) ** 2
    return power > INDEPENDENT * channel.noise**2


def _copied(frame: Frame, others: Sequence[Frame]) -> bool:
    """Return whether a frame is there already."""
    return any(torch.equal(frame.target, other.target) for other in others)


def _cut(frame: Frame, number: int, box: Box) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return a box of a channel of a frame, and where it was measured."""
    inside = np.s_[number, box[0] : box[2], box[1] : box[3]]
    return frame.target[inside].double().cpu().numpy(), frame.valid[inside].bool().cpu().numpy()


def _view(plan: Plan, box: Box, kernel: Kernel, channel: Channel, image: Tensor) -> View:
    seen = _between(plan, box, kernel, channel.y)(image)
    return View(seen.double().cpu().numpy(), PHASES, box)


def _between(plan: Plan, box: Box, kernel: Kernel, like: Tensor) -> Any:
    window = Window(plan.fine(box), box)
    return between(plan.result, plan.target, kernel, PHASES, str(like.device), window)

