"""Methods without learning: interpolation, back-projection, total variation, the guided filter."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.io.raster import Raster, fill_holes, fitted
from cmsr.operators.resampling import Kernel, Resampler, back_project, resampler, shape_of
from cmsr.pair import Pair
from cmsr.priors.guide_edges import GuidedFilter
from cmsr.priors.sparse_blocks import total_variation
from cmsr.sensor.imaging import imaging_of, named_kernel

BACK_PROJECTIONS = 10
"""Rounds of back-projection after interpolation and after the guided filter."""

TV_ROUNDS, TV_WEIGHTS, TV_STEPS, TV_BACK_PROJECTIONS = 12, (0.04, 0.01), 30, 4
"""Rounds; weight of the variation in the first and last, in units of the target's range; dual steps
and back-projections in each. Set by hand, not fitted: the weights fall, as in
`cmsr.priors.sparse_blocks`, over the range that a single weight would be searched in."""

RADIUS, RIDGE = 1, 1e-4
"""The guided filter's window, in target pixels, and its ε, for a guide in [0, 1]. Set by hand: the
least window, and an ε of noise of 0.01."""


def bicubic(target: Raster, shape: tuple[int, int]) -> np.ndarray[tuple[int, int, int], np.dtype]:
    """Enlarge a target's values as any image program does: zeros count as values, NaN is filled."""
    known = np.isfinite(target.data).all(axis=0)
    values = fill_holes(np.where(known, target.data, 0).astype(np.float64), known)
    enlarge = resampler(target.shape, shape)
    large = enlarge.rows.double() @ torch.from_numpy(values) @ enlarge.cols.double().mT
    return fitted(large.numpy(), target.data.dtype).astype(target.data.dtype)


def bicubic_projected(pair: Pair, config: Config) -> Tensor:
    """Bicubic interpolation, then back-projection (Irani & Peleg, 1991)."""
    return _projected(_enlarged(pair), pair, _operator(pair, config), BACK_PROJECTIONS)


def tv(pair: Pair, config: Config) -> Tensor:
    """Total variation (Chambolle, 2004) alternated with back-projection; no guide."""
    x, reduce = _enlarged(pair), _operator(pair, config)
    for weight in np.geomspace(*TV_WEIGHTS, TV_ROUNDS):
        x = _projected(total_variation(x, weight, TV_STEPS), pair, reduce, TV_BACK_PROJECTIONS)
    return x


def guided_filter(pair: Pair, config: Config) -> Tensor:
    """Colour guided filter with coefficients at low resolution, then back-projection.

    K. He, J. Sun, "Fast Guided Filter", arXiv 1505.00996: the coefficients are found between the
    target and the reduced guide, enlarged, and applied to the guide. Radius and ε are fixed.
    """
    reduce = _operator(pair, config)
    low, enlarge = shape_of(pair.target), _enlarger(pair)
    small = resampler(pair.shape, low, device=str(pair.target.device))(pair.photo)
    coefficients = GuidedFilter(small, RADIUS, RIDGE).coefficients
    channels = [coefficients(y) for y in pair.target[0]]
    images = [(enlarge(c[:-1]) * pair.photo).sum(0) + enlarge(c[-1]) for c in channels]
    return _projected(torch.stack(images)[None], pair, reduce, BACK_PROJECTIONS)


def _enlarger(pair: Pair) -> Resampler:
    return resampler(shape_of(pair.target), pair.shape, device=str(pair.target.device))


def _enlarged(pair: Pair) -> Tensor:
    return _enlarger(pair)(pair.target)


def kernel_of(pair: Pair, config: Config) -> Kernel:
    """Return the imaging kernel, given or estimated as in `cmsr.upscale`."""
    return imaging_of(pair, named_kernel(config.kernel)).kernel


def _operator(pair: Pair, config: Config) -> Resampler:
    shapes = pair.shape, shape_of(pair.target)
    return resampler(*shapes, kernel_of(pair, config), str(pair.target.device))


def _projected(x: Tensor, pair: Pair, reduce: Resampler, iterations: int) -> Tensor:
    return back_project(x, pair.target, reduce, pair.valid, iterations=iterations)
