"""How the target was made: its kernel and its noise, as they are given or found in the pair."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmsr.operators.kernels import check_kernel
from cmsr.operators.resampling import Kernel, resampler, shape_of
from cmsr.pair import Pair
from cmsr.sensor.jpeg_error import compression_error
from cmsr.sensor.kernel_choice import STANDARD, KernelEstimate, unknown, usual
from cmsr.sensor.kernel_file import is_kernel_file, read_kernel
from cmsr.sensor.kernel_search import find_kernel
from cmsr.sensor.noise import noise_level

WHITE_SHARE = 0.7
"""White noise that the error of compression counts as, per unit: more of it is in fine detail,
which the kernel let little of through in the first place."""

MOST_RIVALS = 3
"""Kernels that are named at most beside the one that is assumed."""


@dataclass(frozen=True)
class Imaging:
    """The steps between the scene and the target.

    Attributes
    ----------
    kernel : str or PointSpread
        How much of the scene each pixel gathers.
    noise : tuple of float
        Standard deviation of the noise of each channel, in the pair's normalised units.
    confidence : float
        How sure the kernel is, 0 to 1.
    notes : tuple of str
        What the user should know of it.
    """

    kernel: Kernel
    noise: tuple[float, ...]
    confidence: float = 1.0
    notes: tuple[str, ...] = ()


def named_kernel(name: str) -> Kernel | None:
    """Return the kernel that the option names; None means it is to be found.

    Raises
    ------
    InputError
        If a kernel file cannot be used.
    OptionError
        If there is no such kernel.
    """
    if name == "auto":
        return None
    if is_kernel_file(name):
        return read_kernel(name)
    check_kernel(name)
    return name


def imaging_of(pair: Pair, kernel: Kernel | None) -> Imaging:
    """Estimate the noise of a pair's target, and its kernel where none is given."""
    compressed = _compression(pair)
    noise = tuple(
        math.hypot(measured, WHITE_SHARE * error)
        for measured, error in zip(_noise(pair), compressed, strict=True)
    )
    notes: tuple[str, ...] = ()
    if any(compressed):
        errors = ", ".join(f"{e:.2g}" for e in compressed * pair.scale.ravel())
        notes = (f"the target was compressed as JPEG; estimated error: {errors}",)
    if kernel is not None:
        return Imaging(kernel, noise, notes=notes)
    first = int(np.flatnonzero(pair.scale)[0]) if pair.scale.any() else 0
    guide = None if pair.guide is None else pair.guide[0].cpu().numpy()
    y, valid = pair.target[0, first].cpu().numpy(), pair.measured(first).cpu().numpy()
    level = math.hypot(noise[first], pair.rounding(first))
    finding = find_kernel(y, valid, guide, pair.ratio, level, pair.camera)
    notes = (*notes, *_notes(finding, pair.camera))
    return Imaging(finding.kernel, noise, finding.confidence, notes)


def _notes(finding: KernelEstimate, camera: bool) -> list[str]:
    """Say what was found, where it is not the usual kernel or not the only one that may be."""
    notes, assumed = [], usual(camera)
    if finding == unknown(camera):
        notes.append(f"the kernel cannot be told from the target; {assumed} is assumed")
    elif finding.kernel != STANDARD:
        notes.append(
            f"estimated kernel: {finding.kernel}, not the usual {STANDARD} "
            f"(confidence {finding.confidence:.2f}); --kernel {STANDARD} overrides this"
        )
    if finding.rivals:
        others = " or ".join(finding.rivals[:MOST_RIVALS])
        notes.append(f"kernel {finding.kernel} is assumed; {others} would fit about as well")
    return notes


def _compression(pair: Pair) -> npt.NDArray[np.float64]:
    """Return the error that JPEG made in each channel, (C,); 0 in what never was one."""
    scale = pair.scale.ravel()
    if pair.dtype != np.uint8 or pair.trend is not None:
        return np.zeros(len(scale))
    counts = pair.target[0].cpu().double().numpy() * pair.scale + pair.offset
    errors = [
        compression_error(np.rint(channel), pair.measured(number).cpu().numpy())
        for number, channel in enumerate(counts)
    ]
    return np.divide(errors, scale, out=np.zeros(len(scale)), where=scale > 0)


def _noise(pair: Pair) -> tuple[float, ...]:
    guide = None
    if pair.guide is not None:
        reduce = resampler(pair.shape, shape_of(pair.target), device=str(pair.guide.device))
        guide = reduce(pair.guide)[0].cpu().double().numpy()
    return tuple(
        noise_level(y, pair.measured(number).cpu(), guide)
        for number, y in enumerate(pair.target[0].cpu())
    )
