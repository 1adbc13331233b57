"""What a result is judged by: what went in, and how well the result explains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from cmsr.io.raster import Raster
from cmsr.operators.resampling import Kernel, resampler, shape_of
from cmsr.pair import Pair
from cmsr.registration.alignment import Alignment
from cmsr.sensor.imaging import Imaging
from cmsr.solution import Solution


@dataclass(frozen=True)
class Evidence:
    """Input and residual of one run.

    Attributes
    ----------
    target : Raster
        The target as it was read, (C, h, w), with its unit.
    guide : array of float32, shape (H, W) or (H, W, 3), or None
        The guide as it was given, before it was moved, in [0, 1].
    residual : array of float32, shape (C, h, w)
        Target minus the result reduced by the kernel, before the result was rounded to its type;
        in the target's stored units, NaN in its holes.
    kernel : str or PointSpread
        The imaging kernel.
    alignment : Alignment or None
        Where the guide was found; None without one.
    """

    target: Raster
    guide: npt.NDArray[np.float32] | None
    residual: npt.NDArray[np.float32]
    kernel: Kernel
    alignment: Alignment | None

    @classmethod
    def of(cls, target: Raster, pair: Pair, imaging: Imaging, solution: Solution) -> Self:
        """Gather it from what a run computes with."""
        low = shape_of(pair.target)
        reduce = resampler(pair.shape, low, imaging.kernel, str(solution.image.device))
        misfit = (pair.target - reduce(solution.image))[0].cpu().numpy()
        holes = ~pair.valid[0, 0].bool().cpu().numpy()
        misfit = np.where(holes, np.float32("nan"), misfit * pair.scale.astype(np.float32))
        guide = picture(pair.guide)
        return cls(target, guide, misfit, imaging.kernel, solution.alignment)


def picture(guide: torch.Tensor | None) -> npt.NDArray[np.float32] | None:
    """Return a guide (1, G, H, W) as (H, W) or (H, W, 3), or None."""
    if guide is None:
        return None
    channels = guide[0].cpu().numpy()
    return np.asarray(channels[0] if len(channels) == 1 else np.moveaxis(channels, 0, -1))
