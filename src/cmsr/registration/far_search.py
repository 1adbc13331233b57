"""Candidates for the place of a target in a photo that shows another field of view.

Doubled gradient orientations are correlated by FFT over all shifts, for a ladder of fields of view
and rotations. Nothing is known beforehand but that the photo shows half to four times the field.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.parallel import together
from cmsr.registration.coarse_search import orientations
from cmsr.registration.transforms import Size, identity_grid, sample

LONGER = 96
"""Longer side of the target in pixels; at 72, of 28 thermal targets two fewer are found."""

FIELDS, FIELD_STEP = (0.5, 4.1), 0.06
"""Field of view of the photo in those of the target, and logarithm of the ladder's step."""

TURN, TURN_STEP = math.radians(15), math.radians(3)
"""Largest rotation either way, and the step."""

BLUR = 0.8
"""Standard deviation of the smoothing before gradients are taken, in pixels."""

LEAST_ENERGY = 0.2
"""Share of the photo's mean energy that counts in a place that has less."""

PER_FIELD, APART = 24, (0.15, 0.12, 6.0)
"""Peaks looked at in each step of the ladder; what keeps two apart: logarithm of the field,
radians, and pixels of the reduced target."""


class Candidate(NamedTuple):
    """A place of the target in the photo.

    Attributes
    ----------
    score : float
        Correlation, up to 1.
    field : float
        Diagonal of the photo in those of the target.
    turn : float
        Radians, from x towards y.
    x, y : float
        Place of the target's centre, 0 to 1 across and down the photo.
    """

    score: float
    field: float
    turn: float
    x: float
    y: float


def candidates(
    target: Tensor,
    valid: Tensor,
    photo: Tensor,
    count: int,
    quarter: int,
    fields: tuple[float, float],
) -> list[Candidate]:
    """Return the places (best first) where a photo resembles a target.

    Parameters
    ----------
    target, valid : Tensor (h, w)
        The second is 1 where the first was measured.
    photo : Tensor (3, H, W)
        In any unit.
    count : int
        Most candidates.
    quarter : int
        Quarter turns added to the rotations.
    fields : (float, float)
        Least and largest field of view.
    """
    size = reduced_size(shape_of(target), LONGER)
    small, known = reduced(target[None], size), reduced(valid[None], size)[0] > 0.99
    turns = [
        quarter * math.pi / 2 + step * TURN_STEP
        for step in range(-round(TURN / TURN_STEP), round(TURN / TURN_STEP) + 1)
    ]
    templates = torch.stack([_turned(small, known, turn) for turn in turns])
    low, high = (math.log(bound) for bound in fields)
    count_of_steps = round((high - low) / FIELD_STEP) + 1
    steps = [math.exp(low + step * FIELD_STEP) for step in range(count_of_steps)]
    found = together(*(partial(_peaks, templates, turns, photo, size, field) for field in steps))
    return _apart([each for some in found for each in some], size, count)


def reduced_size(size: Size, longer: int) -> Size:
    """Return a size of which the longer side has at most so many pixels."""
    share = min(1.0, longer / max(size))
    return max(8, round(size[0] * share)), max(8, round(size[1] * share))


def reduced(image: Tensor, size: Size) -> Tensor:
    """Resize (C, H, W), antialiased."""
    if shape_of(image) == size:
        return image
    return F.interpolate(image[None], size, mode="bicubic", antialias=True)[0]


def _turned(target: Tensor, known: Tensor, turn: float) -> Tensor:
    """Return the orientations of a target (1, h, w), turned as in the photo, in a square."""
    side = max(shape_of(target))
    half = target.new_tensor((target.shape[2], target.shape[1])) / side
    x, y = identity_grid((side, side))[0].unbind(-1)
    c, s = math.cos(turn), math.sin(turn)
    grid = torch.stack((c * x + s * y, c * y - s * x), -1)[None] / half
    inside = (grid.abs() <= 1).all(-1)[0].float()
    layers = sample(torch.stack((target[0], known.float()))[None], grid)[0]
    field, support = orientations(layers[:1], inside * (layers[1] > 0.99), BLUR)
    return field * support


def _peaks(
    templates: Tensor, turns: list[float], photo: Tensor, size: Size, field: float
) -> list[Candidate]:
    """Return the highest peaks of the correlation at one field of view."""
    share = field * math.hypot(*size) / math.hypot(*shape_of(photo))
    height, width = (max(8, round(side * share)) for side in shape_of(photo))
    small = reduced(photo, (height, width))
    pattern, _ = orientations(small, torch.ones_like(small[0]), BLUR)
    side = templates.shape[-1]
    margin = side * 3 // 8
    reach = height + 2 * margin - side + 1, width + 2 * margin - side + 1
    if min(reach) < 1:
        return []
    frame = tuple(_smooth_number(n + 2 * margin) for n in (height, width))
    padded = F.pad(pattern, (margin, 0, margin, 0))
    spectrum = torch.fft.fft2(padded, s=frame)
    found = torch.fft.ifft2(spectrum * torch.fft.fft2(templates, s=frame).conj()).real
    support = (templates.abs() > 0).float()
    energy = torch.fft.rfft2(padded.abs().square(), s=frame)
    middle = support[len(support) // 2]
    near = torch.fft.irfft2(energy * torch.fft.rfft2(middle, s=frame).conj(), s=frame)
    typical = pattern.abs().square().mean() * middle.sum()
    near = near.clamp_min(LEAST_ENERGY * typical.clamp_min(1e-12).item())
    strength = templates.abs().square().sum((1, 2)).clamp_min(1e-12)
    surface = (found / (near * strength[:, None, None]).sqrt())[:, : reach[0], : reach[1]]
    highest = F.max_pool2d(surface[None], (1, 5), 1, (0, 2))
    highest = F.max_pool2d(highest, (5, 1), 1, (2, 0))[0]
    peaks = torch.where(highest == surface, surface, -1.0)
    scores, places = peaks.flatten().topk(min(PER_FIELD, peaks.numel()))
    made = []
    for score, place in zip(scores.tolist(), places.tolist(), strict=True):
        entry, rest = divmod(place, reach[0] * reach[1])
        row, column = divmod(rest, reach[1])
        x, y = ((at - margin + side / 2) / n for at, n in ((column, width), (row, height)))
        made.append(Candidate(score, field, turns[entry], x, y))
    return made


def _apart(found: list[Candidate], size: Size, count: int) -> list[Candidate]:
    """Keep the best of candidates that are much the same."""
    kept: list[Candidate] = []
    diagonal = math.hypot(*size)

    def same(a: Candidate, b: Candidate) -> bool:
        away = math.hypot(a.x - b.x, a.y - b.y) * a.field * diagonal / math.sqrt(2)
        field = abs(math.log(a.field / b.field))
        return field < APART[0] and abs(a.turn - b.turn) < APART[1] and away < APART[2]

    for candidate in sorted(found, reverse=True):
        if not any(same(candidate, other) for other in kept):
            kept.append(candidate)
        if len(kept) == count:
            break
    return kept


def _smooth_number(least: int) -> int:
    """Return the next number whose only prime factors are 2, 3 and 5."""
    number = least
    while True:
        rest = number
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return number
        number += 1
