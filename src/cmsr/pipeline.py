"""The whole method: read, train, infer, give back in the input's units."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cmsr import series
from cmsr.config import Config
from cmsr.errors import OptionError
from cmsr.evidence import Evidence, picture
from cmsr.guided import solve as closed_form
from cmsr.io.inputs import Source, check_size, read_pair, read_segments
from cmsr.operators.resampling import Kernel
from cmsr.pair import Pair
from cmsr.parallel import no_denormals
from cmsr.sensor.imaging import Imaging, imaging_of, named_kernel
from cmsr.solution import Solution
from cmsr.two_branch import solve as two_branch
from cmsr.two_branch.train import Progress


@dataclass(frozen=True)
class Result:
    """The sharpened target and how it came about.

    Attributes
    ----------
    image : array, shape (H, W) or (H, W, C)
        In the target's type and units; holes are NaN or the file's nodata value.
    valid : array of bool, shape (H, W)
        False in the holes.
    guide_weight : array of float, shape (H, W)
        How far the guide was trusted, 0 to 1.
    warped_guide : array of float, shape (H, W) or (H, W, 3), or None
        The guide as it was used, in [0, 1].
    history : dict of lists
        Loss and learning rate at each training step.
    info : dict
        Ratio, kernel and how sure that is, noise of each channel in the target's units, alignment,
        seed, preset, seconds, notes, warnings: what a record of the run needs.
    evidence : Evidence or None
        What the result is judged by: input, guide as given, residual; None where it is unknown.
    """

    image: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]
    guide_weight: npt.NDArray[np.float32]
    warped_guide: npt.NDArray[np.float32] | None
    history: dict[str, list[float]]
    info: dict[str, Any] = field(default_factory=dict)
    evidence: Evidence | None = None

    def _repr_html_(self) -> str | None:
        """Show before and after in a notebook."""
        from cmsr.app.report.notebook import framed_slider

        if self.evidence is None:
            return None
        return framed_slider(self.evidence.target, self.image, self.valid)


def upscale(
    target: Source,
    guide: Source | None = None,
    *,
    preset: str = "default",
    seed: int = 0,
    progress: Progress | None = None,
    previous: Mapping[str, Any] | None = None,
    **options: Any,
) -> Result:
    """Bring one image to the resolution of a guide, learning from this pair alone.

    Parameters
    ----------
    target : path or array, shape (H, W) or (H, W, C)
        Low-resolution image of any sensor; NaN and nodata are holes.
    guide : path or array, shape (rH, rW) or (rH, rW, 3), optional
        Photo of the same scene; without one, ``ratio=`` says how much to enlarge.
    preset : {"default", "fast", "paper"}
        Starting point for all other options.
    seed : int
        The same seed gives the same result, to the byte.
    progress : callable, optional
        Told the stage, step, number of steps and loss.
    previous : mapping, optional
        `Result.info` of the frame before, in a series of one camera, or an empty one for the
        first: kernel and place of the guide are taken over as far as they hold for this frame.
    **options
        Any other field of `Config`.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        If an image cannot be used.
    OptionError
        If an option has no such value.

    References
    ----------
    G. Shacht, D. Danon, S. Fogel, D. Cohen-Or, "Single Pair Cross-Modality Super Resolution",
    CVPR 2021.
    """
    started = time.perf_counter()
    config = Config.of(preset, seed=seed, **options)
    device, kernel = _device(config.device), named_kernel(config.kernel)
    raster, photo, read_notes = read_pair(target, guide, config)
    labels = read_segments(photo, config)
    pair = Pair.of(raster, photo, config.ratio, fill=config.fill, segments=labels).to(device)
    check_size(raster, pair.shape, config)
    imaging, solution, place = _settle(pair, kernel, config, progress, previous)
    stacked = pair.denormalise(solution.image)
    return Result(
        image=stacked[0] if raster.flat else np.moveaxis(stacked, 0, -1),
        valid=pair.valid_at_output(),
        guide_weight=solution.guide_weight.cpu().numpy(),
        warped_guide=picture(solution.guide),
        history=solution.history,
        info={
            "preset": config.preset,
            "seed": config.seed,
            "ratio": pair.ratio,
            "kernel": str(imaging.kernel),
            "kernel_confidence": imaging.confidence,
            "noise": [float(n) for n in np.multiply(imaging.noise, pair.scale.ravel())],
            "alignment": solution.alignment.facts() if solution.alignment else None,
            "device": device,
            "seconds": time.perf_counter() - started,
            "notes": [*read_notes, *pair.notes, *imaging.notes],
            "size": list(pair.shape),
            "guide_weight": float(solution.guide_weight.mean()),
            "warnings": list(solution.alignment.warnings) if solution.alignment else [],
            **({} if previous is None else {"series": series.told(pair, solution, place)}),
        },
        evidence=Evidence.of(raster, pair, imaging, solution),
    )


def _settle(
    pair: Pair,
    kernel: Kernel | None,
    config: Config,
    progress: Progress | None,
    previous: Mapping[str, Any] | None,
) -> tuple[Imaging, Solution, dict[str, Any] | None]:
    """Go on from the frame before where that holds, else begin afresh.

    Returned last is what `series.told` is to know of the guide's place.
    """
    before = series.Before.of(previous, pair) if previous and not pair.blank else None
    if before is not None:
        imaging = imaging_of(pair, kernel or before.kernel)
        if pair.guide is None or config.method != "closed-form":
            return imaging, _solve(pair, imaging, config, progress), {}
        with no_denormals():
            frame = series.go_on(pair, imaging, config, before)
        if frame is not None:
            return imaging, *frame
    imaging = imaging_of(pair, kernel)
    return imaging, _solve(pair, imaging, config, progress), None


def _solve(pair: Pair, imaging: Imaging, config: Config, progress: Progress | None) -> Solution:
    """Do it by the method that the options name."""
    if pair.blank:
        blank = pair.target.new_zeros((1, pair.target.shape[1], *pair.shape))
        return Solution(blank, blank[0, 0], pair.guide)
    with no_denormals():
        if config.method == "closed-form":
            return closed_form.solve(pair, imaging, config)
        return two_branch.solve(pair, imaging.kernel, config, progress)


def _device(name: str) -> str:
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise OptionError("device is 'cuda', but no CUDA GPU is available; choose cpu or auto")
    return "cuda" if available and name != "cpu" else "cpu"
