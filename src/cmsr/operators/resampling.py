"""The imaging operator: how a high-resolution image becomes a low-resolution one, and back.

Convention, used everywhere in this package: pixel ``i`` covers the interval [i, i + 1) and its
centre lies at i + 0.5. Two grids of n and N pixels cover the same area, so the centre of pixel
``i`` of the first lies at coordinate (i + 0.5) · N / n of the second. Beyond the border an image
continues as its mirror image (half-sample symmetric).

Every operator is linear, ``y = rows @ x @ colsᵀ`` with small dense matrices or, for a user's own
kernel, a sum of a few of these, so its transpose is exact. Ratios are real numbers and may differ
per axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.banded import left_product, right_product, transposed
from cmsr.operators.conjugate_gradients import conjugate_gradients
from cmsr.operators.kernels import Array, spread, weights
from cmsr.operators.point_spread import PointSpread

Kernel = str | PointSpread
Shape = tuple[int, int]
Box = tuple[int, int, int, int]

CONSISTENCY = 1e-4
"""Damping of `project`: agreement to about 1 % of what there was to correct."""

SMOOTHNESS = 0.3
"""Width of the Gaussian by which `Resampler.solve` spreads, in pixels of the smaller grid."""

SOLVER_STEPS = 25
"""Steps of conjugate gradients at most, where a kernel is a sum of separable ones."""


@dataclass(frozen=True)
class Resampler:
    """A separable linear map between two grids that cover the same area.

    Attributes
    ----------
    rows : Tensor, shape (h, H)
        Weights along the vertical axis.
    cols : Tensor, shape (w, W)
        Weights along the horizontal axis.
    """

    rows: Tensor
    cols: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., H, W) to (..., h, w)."""
        return right_product(left_product(self.rows, x), self.cols)

    def transpose(self, y: Tensor) -> Tensor:
        """Map (..., h, w) to (..., H, W) by the exact transpose."""
        return left_product(transposed(self.rows), right_product(y, transposed(self.cols)))

    def after(self, first: Resampler) -> Resampler:
        """Return the map that applies ``first``, a single separable map, and then this one."""
        return Resampler(self.rows @ first.rows, self.cols @ first.cols)

    def before(self, last: Resampler) -> Resampler:
        """Return the map that applies this one and then ``last``, a single separable map."""
        return Resampler(last.rows @ self.rows, last.cols @ self.cols)

    def solve(self, y: Tensor, noise: float = 0.0) -> Tensor:
        """Map (..., h, w) to (..., H, W) by S Rᵀ (R S Rᵀ + noise)⁻¹, S a narrow Gaussian.

        That is an image that R takes to ``y``, nearly so where ``noise`` is above 0: the smallest
        in the norm of S⁻¹, so that what is added has no grain of R's sampling grid.
        """
        rows, cols = self._spectra
        part = self._divided(y, noise)
        return left_product(rows.back, right_product(part, cols.back))

    def _divided(self, y: Tensor, noise: float) -> Tensor:
        """Apply (R S Rᵀ + noise)⁻¹ of the separable map to (..., h, w)."""
        rows, cols = self._spectra
        part = (rows.vectors.mT @ y @ cols.vectors) / (rows.values[:, None] * cols.values + noise)
        return rows.vectors @ part @ cols.vectors.mT

    @cached_property
    def _spectra(self) -> tuple[_Spectrum, _Spectrum]:
        """Factors of both axes for `solve`."""
        return _Spectrum.of(self.rows), _Spectrum.of(self.cols)


class _Spectrum(NamedTuple):
    """Eigenvalues and eigenvectors of R S Rᵀ along one axis, and S Rᵀ."""

    values: Tensor
    vectors: Tensor
    back: Tensor

    @classmethod
    def of(cls, matrix: Tensor) -> Self:
        width = SMOOTHNESS * matrix.shape[1] / matrix.shape[0]
        reach = math.ceil(4 * width)
        place = torch.arange(-reach, reach + 1, device=matrix.device, dtype=torch.float64)
        smooth = torch.exp(-((place / width) ** 2) / 2)
        smooth = (smooth / smooth.sum())[None, None]
        back = F.conv1d(matrix.double()[:, None], smooth, padding=reach)[:, 0].mT
        values, vectors = torch.linalg.eigh(matrix.double() @ back)
        values = values.clamp(min=values[-1] * 1e-6)
        return cls(values.to(matrix), vectors.to(matrix), back.to(matrix))


@dataclass(frozen=True)
class ResamplerSum(Resampler):
    """A linear map that is a sum of separable ones; ``rows`` and ``cols`` are the strongest.

    Attributes
    ----------
    others : tuple of Resampler
        The other terms.
    """

    others: tuple[Resampler, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., H, W) to (..., h, w)."""
        return sum((term(x) for term in self.others), super().__call__(x))

    def transpose(self, y: Tensor) -> Tensor:
        """Map (..., h, w) to (..., H, W) by the exact transpose."""
        return sum((term.transpose(y) for term in self.others), super().transpose(y))

    def after(self, first: Resampler) -> ResamplerSum:
        """Return the map that applies ``first``, a single separable map, and then this one."""
        strongest = super().after(first)
        others = tuple(term.after(first) for term in self.others)
        return ResamplerSum(strongest.rows, strongest.cols, others)

    def before(self, last: Resampler) -> ResamplerSum:
        """Return the map that applies this one and then ``last``, a single separable map."""
        strongest = super().before(last)
        others = tuple(term.before(last) for term in self.others)
        return ResamplerSum(strongest.rows, strongest.cols, others)

    def solve(self, y: Tensor, noise: float = 0.0) -> Tensor:
        """Map (..., h, w) to (..., H, W) by Rᵀ (R Rᵀ + noise)⁻¹, by conjugate gradients."""
        dual = conjugate_gradients(
            lambda x: self(self.transpose(x)) + noise * x,
            y,
            SOLVER_STEPS,
            precondition=lambda residual: self._divided(residual, max(noise, CONSISTENCY)),
            enough=1e-6,
        )
        return self.transpose(dual)


@dataclass(frozen=True)
class Window:
    """A part of two grids that cover the same area: boxes (top, left, bottom, right) of each.

    Attributes
    ----------
    source, out : Box
        In pixels of the grid that is read, and of the one that is made.
    """

    source: Box
    out: Box

    def axis(self, axis: int) -> tuple[int, int, int, int]:
        """Return where both begin and end along an axis: of the source, of the outcome."""
        return self.source[axis], self.source[axis + 2], self.out[axis], self.out[axis + 2]


@lru_cache(maxsize=256)
def resampler(
    source: Shape,
    out: Shape,
    kernel: Kernel = "bicubic",
    device: str = "cpu",
    window: Window | None = None,
) -> Resampler:
    """Build the map from a grid of shape ``source`` to one of shape ``out``, or a part of it.

    Parameters
    ----------
    source, out : (int, int)
        Heights and widths; both grids cover the same area.
    kernel : str or PointSpread
        The user's own, or one of `KERNELS`, with one of `PHASES` or none. ``bicubic`` (Keys,
        a = −0.5), ``bilinear`` and ``box`` are stretched by the ratio when they reduce, which
        suppresses aliasing; ``bicubic-plain``, ``bilinear-plain`` and ``nearest`` are not.
        ``gaussian:SIGMA`` is a point-spread function with its standard deviation in pixels of the
        larger grid.
    device : str
        Where the matrices live.
    window : Window, optional
        Map one box of the source to one of the outcome only. Inside, the weights are those of the
        whole; those beyond the box of the source are mirrored into it.

    Raises
    ------
    OptionError
        If the kernel is not one of `KERNELS`.
    """
    parts = [None, None] if window is None else [window.axis(0), window.axis(1)]

    def term(matrices: Iterable[Array]) -> Resampler:
        rows, cols = (torch.from_numpy(m).to(device, torch.float32) for m in matrices)
        return Resampler(rows, cols)

    sides = list(zip(source, out, parts, strict=True))
    if isinstance(kernel, str):
        return term(weights(n, m, kernel, part=part) for n, m, part in sides)
    first, *others = (
        term(spread(n, m, line, part) for (n, m, part), line in zip(sides, taps, strict=True))
        for taps in kernel.terms
    )
    return ResamplerSum(first.rows, first.cols, tuple(others)) if others else first


def back_project(
    x: Tensor,
    y: Tensor,
    reduce: Resampler,
    valid: Tensor | None = None,
    *,
    iterations: int,
) -> Tensor:
    """Pull ``x`` towards the images that ``reduce`` takes to ``y`` (Irani & Peleg, 1991).

    Parameters
    ----------
    x : Tensor, shape (..., H, W)
        High-resolution estimate.
    y : Tensor, shape (..., h, w)
        Low-resolution measurement.
    reduce : Resampler
        The imaging operator, (H, W) to (h, w).
    valid : Tensor, shape (..., h, w), optional
        1 where ``y`` was measured, 0 where it was not: nothing is pulled there.
    iterations : int
        Each adds the bicubically enlarged residual to the estimate.
    """
    enlarge = resampler(shape_of(y), shape_of(x), "bicubic", str(x.device))
    for _ in range(iterations):
        residual = y - reduce(x)
        x = x + enlarge(residual if valid is None else residual * valid)
    return x


def project(
    x: Tensor, y: Tensor, reduce: Resampler, valid: Tensor, noise: float = CONSISTENCY
) -> Tensor:
    """Return ``x`` with the smoothest change that makes ``reduce`` take it to ``y``, in one step.

    Parameters are those of `back_project`, whose limit it is but for holes: there the residual
    counts as zero. ``noise`` above 0 lets the result stay off ``y`` by so much of the residual's
    weakest parts.
    """
    return x + reduce.solve((y - reduce(x)) * valid, noise)


def shape_of(x: Tensor) -> Shape:
    """Height and width of (..., H, W)."""
    return x.shape[-2], x.shape[-1]
