"""Results too large for memory: the guide is read, and the result written, window by window.

What must be the same for all is settled once, on samples.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rasterio.windows import Window
from torch import Tensor

from cmsr.config import Config
from cmsr.errors import OptionError, OutputError
from cmsr.guided import quick
from cmsr.guided.candidates import FINENESS
from cmsr.guided.held_out import hide
from cmsr.guided.solve import aligned
from cmsr.io import image_files, raster_output
from cmsr.io.atomic import replacing
from cmsr.io.inputs import Source, gigabytes, read_guide
from cmsr.io.raster import Raster
from cmsr.io.raster_io import Grid
from cmsr.operators.resampling import resampler
from cmsr.pair import Pair, guide_span, guide_tensor
from cmsr.parallel import no_denormals, together
from cmsr.registration.alignment import Alignment
from cmsr.registration.transforms import Size, sample
from cmsr.sensor.imaging import Imaging, imaging_of, named_kernel
from cmsr.tiles import Box, Plan, Strip, Tile
from cmsr.two_branch.train import Progress

SIDE = 640
"""Side of a window without its overlap, at most, in pixels of the result."""

ALIGNED_SIDE = 512
"""Longer side of what the alignment is found from, in pixels of the target, at most."""

REACH = 3
"""Pixels beside a place at which a guide is read that take part in the interpolation."""

SAMPLE = 512
"""Side of a sample, of which there are at most four, in pixels of the result."""


def needed(shape: tuple[int, int], channels: int, config: Config) -> bool:
    """Tell whether a result of this shape is more than the memory to plan for holds."""
    return gigabytes(shape, channels) > config.max_memory


def enlarged(shape: tuple[int, int], ratio: float) -> tuple[int, int]:
    """Return the shape of a result without a guide."""
    return round(shape[0] * ratio), round(shape[1] * ratio)


def upscale_to_file(
    target: Raster,
    guide: Callable[[Box], Raster] | None,
    shape: tuple[int, int],
    out: Path,
    config: Config,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Upscale by windows, with the quick method, into a GeoTIFF, whole or not at all.

    Parameters
    ----------
    target : Raster
        Prepared: holes marked, native size.
    guide : callable or None
        Returns the guide in a box of pixels of the result; see `reader`.
    shape : (int, int)
        Of the result.
    out : Path
        Ends in .tif.
    config : Config
        How to do it.
    progress : callable, optional
        Told the number of windows done.

    Returns
    -------
    dict
        What `Result.info` holds of a run, and the number of windows.

    Raises
    ------
    OptionError
        If the method works on whole images only.
    OutputError
        If the result cannot be written.
    InputError
        If an image cannot be used, or cannot be cut.
    """
    started = time.perf_counter()
    if out.suffix.lower() not in (".tif", ".tiff"):
        raise OutputError(f"{out}: a result of this size is written as .tif only")
    if config.method == "two-branch":
        raise OptionError(
            f"a result of {shape[1]} × {shape[0]} pixels is made by windows, and preset paper "
            "works on whole images only; choose preset default, or raise --max-memory"
        )
    plan = Plan.of(target.shape, shape, target.name, _side(len(target.data), config))
    work = _Work(target, guide, plan, config)
    total, done, weights = sum(len(band) for band in plan.bands()), 0, []
    with (
        no_denormals(),
        replacing(out) as temporary,
        raster_output.by_rows(temporary, target, shape) as write,
    ):
        strip = Strip(plan, len(target.data), work.pair)
        for band in plan.bands():
            for some in _batched(band):
                made = together(*(partial(work.window, tile.outer) for tile in some))
                for tile, (image, valid, weight) in zip(some, made, strict=True):
                    strip.add(tile, image, valid)
                    weights.append(weight)
                done += len(some)
                if progress:
                    progress("windows", done, total, 0.0)
            write(*strip.finished(band))
    return work.facts() | {
        "seconds": time.perf_counter() - started,
        "guide_weight": float(np.mean(weights)),
        "windows": total,
    }


def _side(channels: int, config: Config) -> int:
    """Choose a side of windows of which every core can work on one."""
    each = config.max_memory / gigabytes((1, 1), channels) / torch.get_num_threads()
    return min(SIDE, int(math.sqrt(each)))


class _Work:
    """A target held whole, its guide read by boxes, and what is settled for all windows."""

    def __init__(
        self, target: Raster, guide: Callable[[Box], Raster] | None, plan: Plan, config: Config
    ) -> None:
        self.guide, self.plan, self.config = guide, plan, config
        self.pair = replace(Pair.of(target, None, 1, fill=config.fill), shape=plan.result)
        self.kept = hide(self.pair.valid[0, 0], config.seed)
        self.notes: list[str] = []
        self.span: tuple[float, float] | None = None
        self.alignment: Alignment | None = None
        samples = _samples(self.pair, plan)
        if guide is not None:
            seen = [guide(plan.fine(box)) for box in samples]
            spans = [guide_span(raster.data, raster.valid) for raster in seen]
            self.span = min(low for low, _ in spans), max(high for _, high in spans)
            if config.align != "off":
                self.alignment = self._aligned()
                if self.alignment.refused:
                    self.guide = None
        parts = [self.part(box) for box in samples]
        self.settled = quick.settle(parts, self._imaging(parts[0].pair))

    def _imaging(self, sample: Pair) -> Imaging:
        """Find in a sample how the target was made."""
        imaging = imaging_of(sample, named_kernel(self.config.kernel))
        if isinstance(imaging.kernel, str) and imaging.kernel.endswith("-corners"):
            raise OptionError(
                f"kernel is {imaging.kernel!r}, whose grids do not meet where windows begin; "
                "name another kernel, or raise --max-memory"
            )
        return imaging

    def _aligned(self) -> Alignment:
        """Find where the guide lies, from a smaller version of both."""
        h, w = self.plan.target
        share = min(1.0, ALIGNED_SIDE / max(h, w))
        low = round(h * share), round(w * share)
        size = (round(FINENESS * low[0]), round(FINENESS * low[1]))
        smaller = resampler((h, w), low)
        valid = (smaller(self.pair.valid) > 0.99).float()
        target = smaller(self.pair.target)
        pair = replace(self.pair, target=target, valid=valid, guide=self._thinned(size), shape=size)
        return aligned(pair, Imaging("bicubic", (0.0,) * target.shape[1]), self.config)

    def _thinned(self, size: Size) -> Tensor:
        """Reduce the guide to (1, G, *size), window by window."""
        reduce, total = resampler(self.plan.result, size), torch.zeros(())
        for tile in (tile for band in self.plan.bands() for tile in band):
            top, left, bottom, right = self.plan.fine(tile.core)
            guide = self._read((top, left, bottom, right))
            rows, cols = reduce.rows[:, top:bottom], reduce.cols[:, left:right]
            used = rows.any(1).nonzero()[:, 0]
            if total.ndim == 0:
                total = torch.zeros(1, guide.shape[1], *size)
            total[:, :, used] += rows[used] @ guide @ cols.mT
        return total

    def _read(self, fine: Box) -> Tensor:
        """Read a box of the guide, (1, G, H, W)."""
        if self.guide is None:
            raise ValueError("there is no guide")
        notes: list[str] = []
        guide = guide_tensor(self.guide(fine), notes, self.span)
        self.notes += [note for note in notes if note not in self.notes]
        return guide

    def _moved(self, fine: Box) -> tuple[Tensor, Tensor]:
        """Read the guide of a box of the result, (1, G, H, W), where it lies, and where it is."""
        if self.alignment is None or not self.alignment.stages:
            return self._read(fine), torch.ones(fine[2] - fine[0], fine[3] - fine[1])
        size = torch.tensor(self.plan.result[::-1])
        rows, cols = (torch.arange(*fine[axis::2]) + 0.5 for axis in (0, 1))
        place = torch.stack(torch.meshgrid(cols, rows, indexing="xy"), -1)[None]
        grid, shown = self.alignment.placed(2 * place / size - 1)
        place = (grid + 1) / 2 * size
        first = place.amin((0, 1, 2)).long() - REACH
        last = place.amax((0, 1, 2)).long() + REACH + 1
        left, top = (int(x) for x in first.clamp(min=0).minimum(size - 1))
        right, bottom = (int(x) for x in last.minimum(size).maximum(torch.tensor([left, top]) + 1))
        guide = self._read((top, left, bottom, right))
        corner, extent = torch.tensor([left, top]), torch.tensor([right - left, bottom - top])
        moved = sample(guide, 2 * (place - corner) / extent - 1, "bicubic")
        return moved, shown[0].float()

    def part(self, box: Box) -> quick.Part:
        """Cut a box of the target out, with its guide."""
        fine = self.plan.fine(box)
        guide, seen = (None, None) if self.guide is None else self._moved(fine)
        shape = fine[2] - fine[0], fine[3] - fine[1]
        within = np.s_[box[0] : box[2], box[1] : box[3]]
        return quick.Part(self.pair.part(box, shape, guide), self.kept[within], seen)

    def window(self, box: Box) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], float]:
        """Make a window: values (C, H, W) in the target's units, where they are valid, trust."""
        part = self.part(box)
        image, weight = quick.solve(part, self.settled)
        return part.pair.denormalise(image), part.pair.valid_at_output(), float(weight.mean())

    def facts(self) -> dict[str, Any]:
        """Tell of the run what is known before its end."""
        imaging, alignment = self.settled.imaging, self.alignment
        note = (
            "made by windows with a quicker method, for want of memory: --max-memory "
            f"{math.ceil(gigabytes(self.plan.result, len(imaging.noise)))} does it whole"
        )
        return {
            "preset": self.config.preset,
            "seed": self.config.seed,
            "ratio": self.pair.ratio,
            "kernel": str(imaging.kernel),
            "kernel_confidence": imaging.confidence,
            "noise": [float(n) for n in np.multiply(imaging.noise, self.pair.scale.ravel())],
            "alignment": self._displacement(),
            "device": "cpu",
            "notes": [note, *self.pair.notes, *self.notes, *imaging.notes],
            "size": list(self.plan.result),
            "warnings": list(alignment.warnings) if alignment else [],
        }

    def _displacement(self) -> dict[str, Any] | None:
        """Tell of the alignment, in pixels of the guide itself."""
        if self.alignment is None:
            return None
        facts = self.alignment.facts()
        finer = self.plan.result[0] / self.alignment.size[0]
        lengths = ("median_displacement", "largest_displacement")
        return facts | {name: facts[name] * finer for name in lengths}


def _samples(pair: Pair, plan: Plan) -> list[Box]:
    """Choose, in each quarter of a target, the box with the most contrast."""
    down, across = Plan.of(plan.target, plan.result, "", SAMPLE).side
    y, valid = pair.target[0].mean(0), pair.valid[0, 0]
    best: dict[tuple[bool, bool], tuple[float, Box]] = {}
    for top in range(0, max(1, plan.target[0] - down + 1), down):
        for left in range(0, max(1, plan.target[1] - across + 1), across):
            box = (top, left, min(top + down, len(y)), min(left + across, y.shape[1]))
            inside = np.s_[box[0] : box[2], box[1] : box[3]]
            score = float(y[inside].std() * valid[inside].mean())
            quarter = 2 * top + down > len(y), 2 * left + across > y.shape[1]
            best[quarter] = max(best.get(quarter, (-1.0, box)), (score, box))
    return [box for _, box in sorted(best.values(), reverse=True)]


def _batched(band: list[Tile]) -> Iterator[list[Tile]]:
    """Yield as many tiles as there are cores to use, again and again."""
    cores = torch.get_num_threads()
    for first in range(0, len(band), cores):
        yield band[first : first + cores]


def reader(guide: Source, config: Config, grid: Grid | None) -> Callable[[Box], Raster]:
    """Return what reads boxes of a guide: from the file where that can be, else from memory."""
    file = isinstance(guide, str | os.PathLike) and not image_files.is_array(guide)
    if file and (grid is not None or not image_files.describe(str(guide)).oriented):
        return lambda box: read_guide(guide, config, grid=grid, window=_window(box))
    whole = read_guide(guide, config, grid=grid)
    return lambda box: part(whole, box)


def part(raster: Raster, box: Box) -> Raster:
    """Cut a box out of a raster, its georeference aside."""
    inside = np.s_[box[0] : box[2], box[1] : box[3]]
    return replace(raster, data=raster.data[:, *inside], valid=raster.valid[inside])


def _window(box: Box) -> Window:
    top, left, bottom, right = box
    return Window(left, top, right - left, bottom - top)
