"""A target and its guide from the user's files: cameras, common grid, holes, native size.

`cmsr.io.image_files` reads a file as it is; here two files become a pair.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io import arrays, colour_map, data_arrays, image_files, tiff_pages
from cmsr.io.geo import Overlap, overlap
from cmsr.io.holes import with_holes
from cmsr.io.pages import has_header, pages
from cmsr.io.photo import Box
from cmsr.io.photo import Photo as Photo
from cmsr.io.raster import Limits, Raster, chosen
from cmsr.io.raster_io import Grid
from cmsr.option_checks import check_guided
from cmsr.sensor.enlargement import enlarged_from, reduced
from cmsr.thermal import radiometric

Source = str | os.PathLike[str] | npt.NDArray[Any] | Raster

_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)

_PLAIN = Config()


class Inputs(NamedTuple):
    """A target, its guide, and notes on them for the user."""

    target: Raster
    guide: Photo | None
    notes: tuple[str, ...]


def read_pair(
    target: Source, guide: Source | None, config: Config, *, lazily: bool = False
) -> Inputs:
    """Read a pair as the options say; a `Raster` is taken as it is.

    A radiometric JPEG by FLIR without a guide gives both, temperatures and the photo in it.
    Georeferenced images of different extent, grid or coordinate system are put on one grid:
    the target is cropped, the guide is resampled. Of a guide that is in a file, ``lazily`` reads
    the header alone.

    Raises
    ------
    InputError
        If one cannot be read, or the two do not overlap.
    OptionError
        If an option has no effect on them.
    """
    notes: list[str] = []
    if guide is not None or config.sized:
        check_guided(config, guide is not None)
    common = common_grid(target, guide, config, notes)
    raster, own = read_target(target, config, notes, common.window if common else None)
    if common is not None and common.share < 1:
        notes.append(_covered(raster, common, config))
    other: Photo | None = None
    if guide is not None:
        other = _photo_in(guide, config, common.grid if common else None, lazily)
    elif not config.sized:
        other = _own_photo(raster, own, notes)
    elif own is not None:
        notes.append(
            f"{raster.name}: its own photo is not used, because the result's size is given"
        )
    if not isinstance(target, Raster):
        raster = prepared(raster, config, notes)
    if other is not None and (common is not None or guide is None):
        other = replace(other, placed=True)
    return Inputs(raster, other, tuple(notes))


def _own_photo(
    target: Raster, find: Callable[[list[str]], Raster] | None, notes: list[str]
) -> Photo | None:
    """Return the photo in a thermal camera's file; None of any other target."""
    if find is not None:
        return Photo.of(find(notes))
    if "camera" not in target.profile:
        return None
    broken = target.profile["camera"].get("photo") == "broken"
    raise InputError(
        f"{target.name}: {'its photo is broken' if broken else 'holds no photo'}; name one as "
        "the guide, or set the enlargement (--ratio 4)"
    )


def _photo_in(guide: Source, config: Config, grid: Grid | None, lazily: bool) -> Photo:
    """Return what reads boxes of a guide: ``lazily`` from its file where that can be."""
    if lazily and isinstance(guide, str | os.PathLike) and not image_files.is_array(guide):
        header = image_files.describe(str(guide))
        if grid is not None or not header.oriented:
            shape = grid.shape if grid else header.grid.shape
            return Photo(
                str(guide),
                shape,
                lambda box: read_guide(guide, config, grid=grid, window=_window(box)),
            )
    return Photo.of(read_guide(guide, config, grid=grid))


def _window(box: Box) -> Window:
    top, left, bottom, right = box
    return Window(left, top, right - left, bottom - top)


def _covered(raster: Raster, common: Overlap, config: Config) -> str:
    if config.extent == "target":
        return (
            f"{raster.name}: the guide covers {common.share:.0%} of it; the rest is made without "
            "the guide"
        )
    return (
        f"{raster.name}: cropped to {raster.shape[1]} × {raster.shape[0]} pixels, "
        f"{common.share:.0%} of it, the part that the guide covers; --extent target keeps all of it"
    )


def read_alone(path: str | os.PathLike[str]) -> tuple[Raster, list[str]]:
    """Read a target without a guide, as its file has it, and notes on it for the user."""
    notes: list[str] = []
    page = pages(path)
    if len(page) > 1:
        notes.append(f"{path}: has {len(page)} pages, this is the first; {path}:2 names the second")
    raster, own = read_target(page[0], Config(), notes)
    if own is not None:
        own(notes)
    prepared(raster, Config(), notes)
    return raster, notes


def common_grid(
    target: Source, guide: Source | None, config: Config = _PLAIN, notes: list[str] | None = None
) -> Overlap | None:
    """Return the common grid of two georeferenced files; None if they already have it.

    Transforms place images also without a coordinate system, which is then taken to be the other's.
    """
    grids = [_ground(target, config.axis), _ground(guide, config.guide_axis)]
    names = [_name(target, "target"), _name(guide, "guide")]
    if grids[0] is None or grids[1] is None:
        if guide is not None and any(grids) and notes is not None:
            other, placed = names if grids[0] is None else names[::-1]
            notes.append(f"{other}: is not georeferenced; assumed to cover the area of {placed}")
        return None
    crs = grids[0].crs or grids[1].crs
    known = bool(grids[0].crs and grids[1].crs)
    here, there = (replace(grid, crs=grid.crs or crs) for grid in grids if grid)
    whole = config.extent == "target"
    try:
        return overlap(here, there, (names[0], names[1]), whole=whole)
    except InputError:
        if known:
            raise
        return None


def _ground(source: Source | None, axis: int | None) -> Grid | None:
    if data_arrays.is_one(source):
        return data_arrays.grid_of(source, "an array", axis)
    if source is None or not has_header(source):
        return None
    header = image_files.describe(source)
    return header.grid if header.georeferenced else None


def _name(source: Source | None, role: str) -> str:
    """Return what a source is called in messages: its path, or its role if it is in memory."""
    if isinstance(source, Raster):
        return source.name
    return str(source) if isinstance(source, str | os.PathLike) else role


def read_target(
    source: Source, config: Config, notes: list[str], window: Any = None
) -> radiometric.Thermal:
    """Read a target, and what finds the photo if the same file holds one."""
    if isinstance(source, Raster):
        radiometric.refuse(config, source.name)
        return radiometric.Thermal(source)
    if not isinstance(source, str | os.PathLike):
        radiometric.refuse(config, "an array")
        raster = arrays.in_memory(source, "target", config.axis, window=window)
        return radiometric.Thermal(_chosen(raster, config.bands))
    found = radiometric.read(*image_files.locate(source), str(source), config, notes)
    if found is not None:
        config.refuse(["bands"], f"has no effect on a radiometric file such as {source}")
        return found
    radiometric.refuse(config, str(source))
    limits = limits_of(config)
    if image_files.is_array(source):
        raster = image_files.read(source, limits=limits, axis=config.axis)
        return radiometric.Thermal(_chosen(raster, config.bands))
    file, member = image_files.locate(source)
    notes.extend([] if member else tiff_pages.note(file, str(source)))
    return radiometric.Thermal(
        image_files.read(source, bands=config.bands, window=window, limits=limits)
    )


def limits_of(config: Config) -> Limits:
    """Return the largest image that the options allow to be read."""
    return Limits(config.max_pixels, int(config.max_memory * 2**30))


def _chosen(raster: Raster, bands: tuple[int, ...]) -> Raster:
    """Return the bands that an option names, the first is 1; all if it names none."""
    if not bands:
        return raster
    if max(bands) > len(raster.data):
        raise InputError(f"{raster.name}: has no band {max(bands)}; there are {len(raster.data)}")
    return chosen(raster, [band - 1 for band in bands])


def read_guide(
    source: Source, config: Config, *, grid: Grid | None = None, window: Any = None
) -> Raster:
    """Read a guide: the bands that the options name, or all, red, green and blue first."""
    if isinstance(source, Raster):
        return source
    if not isinstance(source, str | os.PathLike):
        raster = arrays.in_memory(source, "guide", config.guide_axis, expand=True)
        if grid is not None:
            raster = arrays.on_grid(raster, grid, limits_of(config))
    else:
        limits, axis = limits_of(config), config.guide_axis
        raster = image_files.read(source, grid=grid, window=window, limits=limits, axis=axis)
    if config.guide_bands:
        named = _chosen(raster, config.guide_bands)
        return replace(named, alpha=False, profile={**named.profile, "bands": config.guide_bands})
    meanings = raster.profile.get("colorinterp", [])
    if len(raster.data) > 3 and all(colour in meanings for colour in _COLOURS):
        rgb = [meanings.index(colour) for colour in _COLOURS]
        return chosen(raster, [*rgb, *(n for n in range(len(raster.data)) if n not in rgb)])
    return raster


def read_segments(guide: Photo | None, config: Config) -> npt.NDArray[np.int64] | None:
    """Read the label image (H, W) that the options name, relabelled 0, 1, 2, ….

    Raises
    ------
    OptionError
        If there is no guide.
    InputError
        If its size is not the guide's, or it is not one band of whole numbers.
    """
    if config.segments is None:
        return None
    if guide is None:
        raise OptionError("--segments requires a guide")
    raster = image_files.read(config.segments, limits=limits_of(config))
    if raster.shape != guide.shape:
        raise InputError(
            f"{raster.name}: is {raster.shape[1]} × {raster.shape[0]} pixels; "
            f"expected the guide's {guide.shape[1]} × {guide.shape[0]}"
        )
    if len(raster.data) != 1:
        raise InputError(f"{raster.name}: has {len(raster.data)} bands; expected one of labels")
    labels = raster.data[0]
    if not np.isfinite(labels).all() or not (labels == np.rint(labels)).all():
        raise InputError(f"{raster.name}: labels must be whole numbers")
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int64)


def prepared(target: Raster, config: Config, notes: list[str]) -> Raster:
    """Mark the holes, and undo the camera's own enlargement, as the options say."""
    if target.profile.get("palette") and config.colour_mapped is None:
        notes.append(
            f"{target.name}: its palette is expanded to colours; if its values are classes, they "
            "cannot be upscaled"
        )
    target = colour_map.resolved(target, config, notes)
    target = colour_map.ignoring(target, config, image_files.read)
    target = with_holes(target, config, notes)
    if config.native_size is not None:
        width, height = config.native_size
        return reduced(target, (height, width))
    size = enlarged_from(target)
    if size is not None:
        notes.append(
            f"{target.name}: shows no more detail than {size[1]} × {size[0]} pixels can hold; "
            f"if the camera enlarged it, --native-size {size[1]} {size[0]} gives a better result"
        )
    return target
