"""The library: sharpen one image, or only register its guide."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.guided.calibrate import find_alignment, find_imaging
from cmsr.guided.placement_error import placement_error
from cmsr.guided.scoring import AlignmentScore
from cmsr.io import image_files
from cmsr.io.atomic import write_text
from cmsr.io.data_arrays import is_one as is_data_array
from cmsr.io.inputs import Source
from cmsr.io.raster import Raster, fitted
from cmsr.labelled import labelled
from cmsr.parallel import pooled
from cmsr.pictures import checkerboard
from cmsr.progress import ALIGNING, KERNEL, Progress, begin
from cmsr.prologue import Opened, opened, with_frames
from cmsr.registration.alignment import Alignment
from cmsr.registration.coarse_to_fine import LEAST_SIDE
from cmsr.registration.points import COLUMNS
from cmsr.registration.segment_map import draw_segments
from cmsr.registration.transforms import displacement, identity_grid, sample
from cmsr.registration.view import colours
from cmsr.result import Registered, Result
from cmsr.run import Run


def upscale(
    target: Source,
    guide: Source | None = None,
    *,
    preset: str = "default",
    seed: int = 0,
    progress: Progress | None = None,
    previous: Mapping[str, Any] | None = None,
    frames: Sequence[Source] = (),
    **options: Any,
) -> Result:
    """Bring one image to the resolution of a guide, learning from this pair alone.

    Parameters
    ----------
    target : path or array, shape (H, W) or (H, W, C)
        Low-resolution image of any sensor; NaN and nodata are holes. Of a DataArray of xarray the
        result is one, too.
    guide : path or array, shape (rH, rW) or (rH, rW, 3), optional
        Photo of the same scene; without one, ``ratio=`` says how much to enlarge.
    preset : {"default", "fast", "paper", "paper-plus"}
        Starting point for all other options.
    seed : int
        The same seed gives the same result, to the byte.
    progress : callable, optional
        Told the stage, step, number of steps and loss.
    previous : mapping, optional
        `Result.info` of the frame before, in a series of one camera, or an empty one for the
        first: kernel and place of the guide are taken over as far as they hold for this frame.
    frames : sequence of paths or arrays, optional
        Other frames of the same camera, best those just before and after, in the target's format
        and size: they take part where they predict held-out pixels of the target better.
    **options
        Any other field of `Config`.

    Raises
    ------
    InputError, OptionError
        If an image cannot be used, or an option has no such value.

    Examples
    --------
    >>> import numpy as np
    >>> import cmsr
    >>> thermal = np.add.outer(np.arange(8.0), np.arange(8.0))
    >>> photo = np.zeros((32, 32, 3), np.uint8)
    >>> cmsr.upscale(thermal, photo, preset="fast").image.shape
    (32, 32)

    References
    ----------
    G. Shacht, D. Danon, S. Fogel, D. Cohen-Or, "Single Pair Cross-Modality Super Resolution",
    CVPR 2021.
    """
    config = Config.of(preset, seed=seed, **options)
    config.refuse(["fuse"], "has no effect here; name the frames by frames=")
    pair = with_frames(opened(target, guide, config, progress=progress), frames)
    result = Run(pair, previous, progress).result()
    return labelled(result, target, config) if is_data_array(target) else result


def align(target: Source, guide: Source | None = None, **options: Any) -> Registered:
    """Register a guide to a target, without changing the target.

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

    Examples
    --------
    >>> import numpy as np
    >>> import cmsr
    >>> photo = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    >>> cmsr.align(photo[::4, ::4, 0], photo, align="off").displacement.max()
    np.float32(0.0)
    """
    return registered(opened(target, guide, Config.of("default", **options), guided=True))


def registered(pair: Opened, progress: Progress | None = None) -> Registered:
    """Register the guide of a pair; see `align`. ``progress`` is told the stages.

    Raises
    ------
    ValueError
        If there is no guide.
    """
    source = pair.source
    if source.guide is None:
        raise ValueError("there is no guide")
    alignment, error = pooled(lambda: _found(pair, progress))
    moved = _moved(pair.photo, alignment)
    grid = alignment.grid()
    photo, _ = source.registered(source.whole, alignment)
    overlay = checkerboard(source.pair.target[0, 0].cpu().numpy(), colours(photo).cpu().numpy())
    return Registered(
        guide=moved[0] if len(moved) == 1 else np.moveaxis(moved, 0, -1),
        valid=alignment.seen().bool().numpy(),
        displacement=_displacement(pair, alignment, grid),
        overlay=draw_segments(overlay, alignment),
        info={
            "alignment": {**alignment.facts(), "expected_error": error},
            "warnings": list(alignment.warnings),
            "notes": list(pair.notes),
            "seconds": time.perf_counter() - pair.started,
        },
    )


def write_field(path: Path, field: npt.NDArray[np.float32], like: Raster) -> None:
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
    names = {"descriptions": ["right, pixels", "down, pixels"]}
    place = like.place
    image_files.write(path, field, like=replace(place, profile=place.profile | names))


def write_points(path: Path, field: npt.NDArray[np.float32], target: tuple[int, int]) -> None:
    """Write where nine places of a target lie in its photo, by a displacement field (H, W, 2).

    Raises
    ------
    OutputError
        If the file cannot be written; nothing is left behind.
    """
    height, width = field.shape[:2]
    lines = [",".join(COLUMNS)]
    for share_y in (0.1, 0.5, 0.9):
        for share_x in (0.1, 0.5, 0.9):
            row, column = int(share_y * height), int(share_x * width)
            x, y = np.array([column + 0.5, row + 0.5]) + field[row, column]
            here = (column + 0.5) * target[1] / width, (row + 0.5) * target[0] / height
            lines.append(f"{here[0]:.2f},{here[1]:.2f},{x:.2f},{y:.2f}")
    write_text(path, "\n".join(lines) + "\n")


def _found(pair: Opened, progress: Progress | None) -> tuple[Alignment, float | None]:
    """Find where the guide of a pair lies, and how far it may be off."""
    source = pair.source
    begin(progress, KERNEL)
    imaging = find_imaging(source, pair.kernel)
    begin(progress, ALIGNING)
    found = find_alignment(source, imaging) or Alignment(source.pair.shape)
    small = min(source.plan.target) < LEAST_SIDE
    return found, None if small else placement_error(AlignmentScore.of(source, imaging), found)


def _displacement(pair: Opened, alignment: Alignment, grid: Tensor) -> npt.NDArray[np.float32]:
    """Return how far right and down of each pixel the photo as it was given is read, (H, W, 2)."""
    if pair.placement is None:
        return displacement(grid, alignment.size)[0].numpy()
    height, width = alignment.size
    centres = (identity_grid(alignment.size, dtype=torch.float64) + 1) / 2
    moved = pair.placement.places(grid) - centres * torch.tensor([width, height])
    return moved[0].float().numpy()


def _moved(guide: Raster, alignment: Alignment) -> npt.NDArray[Any]:
    """Move all bands of a guide (C, H, W), alpha last, in its own type."""
    if not alignment.stages:
        return guide.data
    layers = torch.from_numpy(np.nan_to_num(guide.data.astype(np.float64)))[None]
    moved = sample(layers, alignment.grid().double(), "bicubic")[0].numpy()
    return fitted(moved, guide.data.dtype).astype(guide.data.dtype)
