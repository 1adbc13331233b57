"""One run: a pair read, calibrated once, its result made row by row or at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmsr.guided import continuation
from cmsr.guided.calibrate import calibrate, find_alignment
from cmsr.guided.calibration import Calibrated, Calibration, ChannelCalibration
from cmsr.guided.error_tally import ErrorTally
from cmsr.guided.solve import Rows, TileMaker, rows
from cmsr.guided.source import Source
from cmsr.guided.usage import GuideUsage
from cmsr.io.result_size import check_size, gigabytes
from cmsr.operators.resampling import resampler, shape_of
from cmsr.parallel import no_denormals, pooled
from cmsr.priors.learned import named_prior
from cmsr.progress import Progress
from cmsr.prologue import Opened
from cmsr.registration.alignment import Alignment
from cmsr.registration.view import colours
from cmsr.result import Evidence, Result
from cmsr.sensor.imaging import Imaging, imaging_of
from cmsr.two_branch import solve as two_branch


class Run:
    """One upscaling.

    Parameters
    ----------
    pair : Opened
        What to upscale.
    previous : mapping, optional
        `Result.info` of the frame before, in a series, or an empty one for the first.
    progress : callable, optional
        Told the stage, step, number of steps and loss.
    maker : callable, optional
        Makes the tiles elsewhere.
    """

    def __init__(
        self,
        pair: Opened,
        previous: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
        maker: TileMaker | None = None,
    ) -> None:
        self.opened, self._previous, self._progress = pair, previous, progress
        self._maker = maker
        self.history: dict[str, list[float]] = {}
        self.alignment: Alignment | None = None
        self.imaging = Imaging("bicubic", (0.0,) * pair.pair.target.shape[1])
        self._series: dict[str, Any] = {}
        self._channels: tuple[ChannelCalibration, ...] = ()
        self._usage, self._errors = GuideUsage(), ErrorTally()
        self._arms: list[dict[str, Any]] = []

    def rows(self) -> Iterator[Rows]:
        """Make the result from top to bottom.

        All but the published network is computed by one thread a task: the bytes do not depend on
        how many cores there are, nor on the memory.
        """
        pair, config = self.opened.pair, self.opened.config
        made: Iterator[Rows]
        if pair.blank:
            made = iter([self._blank()])
        elif config.method == "two-branch":
            made = iter([self._by_network()])
        else:
            made = self._by_tiles()
        for some in made:
            self._usage = self._usage.adding(some.weight)
            self._errors.add(self.expected_error(some))
            yield some

    def _blank(self) -> Rows:
        """Return a result in which there is nothing to sharpen."""
        pair = self.opened.pair
        if self.opened.kernel is not None:
            self.imaging = Imaging(self.opened.kernel, self.imaging.noise)
        empty = pair.target.new_zeros((pair.target.shape[1], *pair.shape))
        return Rows(0, empty, empty[0], empty)

    def _by_network(self) -> Rows:
        """Train and apply the published network."""
        whole = self.opened.whole
        self.imaging = imaging_of(whole, self.opened.kernel)
        config = self.opened.config
        found = None
        if config.warps != "learned":
            found = pooled(lambda: find_alignment(self.opened.source, self.imaging))
        with no_denormals():
            solution = two_branch.solve(whole, self.imaging.kernel, config, self._progress, found)
        self.alignment, self.history = solution.alignment, solution.history
        self._arms = solution.arms
        return Rows(0, solution.image[0], solution.guide_weight)

    def _by_tiles(self) -> Iterator[Rows]:
        source = self.opened.source
        found = pooled(lambda: self._calibrated(source))
        calibration = found.calibration
        self.imaging, self.alignment = calibration.imaging, calibration.alignment
        self._channels = calibration.channels
        if self._previous is not None:
            self._series = {
                "afresh": not calibration.continued,
                "calibration": calibration.to_json(),
            }
        at_once = tiles_at_once(source)
        yield from rows(source, calibration, found.samples, self._progress, at_once, self._maker)

    def _calibrated(self, source: Source) -> Calibrated:
        """Go on from the frame before where that holds, else begin afresh."""
        before = _calibration_in(self._previous)
        if before is not None and continuation.usable(before, source):
            found = continuation.continued(source, self.opened.kernel, before)
            if found is not None:
                return found
        return calibrate(source, self.opened.kernel, self._progress)

    def stored(self, some: Rows) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Return rows in the target's units and type, (C, n, W), and where they are valid."""
        pair = self.opened.pair
        valid = pair.valid_at_output(some.first, some.image.shape[1])
        return pair.denormalise(some.image, some.first), valid

    def expected_error(self, some: Rows) -> npt.NDArray[np.float32] | None:
        """Return the expected error of rows in the target's unit, (C, n, W); NaN in holes."""
        if some.error is None:
            return None
        pair, target = self.opened.pair, self.opened.target
        units, rounding = (
            np.reshape([each(channel) for channel in range(len(some.error))], (-1, 1, 1))
            for each in (lambda channel: abs(target.unit(channel)[0]), pair.rounding)
        )
        error = np.hypot(some.error.cpu().double().numpy(), rounding) * pair.scale * units
        error = np.minimum(error, np.finfo(np.float32).max)
        measured = pair.measured_at_output(some.first, error.shape[1])
        return np.where(measured, error, np.nan).astype(np.float32)

    def info(self) -> dict[str, Any]:
        """Return what `Result.info` holds, once all rows are made."""
        made, config, pair = self.opened, self.opened.config, self.opened.pair
        tiles = len(self.opened.source.plan) if config.method == "closed-form" else 1
        return {
            "preset": config.preset,
            "seed": config.seed,
            "ratio": pair.ratio,
            "kernel": str(self.imaging.kernel),
            "kernel_confidence": self.imaging.confidence,
            "prior": prior.name if (prior := named_prior(config.prior)) else None,
            "noise": [float(n) for n in np.multiply(self.imaging.noise, pair.scale.ravel())],
            "alignment": self.alignment.facts() if self.alignment else None,
            "device": str(pair.target.device.type),
            "seconds": time.perf_counter() - made.started,
            "notes": [*made.notes, *self.imaging.notes],
            "size": list(pair.shape),
            "guide_weight": self._usage.mean,
            "guide_used": self._guide_used(),
            "expected_error": self._errors.facts(self.opened.target.unit()[2]),
            "warnings": self._warnings(),
            **({"camera": camera} if (camera := made.target.profile.get("camera")) else {}),
            **({"windows": tiles} if tiles > 1 else {}),
            **({"arms": self._arms} if self._arms else {}),
            **({"series": self._series} if self._series else {}),
            **({"fused": self._fused()} if self.opened.frames else {}),
        }

    def _guide_used(self) -> dict[str, Any] | None:
        if self.opened.guide is None:
            return None
        return self._usage.facts(self.alignment, self._channels)

    def _fused(self) -> dict[str, Any]:
        """Return which frames took part, in the first channel in which any did."""
        found = [channel.fusion for channel in self._channels if channel.fusion]
        frames = self.opened.frames
        return found[0].facts(frames) if found else {"used": [], "held_out_gain": 0.0}

    def _warnings(self) -> list[str]:
        found = list(self.alignment.warnings) if self.alignment else []
        if self.opened.guide is not None and not self.opened.pair.blank:
            hardly = self._usage.warning(self.alignment, self._channels)
            found += [hardly] if hardly else []
        return found

    def result(self) -> Result:
        """Make the whole result in memory.

        Raises
        ------
        InputError
            If it takes more than ``max_memory``.
        """
        made, pair = self.opened, self.opened.pair
        check_size(made.target, pair.shape, made.config)
        parts = list(self.rows())
        image = torch.cat([part.image for part in parts], 1)
        stored = pair.denormalise(image)
        stored = stored.astype(made.target.profile.get("stored", stored.dtype))
        return Result(
            image=stored[0] if made.target.flat else np.moveaxis(stored, 0, -1),
            valid=pair.valid_at_output(),
            guide_weight=torch.cat([part.weight for part in parts]).cpu().numpy(),
            error=self._error(parts),
            warped_guide=self._warped(),
            history=self.history,
            info=self.info(),
            evidence=self._evidence(image),
        )

    def _error(self, parts: list[Rows]) -> npt.NDArray[np.float32] | None:
        """Return the expected error of all rows, (H, W) or (H, W, C)."""
        found = [error for part in parts if (error := self.expected_error(part)) is not None]
        if not found:
            return None
        error = np.concatenate(found, axis=1)
        return error[0] if self.opened.target.flat else np.moveaxis(error, 0, -1)

    def _warped(self) -> npt.NDArray[np.float32] | None:
        """Return the guide as it was used."""
        source = self.opened.source
        if source.guide is None:
            return None
        alignment = None if self.alignment and self.alignment.refused else self.alignment
        bands = [
            source.registered((top, 0, bottom, source.plan.target[1]), alignment)[0].cpu()
            for top, bottom in source.plan.row_parts()
        ]
        return picture(torch.cat(bands, 1))

    def _evidence(self, image: Tensor) -> Evidence:
        pair, guide = self.opened.pair, self.opened.guide
        reduce = resampler(pair.shape, shape_of(pair.target), self.imaging.kernel)
        misfit = (pair.target[0].cpu() - reduce(image.cpu())).numpy()
        holes = ~pair.valid[0].bool().cpu().numpy()
        misfit = np.where(holes, np.nan, misfit * pair.scale)
        given = None if guide is None else picture(guide.read((0, 0, *guide.shape)).cpu())
        return Evidence(self.opened.target, given, misfit, self.imaging.kernel, self.alignment)


def tiles_at_once(source: Source) -> int:
    """Return how many tiles the memory to plan for allows to be under way."""
    tiles = (tile for band in source.plan.bands() for tile in band)
    largest = max((source.plan.fine(tile.outer) for tile in tiles), key=_area)
    shape = largest[2] - largest[0], largest[3] - largest[1]
    each = gigabytes(shape, source.pair.target.shape[1])
    return max(1, min(2 * torch.get_num_threads(), int(source.config.max_memory / each)))


def _area(box: tuple[int, int, int, int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _calibration_in(info: Mapping[str, Any] | None) -> Calibration | None:
    """Return the calibration in a frame's info; None where there is none that can be read."""
    try:
        return Calibration.of_json(info["series"]["calibration"]) if info else None
    except (KeyError, TypeError, ValueError):
        return None


def picture(guide: Tensor) -> npt.NDArray[np.float32]:
    """Return a guide (G, H, W) as (H, W) or (H, W, 3), in [0, 1]."""
    shown = guide[0] if len(guide) == 1 else colours(guide).movedim(0, -1)
    return np.ascontiguousarray(shown.clamp(0, 1).numpy())
