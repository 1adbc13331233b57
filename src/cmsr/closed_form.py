"""The method without training: solve for the image that the pair explains best."""

from __future__ import annotations

from torch import Tensor

from cmsr.config import Config
from cmsr.degrade import project, resampler
from cmsr.local_linear import estimate
from cmsr.pair import Pair
from cmsr.shrinkage import sharpen


def solve(pair: Pair, kernel: str, config: Config) -> Tensor:
    """Estimate the target at the result's resolution.

    With a guide, the target is taken to be locally linear in its colours; without one, its patches
    are taken to be sparse. Either way the result reduced is the input.

    Parameters
    ----------
    pair : Pair
        The guide is aligned already.
    kernel : str
        The imaging kernel.
    config : Config
        ``solver_iterations``.

    Returns
    -------
    Tensor, shape (1, C, H, W)
        Normalised as the pair's target is.
    """
    low = pair.target.shape[-2], pair.target.shape[-1]
    reduce = resampler(pair.shape, low, kernel, str(pair.target.device))
    x = estimate(
        pair.target,
        reduce,
        pair.valid,
        pair.guide,
        max(pair.ratio),
        iterations=config.solver_iterations,
    )
    if pair.guide is None:
        x = sharpen(x, pair.target, reduce, pair.valid)
    return project(x, pair.target, reduce, pair.valid)
