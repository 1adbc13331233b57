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


class Rung(NamedTuple):
    """A photo at one step of the ladder of fields: its orientations, ready to be correlated.

    Attributes
    ----------
    field : float
        Diagonal of the photo in those of the target.
    size : (int, int)
        Height and width at which both have the same scale.
    frame : (int, int)
        The same with margins, of the transforms.
    spectra : Tensor (2, *, *)
        Of the orientations' real and imaginary part.
    energy : Tensor (*, *)
        Spectrum of the orientations' energy.
    typical : float
        Mean energy.
    """

    field: float
    size: Size
    frame: Size
    spectra: Tensor
    energy: Tensor
    typical: float


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


def ladder(photo: Tensor, target: Size, fields: tuple[float, float]) -> list[Rung]:
    """Return a photo (3, H, W) at all fields of view between two, for targets of one size."""
    size = reduced_size(target, LONGER)
    low, high = (math.log(bound) for bound in fields)
    count = round((high - low) / FIELD_STEP) + 1
    shares = [
        math.exp(low + step * FIELD_STEP) * math.hypot(*size) / math.hypot(*shape_of(photo))
        for step in range(count)
    ]
    halves = _halved(photo, min(shares))
    margin = max(size) * 3 // 8

    def rung(share: float) -> Rung:
        height, width = (max(8, round(side * share)) for side in shape_of(photo))
        level = min((level for level in halves if level >= 2 * share), default=1.0)
        small = reduced(halves[level], (height, width))
        pattern, _ = orientations(small, torch.ones_like(small[0]), BLUR)
        frame = _smooth_number(height + 2 * margin), _smooth_number(width + 2 * margin)
        padded = F.pad(torch.stack((pattern.real, pattern.imag)), (margin, 0, margin, 0))
        energy = padded.square().sum(0)
        spectra = torch.fft.rfft2(padded, s=frame)
        field = share * math.hypot(*shape_of(photo)) / math.hypot(*size)
        strength = float(energy.sum()) / (height * width)
        return Rung(
            field, (height, width), frame, spectra, torch.fft.rfft2(energy, s=frame), strength
        )

    return together(*(partial(rung, share) for share in shares))


def _halved(photo: Tensor, least: float) -> dict[float, Tensor]:
    """Return a photo and its reductions to a half, a quarter and so on, by their share."""
    made, level = {1.0: photo}, 1.0
    while level >= 4 * least:
        height, width = (max(8, round(side * level / 2)) for side in shape_of(photo))
        made[level / 2] = reduced(made[level], (height, width))
        level /= 2
    return made


def candidates(
    target: Tensor, valid: Tensor, rungs: list[Rung], count: int, quarter: int
) -> list[Candidate]:
    """Return the places (best first) where a photo resembles a target.

    Parameters
    ----------
    target, valid : Tensor (h, w)
        The second is 1 where the first was measured.
    rungs : list of Rung
        The photo.
    count : int
        Most candidates.
    quarter : int
        Quarter turns added to the rotations.
    """
    size = reduced_size(shape_of(target), LONGER)
    small, known = reduced(target[None], size), reduced(valid[None], size)[0] > 0.99
    turns = [
        quarter * math.pi / 2 + step * TURN_STEP
        for step in range(-round(TURN / TURN_STEP), round(TURN / TURN_STEP) + 1)
    ]
    templates = torch.stack([_turned(small, known, turn) for turn in turns])
    found = together(*(partial(_peaks, templates, turns, rung) for rung in rungs))
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


def _peaks(templates: Tensor, turns: list[float], rung: Rung) -> list[Candidate]:
    """Return the highest peaks of the correlation at one field of view."""
    side, (height, width) = templates.shape[-1], rung.size
    margin = side * 3 // 8
    reach = height + 2 * margin - side + 1, width + 2 * margin - side + 1
    if min(reach) < 1:
        return []

    def slid(spectrum: Tensor) -> Tensor:
        surface: Tensor = torch.fft.irfft2(spectrum, s=rung.frame)
        return surface[..., : reach[0], : reach[1]]

    parts = torch.stack((templates.real, templates.imag), 1)
    found = slid((rung.spectra * torch.fft.rfft2(parts, s=rung.frame).conj()).sum(1))
    middle = (templates[len(templates) // 2].abs() > 0).float()
    near = slid(rung.energy * torch.fft.rfft2(middle, s=rung.frame).conj())
    typical = max(rung.typical * float(middle.sum()), 1e-12)
    strength = templates.abs().square().sum((1, 2)).clamp_min(1e-12)
    found = found / (near.clamp_min(LEAST_ENERGY * typical) * strength[:, None, None]).sqrt()
    surface, entries = found.max(0)
    peaks = F.max_pool2d(surface[None], 5, 1, 2)[0] == surface
    scores, places = torch.where(peaks, surface, -1.0).flatten().topk(min(PER_FIELD, peaks.numel()))
    made = []
    for score, place in zip(scores.tolist(), places.tolist(), strict=True):
        row, column = divmod(place, reach[1])
        x, y = ((at - margin + side / 2) / n for at, n in ((column, width), (row, height)))
        made.append(Candidate(score, rung.field, turns[int(entries[row, column])], x, y))
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
