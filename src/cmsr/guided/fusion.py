"""Which other frames of a series take part in a result, and what that brings.

Each is placed by an affine motion, to a few hundredths of a pixel. They are used only if, together,
they predict held-out pixels of this frame better than it does alone; a copy proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from cmsr.guided.channel import GUIDE_FREE
from cmsr.guided.joint import Joint
from cmsr.guided.other_frames import ROUNDS, Frame, Part, Placed, cut
from cmsr.operators.resampling import Box
from cmsr.registration.frames import Array, find_motion, levelled
from cmsr.tiling import Plan

LARGEST = 320
"""Side of the middle part of a frame, in its pixels, in which motions are looked for."""

DAMPINGS = (0.02, 0.06, 0.2)
"""How far projections may stay off the measurements: what predicts held-out pixels best counts."""

PROOF_DB = 0.1
"""Gain on held-out pixels, in dB, from which on other frames are used."""

COPY = 1.2, 1e-6
"""Power of what differs from this frame, in that of its noise and of its contrast, up to which
another is a copy of it; where the noise is independent it is 2."""

GAINS = (0.5, 2.0)
"""Contrast that a frame may have, in that of this one."""

LEAST_SHARE = 0.05
"""Share of a frame's pixels that must count for it to take part."""


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


def find_fusion(parts: Sequence[Part]) -> list[Fusion | None]:
    """Find, for each channel of the `middle` of a target, which frames help, and by how much."""
    first = parts[0]
    frames, view = first.frames, first.view(first.channel.estimate(None))
    placed: list[Placed] = []
    for number, frame in enumerate(frames):
        seen, valid = cut(frame, 0, first.box)
        motion = find_motion(view, seen, valid)
        if motion is None or not GAINS[0] < motion.gain < GAINS[1]:
            continue
        if not _copied(first, seen, frame, [frames[each.number] for each in placed]):
            placed.append(Placed(number, motion))
    if not placed:
        return [None] * len(parts)
    return [_proven(first, placed), *(_proven(part, _levelled(part, placed)) for part in parts[1:])]


def _levelled(part: Part, placed: Sequence[Placed]) -> list[Placed]:
    """Return where frames lie, with the levels that hold in another channel."""
    view, found = part.view(part.channel.estimate(None)), []
    for each in placed:
        seen, valid = cut(part.frames[each.number], part.number, part.box)
        found.append(replace(each, motion=levelled(view, seen, valid, each.motion)))
    return found


def joint_of(fusion: Fusion, part: Part) -> Joint | None:
    """Gather what other frames measured in a tile; None where they count for nothing."""
    return part.joint(part.compared(part.alone(), fusion.frames), fusion.damping)


def _proven(part: Part, placed: Sequence[Placed]) -> Fusion | None:
    """Choose the damping that predicts held-out pixels best; None where none is worth it."""
    alone = part.alone()
    pixels = part.compared(alone, placed)
    counted = [
        (each, some)
        for each, some in zip(placed, pixels, strict=True)
        if some.weight.sum() >= LEAST_SHARE * part.channel.y.numel()
    ]
    joint = part.joint([some for _, some in counted], DAMPINGS[0]) if counted else None
    if joint is None:
        return None
    errors = []
    for damping in DAMPINGS:
        several = replace(part.partial(), others=replace(joint, damping=damping))
        errors.append(part.error(several.denoised(alone, GUIDE_FREE(rounds=ROUNDS))))
    best = int(np.argmin(errors))
    gain = part.error(alone) - errors[best]
    used = tuple(each for each, _ in counted)
    return Fusion(used, DAMPINGS[best], gain) if gain >= PROOF_DB else None


def _copied(part: Part, seen: Array, frame: Frame, others: Sequence[Frame]) -> bool:
    """Return whether a frame, ``seen`` in the part, is a copy of this one or of another.

    Whatever its level, a copy has the very same noise, so that it would predict held-out pixels
    without telling anything of the scene.
    """
    channel = part.channel
    own, valid = channel.y.double().cpu().numpy(), channel.valid.bool().cpu().numpy()
    design = np.stack([own[valid], np.ones(valid.sum())], 1)
    change = seen[valid] - design @ np.linalg.lstsq(design, seen[valid], rcond=None)[0]
    power = (1.4826 * float(np.median(np.abs(change)))) ** 2
    noise, contrast = (
        share * of**2 for share, of in zip(COPY, (channel.noise, own.std()), strict=True)
    )
    if power <= max(noise, contrast):
        return True
    return any(torch.equal(frame.target, other.target) for other in others)
