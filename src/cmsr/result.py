"""The results of `cmsr.upscale` and `cmsr.align`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from cmsr.io.raster import Raster
    from cmsr.operators.resampling import Kernel
    from cmsr.registration.alignment import Alignment


NEARLY = 0.05
"""Weight below which a guide counts as not used; a twentieth of its detail is hardly seen."""


@dataclass(frozen=True)
class Evidence:
    """Input and residual of one run: what its result is judged by.

    Attributes
    ----------
    target : Raster
        The target as it was read, (C, h, w), with its unit.
    guide : array of float32, shape (H, W) or (H, W, 3), or None
        The guide as it was given, before it was moved, in [0, 1].
    residual : array of float64, shape (C, h, w)
        Target minus the result reduced by the kernel, before the result was rounded to its type;
        in the target's stored units, NaN in its holes.
    kernel : str or PointSpread
        The imaging kernel.
    alignment : Alignment or None
        Where the guide was found; None without one.
    """

    target: Raster
    guide: npt.NDArray[np.float32] | None
    residual: npt.NDArray[np.float64]
    kernel: Kernel
    alignment: Alignment | None


@dataclass(frozen=True)
class Result:
    """The sharpened target and how it came about.

    Attributes
    ----------
    image : array, shape (H, W) or (H, W, C)
        In the target's type and units; holes are NaN or the file's nodata value. A DataArray, as
        ``valid`` and ``guide_weight`` are, where the target is one.
    valid : array of bool, shape (H, W)
        False in the holes.
    guide_weight : array of float, shape (H, W)
        How far the guide counted, 0 to 1.
    error : array of float32, shape (H, W) or (H, W, C), or None
        Expected absolute error of each pixel of the image, in the target's unit, see
        `cmsr.guided.expected_error`; NaN in holes. None with preset ``paper``.
    warped_guide : array of float, shape (H, W) or (H, W, 3), or None
        The guide as it was used, in [0, 1].
    history : dict of lists
        Loss and learning rate at each training step.
    info : dict
        Ratio, kernel and how sure that is, prior that was learned from other images, noise of each
        channel in the target's units, alignment, seed, preset, seconds, notes, warnings: what a
        record of the run needs.
    evidence : Evidence or None
        What the result is judged by: input, guide as given, residual; None where it is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import cmsr
    >>> result = cmsr.upscale(np.eye(8, dtype=np.float32), ratio=2, preset="fast")
    >>> result.image.shape, result.image.dtype.name, float(result.guide_weight.max())
    ((16, 16), 'float32', 0.0)
    """

    image: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]
    guide_weight: npt.NDArray[np.float32]
    error: npt.NDArray[np.float32] | None
    warped_guide: npt.NDArray[np.float32] | None
    history: dict[str, list[float]]
    info: dict[str, Any] = field(default_factory=dict)
    evidence: Evidence | None = None

    def _repr_html_(self) -> str | None:
        """Show before and after in a notebook."""
        from cmsr.app.report.notebook import framed_slider
        from cmsr.io.data_arrays import plain

        if self.evidence is None:
            return None
        image, valid = (plain(values, self.valid) for values in (self.image, self.valid))
        return framed_slider(self.evidence.target, image, valid)


@dataclass(frozen=True)
class Registered:
    """A guide registered to a target.

    Attributes
    ----------
    guide : array, shape (H, W) or (H, W, C)
        The guide moved, in its own type, alpha included; where it does not reach, its border.
    valid : array of bool, shape (H, W)
        Where the guide reaches.
    displacement : array of float32, shape (H, W, 2)
        How far right and down of each pixel the guide was read, in its pixels.
    overlay : array of uint8, shape (H, W, 3)
        Target and moved guide in a checkerboard; over it, what `draw_segments` draws.
    info : dict
        Warps with their parameters, confidence, warnings, seconds.
    """

    guide: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]
    displacement: npt.NDArray[np.float32]
    overlay: npt.NDArray[np.uint8]
    info: dict[str, Any]
