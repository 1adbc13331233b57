"""Alignment on its own: the guide as it lies over the target, and what there is to judge it by."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.guided import solve
from cmsr.io import image_files
from cmsr.io.inputs import Source, read_pair, read_segments
from cmsr.io.raster import fitted
from cmsr.operators.resampling import Shape, shape_of
from cmsr.pair import Pair
from cmsr.pictures import Rgb, colour, enlarge
from cmsr.registration.alignment import Alignment
from cmsr.registration.segment_map import draw_segments
from cmsr.registration.transforms import displacement, sample
from cmsr.sensor.imaging import imaging_of, named_kernel

SQUARES = 8
"""Fields of the checkerboard along the longer side."""


@dataclass(frozen=True)
class Registered:
    """A guide laid over a target.

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
    overlay: Rgb
    info: dict[str, Any]


def read(
    target: Source, guide: Source | None, config: Config
) -> tuple[image_files.Raster, image_files.Raster, list[str]]:
    """Read a target, its guide, and what is to be known of them, as `upscale` does.

    Raises
    ------
    InputError
        If an image cannot be used, or there is no guide.
    """
    pair = read_pair(target, guide, config)
    if pair.guide is None:
        raise InputError(f"{pair.target.name}: holds no photo; name one after it, as the guide")
    return pair.target, pair.guide, list(pair.notes)


def align(target: Source, guide: Source | None = None, **options: Any) -> Registered:
    """Lay a guide over a target, without changing the target.

    Parameters
    ----------
    target : path or array, shape (h, w) or (h, w, C)
        Image of any sensor; holes have no say.
    guide : path or array, shape (H, W) or (H, W, 3), optional
        Photo of the same scene, at least as large as the target; it may be in the target's file.
    **options
        ``align``, ``kernel``, ``seed`` or any other field of `Config`.

    Returns
    -------
    Registered
        The same alignment that `upscale` with the default preset finds. Where it is refused, the
        guide stays where it is and ``info["warnings"]`` says why.

    Raises
    ------
    InputError
        If an image cannot be used.
    OptionError
        If an option has no such value.
    """
    started = time.perf_counter()
    config = Config.of("default", **options)
    target_raster, guide_raster, notes = read(target, guide, config)
    labels = read_segments(guide_raster, config)
    pair = Pair.of(target_raster, guide_raster, segments=labels)
    imaging = imaging_of(pair, named_kernel(config.kernel))
    alignment = solve.aligned(pair, imaging, config)
    moved = _moved(guide_raster, alignment)
    grid = alignment.grid()
    return Registered(
        guide=moved[0] if len(moved) == 1 else np.moveaxis(moved, 0, -1),
        valid=alignment.seen().bool().numpy(),
        displacement=displacement(grid, alignment.size)[0].numpy(),
        overlay=draw_segments(
            checkerboard(pair.target[0, 0], alignment.apply(pair.photo)), alignment
        ),
        info={
            "alignment": alignment.facts(),
            "warnings": list(alignment.warnings),
            "notes": [*notes, *pair.notes],
            "seconds": time.perf_counter() - started,
        },
    )


def write_field(path: Path, field: npt.NDArray[np.float32], like: image_files.Raster) -> None:
    """Write a displacement field (H, W, 2): ``displacement`` in an .npz, or two bands of a .tif.

    Raises
    ------
    OutputError
        If the file cannot be written; nothing is left behind.
    """
    if path.suffix.lower() == ".npz":
        with image_files.replacing(path) as temporary:
            np.savez_compressed(temporary, displacement=field)
        return
    georeference = {key: like.profile[key] for key in ("crs", "transform") if key in like.profile}
    names = {"descriptions": ["right, pixels", "down, pixels"]}
    image_files.write(path, field, like=replace(like, alpha=False, profile=georeference | names))


def checkerboard(target: Tensor, moved: Tensor) -> Rgb:
    """Show a target (h, w) and a moved guide (G, H, W), both in [0, 1], field by field."""
    shape = shape_of(moved)
    sensor = enlarge(colour(target.cpu().numpy(), 0, 1), shape)
    photo = moved.expand(3, -1, -1).clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    fields = _fields(shape)[..., None]
    return np.where(fields, sensor, np.rint(photo * 255).astype(np.uint8))


def _fields(shape: Shape) -> npt.NDArray[np.bool_]:
    """Tell the dark fields of a checkerboard from the light ones."""
    side = max(1, round(max(shape) / SQUARES))
    rows, cols = np.indices(shape) // side
    return np.asarray((rows + cols) % 2 == 0)


def _moved(guide: image_files.Raster, alignment: Alignment) -> npt.NDArray[Any]:
    """Move all bands of a guide (C, H, W), alpha last, in its own type."""
    if not alignment.stages:
        return guide.data
    layers = torch.from_numpy(np.nan_to_num(guide.data.astype(np.float64)))[None]
    moved = sample(layers, alignment.grid().double(), "bicubic")[0].numpy()
    return fitted(moved, guide.data.dtype).astype(guide.data.dtype)
