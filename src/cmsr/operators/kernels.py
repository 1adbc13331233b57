"""Kernels by name, and the weights that they give the input's pixels along one axis.

Some software lays the grids otherwise. The names of kernels then end in a phase: ``-topleft``
where the centres of the first pixels coincide, as in ``x[::4]``, ``-corners`` where those of the
first and of the last pixels do, as in "align corners".
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from cmsr.errors import OptionError

Part = tuple[int, int, int, int]
Array = npt.NDArray[np.float64]

KERNELS = (
    "bicubic",
    "bicubic-plain",
    "bilinear",
    "bilinear-plain",
    "box",
    "nearest",
    "gaussian:SIGMA",
)
PHASES = ("-topleft", "-corners")
"""Endings of a kernel's name where the two grids do not cover the same area."""

_GAUSSIAN = re.compile(r"gaussian:(\d+(?:\.\d*)?|\.\d+)")


def weights(
    n_in: int, n_out: int, kernel: str, offset: float = 0.0, part: Part | None = None
) -> Array:
    """Resampling matrix of shape (n_out, n_in) along one axis; every row sums to one.

    ``offset`` moves where it reads, in input pixels; ``part`` is `Window.axis`, where only a part
    of the matrix is wanted.
    """
    step = n_in / n_out
    name, phase = _split(kernel)
    profile, radius = _profile(name, step)
    centre = _centres(n_in, n_out, phase, part)[:, None] + offset
    tap = np.floor(centre - radius).astype(int) + np.arange(int(2 * radius) + 3)
    distance = tap - centre
    value = np.where(np.abs(distance) <= radius, profile(distance), 0.0)
    return _matrix(n_in, tap, value / value.sum(axis=1, keepdims=True), part)


def spread(
    n_in: int,
    n_out: int,
    taps: tuple[float, ...],
    part: Part | None = None,
    offset: float = 0.0,
) -> Array:
    """Matrix of shape (n_out, n_in) that lays taps over the centres of the output's pixels.

    Taps that fall between two pixels are shared by them linearly: so do those of an odd number at
    an even ratio. ``offset`` moves them, in input pixels.
    """
    first = _centres(n_in, n_out, part=part)[:, None] + offset - (len(taps) - 1) / 2
    below = np.floor(first + 1e-9)
    share = np.maximum(first - below, 0.0)
    value = np.array([*taps, 0.0]) * (1 - share) + np.array([0.0, *taps]) * share
    return _matrix(n_in, below.astype(int) + np.arange(len(taps) + 1), value, part)


def _centres(n_in: int, n_out: int, phase: str = "", part: Part | None = None) -> Array:
    """Where the centres of the output's pixels lie among the input's."""
    i = np.arange(n_out) if part is None else np.arange(part[2], part[3])
    if phase == "-topleft":
        return i * n_in / n_out
    if phase == "-corners":
        return i * (n_in - 1) / max(n_out - 1, 1)
    return (i + 0.5) * n_in / n_out - 0.5


def _matrix(n_in: int, tap: npt.NDArray[np.int_], value: Array, part: Part | None = None) -> Array:
    """Gather values (n_out, taps) at input pixels; beyond the border the image is mirrored."""
    column = _mirrored(tap, n_in)
    if part is not None:
        n_in = part[1] - part[0]
        column = _mirrored(column - part[0], n_in)
    matrix = np.zeros((len(tap), n_in))
    np.add.at(matrix, (np.arange(len(tap))[:, None], column), value)
    return matrix


def _mirrored(place: npt.NDArray[np.int_], length: int) -> npt.NDArray[np.int_]:
    """Fold places on an axis into 0 … length − 1, as in a mirror."""
    place = place % (2 * length)
    return np.where(place < length, place, 2 * length - 1 - place)


def check_kernel(kernel: str) -> None:
    """Raise OptionError unless ``kernel`` names one of `KERNELS`, in one of `PHASES` or none."""
    _profile(_split(kernel)[0], 1.0)


def _split(kernel: str) -> tuple[str, str]:
    """Take a kernel's name and its phase apart."""
    phase = next((phase for phase in PHASES if kernel.endswith(phase)), "")
    return kernel.removesuffix(phase), phase


def _profile(kernel: str, step: float) -> tuple[Callable[[Array], Array], float]:
    """Weight as a function of the distance in input pixels, and the radius of its support."""
    stretch = max(step, 1.0)
    if kernel == "bicubic":
        return lambda t: cubic(t / stretch), 2 * stretch
    if kernel == "bicubic-plain":
        return cubic, 2.0
    if kernel == "bilinear":
        return lambda t: np.maximum(0.0, 1 - np.abs(t) / stretch), stretch
    if kernel == "bilinear-plain":
        return lambda t: np.maximum(0.0, 1 - np.abs(t)), 1.0
    if kernel == "box":
        return lambda t: _overlap(t, step), (step + 1) / 2
    if kernel == "nearest":
        return lambda t: ((t > -0.5) & (t <= 0.5)).astype(float), 0.5
    if match := _GAUSSIAN.fullmatch(kernel):
        sigma = max(float(match[1]) / max(1 / step, 1.0), 1e-3)
        return lambda t: np.exp(-0.5 * (_from_nearest(t) / sigma) ** 2), 4 * sigma + 1
    raise OptionError(
        f"kernel is {kernel!r}; choose auto, a file of weights, or one of {', '.join(KERNELS)}"
    )


def cubic(t: Array) -> Array:
    """Keys' cubic convolution with a = −0.5 (IEEE Trans. ASSP 29(6), 1981, eq. 15)."""
    a = np.abs(t)
    near = (1.5 * a - 2.5) * a * a + 1
    far = ((-0.5 * a + 2.5) * a - 4) * a + 2
    return np.where(a <= 1, near, np.where(a < 2, far, 0.0))


def _overlap(t: Array, step: float) -> Array:
    """Length shared by an input pixel centred at ``t`` and an output pixel of width ``step``."""
    shared: Array = np.minimum(t + 0.5, step / 2) - np.maximum(t - 0.5, -step / 2)
    return np.maximum(shared, 0.0)


def _from_nearest(t: Array) -> Array:
    """Distances, each row lowered by its smallest square, so that narrow Gaussians never vanish."""
    square: Array = t**2
    result: Array = np.sqrt(square - square.min(axis=1, keepdims=True))
    return result
