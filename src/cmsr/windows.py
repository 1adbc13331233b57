"""Results too large for memory: the guide is read, and the result written, window by window.

Windows begin and end where pixels of target and guide do, overlap, and are faded into each other,
so that each is an ordinary pair.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from rasterio.windows import Window

from cmsr.config import Config
from cmsr.errors import InputError, OutputError
from cmsr.files import io, raster_output
from cmsr.files.atomic import replacing
from cmsr.files.inputs import Source, gigabytes, read_guide
from cmsr.files.raster import Raster
from cmsr.files.raster_io import Grid
from cmsr.imaging import imaging_of
from cmsr.pair import Pair
from cmsr.parallel import together
from cmsr.pipeline import Result, upscale
from cmsr.published.train import Progress

SIDE = 1024
"""Side of a window without its overlap, at most, in pixels of the result."""

FADE = 8
"""Pixels of the target on each side of a seam over which two windows fade into each other."""

Box = tuple[int, int, int, int]
"""Top, left, bottom, right."""


class Tile(NamedTuple):
    """A part of the target, and the larger part that it is computed from."""

    core: Box
    outer: Box


@dataclass(frozen=True)
class Plan:
    """How a result is cut up.

    Attributes
    ----------
    target, result : (int, int)
        Heights and widths.
    side : (int, int)
        Height and width of a window in pixels of the target; the result has a pixel border
        wherever it begins.
    """

    target: tuple[int, int]
    result: tuple[int, int]
    side: tuple[int, int]

    @classmethod
    def of(
        cls, target: tuple[int, int], result: tuple[int, int], name: str, side: int = SIDE
    ) -> Plan:
        """Choose windows of about ``side`` pixels of the result.

        Raises
        ------
        InputError
            If the ratio leaves no place to cut.
        """
        sides = []
        for small, large in zip(target, result, strict=True):
            unit = small // math.gcd(small, large)
            wanted = max(4 * FADE, side * small // large)
            if unit > 2 * wanted:
                raise InputError(
                    f"{name}: {large} : {small} pixels leave no place to cut the image into "
                    "windows; crop it so that the ratio is simpler, or raise --max-memory"
                )
            sides.append(max(unit, wanted // unit * unit))
        return cls(target, result, (sides[0], sides[1]))

    def bands(self) -> Iterator[list[Tile]]:
        """Yield rows of tiles from top to bottom, each from left to right."""
        height, width = self.target
        for top in _starts(height, self.side[0]):
            bottom = _end(top, height, self.side[0])
            yield [
                Tile((top, left, bottom, right), self._around((top, left, bottom, right)))
                for left in _starts(width, self.side[1])
                for right in [_end(left, width, self.side[1])]
            ]

    def _around(self, core: Box) -> Box:
        """Add the overlap, in steps at which pixels of the result begin too."""
        steps = [small // math.gcd(small, large)
                 for small, large in zip(self.target, self.result, strict=True)]  # fmt: skip
        down, across = (math.ceil(2 * FADE / step) * step for step in steps)
        top, left, bottom, right = core
        return (
            max(0, top - down),
            max(0, left - across),
            min(self.target[0], bottom + down),
            min(self.target[1], right + across),
        )

    def fine(self, box: Box) -> Box:
        """Return a box of the target in pixels of the result."""
        (h, w), (big_h, big_w) = self.target, self.result
        top, left, bottom, right = box
        return top * big_h // h, left * big_w // w, bottom * big_h // h, right * big_w // w


def _starts(length: int, side: int) -> range:
    """Where windows begin; what would be left of less than half a window joins the last."""
    count = max(1, (2 * length + side) // (2 * side))
    return range(0, count * side, side)


def _end(start: int, length: int, side: int) -> int:
    return length if start == _starts(length, side)[-1] else start + side


def needed(shape: tuple[int, int], channels: int, config: Config) -> bool:
    """Tell whether a result of this shape is more than the memory to plan for holds."""
    return gigabytes(shape, channels) > config.max_memory


def upscale_to_file(
    target: Raster,
    guide: Callable[[Box], Raster],
    shape: tuple[int, int],
    out: Path,
    config: Config,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Upscale by windows into a GeoTIFF, whole or not at all.

    Parameters
    ----------
    target : Raster
        Prepared: holes marked, native size.
    guide : callable
        Returns the guide in a box of pixels of the result; see `reader`.
    shape : (int, int)
        Of the result.
    out : Path
        Ends in .tif.
    config : Config
        Options of every window's run.
    progress : callable, optional
        Told the number of windows done.

    Returns
    -------
    dict
        What `Result.info` holds of a run, and the number of windows.
    """
    if out.suffix.lower() not in (".tif", ".tiff"):
        raise OutputError(f"{out}: a result of this size is written as .tif only")
    per_pixel = gigabytes((1, 1), len(target.data))
    cores = torch.get_num_threads()
    side = min(SIDE, int(math.sqrt(config.max_memory / per_pixel / cores)) // 2)
    plan = Plan.of(target.shape, shape, target.name, side)
    config = _settled(target, guide, plan, config)

    total = sum(len(band) for band in plan.bands())
    infos: list[dict[str, Any]] = []
    with replacing(out) as temporary, raster_output.by_rows(temporary, target, shape) as write:
        strip = _Strip(plan, len(target.data))
        for band in plan.bands():
            for tiles in [band[first : first + cores] for first in range(0, len(band), cores)]:
                runs = [partial(_run, target, guide, plan, tile, config) for tile in tiles]
                for tile, result in zip(tiles, together(*runs), strict=True):
                    strip.add(tile, result)
                    infos.append(result.info)
                    if progress:
                        progress("windows", len(infos), total, 0.0)
            write(*strip.finished(band))
    return _merged(infos, shape)


def reader(guide: Source, config: Config, grid: Grid | None) -> Callable[[Box], Raster]:
    """Return what reads boxes of a guide: from the file where that can be, else from memory."""
    file = isinstance(guide, str | os.PathLike) and not io.is_array(guide)
    if file and (grid is not None or not io.describe(str(guide)).oriented):
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


def _settled(target: Raster, guide: Callable[[Box], Raster], plan: Plan, config: Config) -> Config:
    """Find in the middle of the image what is the same everywhere: how it was made."""
    if config.kernel != "auto":
        return config
    bands = list(plan.bands())
    middle = bands[len(bands) // 2]
    outer = middle[len(middle) // 2].outer
    pair = Pair.of(part(target, outer), guide(plan.fine(outer)))
    return replace(config, kernel=str(imaging_of(pair, None).kernel))


def _run(
    target: Raster, guide: Callable[[Box], Raster], plan: Plan, tile: Tile, config: Config
) -> Result:
    piece = part(target, tile.outer)
    return upscale(piece, guide(plan.fine(tile.outer)), **asdict(config))


class _Strip:
    """The rows of the result under work: tiles added with fading borders.

    Where tiles overlap, the weights of all sum to one.
    """

    def __init__(self, plan: Plan, channels: int) -> None:
        self.plan, self.first = plan, 0
        self.values = np.zeros((channels, 0, plan.result[1]))
        self.valid = np.zeros((0, plan.result[1]), bool)
        self.dtype: np.dtype[Any] = np.dtype(float)
        self.hole: Any = 0

    def add(self, tile: Tile, result: Result) -> None:
        """Add one tile's result."""
        top, left, bottom, right = self.plan.fine(tile.outer)
        missing = bottom - self.first - self.values.shape[1]
        if missing > 0:
            self.values = np.pad(self.values, ((0, 0), (0, missing), (0, 0)))
            self.valid = np.pad(self.valid, ((0, missing), (0, 0)))
        image = result.image[None] if result.image.ndim == 2 else np.moveaxis(result.image, -1, 0)
        if not result.valid.all():
            self.hole = image[:, ~result.valid][0, 0]
        self.dtype = image.dtype
        inside = np.s_[top - self.first : bottom - self.first, left:right]
        weight = np.outer(*self._weights(tile))
        self.values[:, *inside] += np.where(result.valid, image, 0) * weight
        self.valid[inside] = result.valid

    def _weights(self, tile: Tile) -> list[npt.NDArray[np.float64]]:
        """Ramps from 0 to 1 across each seam, along both axes."""
        core, outer = self.plan.fine(tile.core), self.plan.fine(tile.outer)
        ramps = []
        for axis in (0, 1):
            fade = FADE * self.plan.result[axis] / self.plan.target[axis]
            place = np.arange(outer[axis], outer[axis + 2]) + 0.5
            ramp = np.ones(len(place))
            if core[axis] > 0:
                ramp *= np.clip((place - core[axis]) / (2 * fade) + 0.5, 0, 1)
            if core[axis + 2] < self.plan.result[axis]:
                ramp *= np.clip((core[axis + 2] - place) / (2 * fade) + 0.5, 0, 1)
            ramps.append(ramp)
        return ramps

    def finished(self, band: list[Tile]) -> tuple[int, npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Take off, from the top, the rows that no later band adds to: first row, values, valid."""
        core, outer = self.plan.fine(band[0].core), self.plan.fine(band[0].outer)
        end = core[2] if core[2] == self.plan.result[0] else 2 * core[2] - outer[2]
        count = end - self.first
        values, valid, first = self.values[:, :count], self.valid[:count], self.first
        self.values, self.valid, self.first = self.values[:, count:], self.valid[count:], end
        if np.issubdtype(self.dtype, np.integer):
            values = np.rint(values)
        return first, np.where(valid, values, self.hole).astype(self.dtype), valid


def _merged(infos: list[dict[str, Any]], shape: tuple[int, int]) -> dict[str, Any]:
    """Tell of all windows' runs as of one."""
    return infos[0] | {
        "alignment": {},
        "seconds": sum(info["seconds"] for info in infos),
        "notes": list(dict.fromkeys(note for info in infos for note in info["notes"])),
        "warnings": list(dict.fromkeys(text for info in infos for text in info["warnings"])),
        "size": list(shape),
        "guide_weight": float(np.mean([info["guide_weight"] for info in infos])),
        "windows": len(infos),
    }
