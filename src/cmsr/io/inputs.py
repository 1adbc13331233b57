"""From what the user names to one target and one guide: cameras' files, grids, holes, native size.

`cmsr.io.image_files` reads a file as it is; here two files become a pair.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp

from cmsr.config import RADIOMETRIC, Config
from cmsr.errors import InputError, OptionError
from cmsr.io import image_files
from cmsr.io.geo import Overlap, overlap
from cmsr.io.raster import Raster, chosen, from_array
from cmsr.io.raster_io import Grid
from cmsr.sensor.enlargement import enlarged_from, reduced
from cmsr.thermal import dji, flir
from cmsr.thermal.parallax import displacement

Source = str | os.PathLike[str] | npt.NDArray[Any] | Raster

_JPEG = (".jpg", ".jpeg")
_MAX_JPEG = 2**28
"""Largest JPEG file looked into for a camera's records, in bytes."""

WORK, RESULT = 900, 16
"""Bytes that a run takes for each pixel of the result, and for each of its values."""

_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


class Inputs(NamedTuple):
    """A target, its guide, and what the user should know of them."""

    target: Raster
    guide: Raster | None
    notes: tuple[str, ...]


def read_pair(target: Source, guide: Source | None, config: Config) -> Inputs:
    """Read a pair as the options say; a `Raster` is taken as it is.

    A radiometric JPEG of FLIR's without a guide is both: temperatures and the photo in it.
    Georeferenced images of different extent, grid or coordinate system are put on one grid:
    the target is cropped, the guide is resampled.

    Raises
    ------
    InputError
        If one cannot be read, or the two have nothing in common.
    """
    notes: list[str] = []
    if guide is not None or config.ratio is not None:
        config.check_guided(guide is not None)
    common = common_grid(target, guide)
    raster, photo = read_target(target, config, notes, common.window if common else None)
    if common is not None:
        notes.append(f"{raster.name}: cropped to {raster.shape[1]} × {raster.shape[0]} pixels, "
                     "the part that the guide covers")  # fmt: skip
    other = photo if config.ratio is None else None
    if guide is None and other is None and config.ratio is None and "camera" in raster.profile:
        raise InputError(
            f"{raster.name}: holds no photo; name one after it, as the guide, or say how much to "
            "enlarge it without (--ratio 4)"
        )
    if guide is not None:
        other = read_guide(guide, config, grid=common.grid if common else None)
    if not isinstance(target, Raster):
        raster = prepared(raster, config, notes)
    return Inputs(raster, other, tuple(notes))


def read_alone(path: str | os.PathLike[str]) -> tuple[Raster, list[str]]:
    """Read a target for itself, as its file has it, and what the user should know of it."""
    notes: list[str] = []
    page = pages(path)
    if len(page) > 1:
        notes.append(f"{path}: has {len(page)} pages, this is the first; {path}:2 names the second")
    raster, _ = read_target(page[0], Config(), notes)
    prepared(raster, Config(), notes)
    return raster, notes


def common_grid(target: Source, guide: Source | None) -> Overlap | None:
    """Return the grid that two georeferenced files share; None where nothing is to be done."""
    grids = [_ground(source) for source in (target, guide)]
    if grids[0] is None or grids[1] is None:
        return None
    names = [source.name if isinstance(source, Raster) else str(source)
             for source in (target, guide)]  # fmt: skip
    return overlap(grids[0], grids[1], (names[0], names[1]))


def _ground(source: Source | None) -> Grid | None:
    if not isinstance(source, str | os.PathLike) or image_files.is_array(source):
        return None
    header = image_files.describe(source)
    return header.grid if header.georeferenced else None


def pages(target: Source) -> list[Source]:
    """Name the pages of a TIFF of several, FILE:1, FILE:2, …; any other target is one page."""
    if not isinstance(target, str | os.PathLike) or image_files.is_array(target):
        return [target]
    count = len(image_files.describe(target).pages)
    return [f"{os.fspath(target)}:{page}" for page in range(1, count + 1)] or [target]


def read_target(
    source: Source, config: Config, notes: list[str], window: Any = None
) -> tuple[Raster, Raster | None]:
    """Read a target, and the photo where the same file holds one."""
    if isinstance(source, Raster):
        return source, None
    if not isinstance(source, str | os.PathLike):
        _refuse_radiometric(config, "an array")
        return _chosen(from_array(source, "target"), config), None
    found = _radiometric(image_files.locate(source)[0], str(source), config, notes)
    if found is not None:
        config.refuse(["bands"], f"has no effect on a radiometric JPEG such as {source}")
        return found
    _refuse_radiometric(config, source)
    limits = limits_of(config)
    if image_files.is_array(source):
        return _chosen(image_files.read(source, **limits), config), None
    return image_files.read(source, bands=config.bands, window=window, **limits), None


def _refuse_radiometric(config: Config, source: Source) -> None:
    config.refuse(RADIOMETRIC, f"requires a radiometric JPEG by FLIR; {source} is none")


def limits_of(config: Config) -> dict[str, Any]:
    """Return the options' limits as `cmsr.io.image_files.read` takes them."""
    return {"max_pixels": config.max_pixels, "max_bytes": int(config.max_memory * 2**30)}


def _chosen(raster: Raster, config: Config) -> Raster:
    """Keep the bands that the options name."""
    if not config.bands:
        return raster
    if max(config.bands) > len(raster.data):
        raise InputError(
            f"{raster.name}: has no band {max(config.bands)}; there are {len(raster.data)}"
        )
    some = chosen(raster, [band - 1 for band in config.bands])
    return replace(some, valid=np.isfinite(some.data).all(axis=0))


def read_guide(
    source: Source, config: Config, *, grid: Grid | None = None, window: Any = None
) -> Raster:
    """Read a guide, of more than three bands those that are red, green and blue."""
    if isinstance(source, Raster):
        return source
    if not isinstance(source, str | os.PathLike):
        return from_array(source, "guide")
    raster = image_files.read(source, grid=grid, window=window, **limits_of(config))
    meanings = raster.profile.get("colorinterp", [])
    if len(raster.data) > 3 and all(colour in meanings for colour in _COLOURS):
        rgb = [meanings.index(colour) for colour in _COLOURS]
        return chosen(raster, rgb)
    return raster


def read_segments(guide: Raster | None, config: Config) -> npt.NDArray[np.int64] | None:
    """Read the label image (H, W) that the options name, as labels from 0 on without gaps.

    Raises
    ------
    OptionError
        If there is no guide.
    InputError
        If it has not the guide's size, or not one whole number per pixel.
    """
    if config.segments is None:
        return None
    if guide is None:
        raise OptionError("segments goes with a guide only")
    raster = image_files.read(config.segments, **limits_of(config))
    if raster.shape != guide.shape:
        raise InputError(
            f"{raster.name}: is {raster.shape[1]} × {raster.shape[0]} pixels; "
            f"the guide's {guide.shape[1]} × {guide.shape[0]} are right"
        )
    if len(raster.data) != 1:
        raise InputError(f"{raster.name}: has {len(raster.data)} bands; one of labels is right")
    labels = raster.data[0]
    if not np.isfinite(labels).all() or not (labels == np.rint(labels)).all():
        raise InputError(f"{raster.name}: labels must be whole numbers")
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int64)


def _radiometric(
    path: Path, name: str, config: Config, notes: list[str]
) -> tuple[Raster, Raster | None] | None:
    """Read what a thermal camera put into its JPEG: °C and photo (FLIR), or counts (DJI)."""
    if path.suffix.lower() not in _JPEG or path.stat().st_size > _MAX_JPEG:
        return None
    content = path.read_bytes()
    image = flir.read(content, name)
    if image is not None:
        return _flir(image, name, config, notes)
    raw = dji.counts(content)
    if raw is None:
        return None
    _refuse_radiometric(config, name)
    notes.append(
        f"{name}: raw counts, not temperatures: DJI's calibration is readable by DJI's own "
        "Thermal SDK only"
    )
    return from_array(raw, name, units=["counts"]), None


def _flir(
    image: flir.Flir, name: str, config: Config, notes: list[str]
) -> tuple[Raster, Raster | None]:
    try:
        celsius = image.celsius(
            emissivity=config.emissivity,
            distance=config.distance,
            reflected=config.reflected_temperature,
            atmospheric=config.atmospheric_temperature,
            humidity=config.humidity,
        )
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    target = from_array(celsius, name, camera="FLIR", **_profile_of("temperature", "°C"))
    if image.photo is None:
        return target, None
    notes.append(f"{name}: temperatures in °C, and the photo in the same file")
    return target, _photo(image, image.photo, celsius, name, notes)


def _photo(
    image: flir.Flir,
    photo: npt.NDArray[np.uint8],
    celsius: npt.NDArray[np.float32],
    name: str,
    notes: list[str],
) -> Raster:
    """Cut the photo to what the thermal image shows, from where the camera places it."""
    known = np.isfinite(celsius)
    middle = np.median(celsius[known]) if known.any() else 0.0
    down, right = displacement(
        np.where(known, celsius, middle), photo, flir.shown(photo), image.box()
    )
    if down or right:
        notes.append(
            f"{name}: the photo is moved by {right:+.0f} pixels horizontally and {down:+.0f} "
            "vertically from where the camera places it"
        )
    part, valid = flir.cut(photo, image.box() + np.array([down, right, down, right]))
    return replace(from_array(part, f"{name} (its photo)"), valid=valid)


def _profile_of(description: str, unit: str) -> dict[str, Any]:
    """Return what a written file is to say of one band."""
    return {
        "descriptions": [description],
        "units": [unit],
        "scales": [1.0],
        "offsets": [0.0],
        "band_tags": [{}],
        "colorinterp": [ColorInterp.gray],
    }


def gigabytes(shape: tuple[int, int], channels: int) -> float:
    """Estimate what a run takes to make a result of this shape."""
    return shape[0] * shape[1] * (WORK + RESULT * channels) / 2**30


def check_pixels(name: str, shape: tuple[int, int], config: Config) -> None:
    """Raise InputError if a result of this shape has more than ``max_pixels``."""
    if shape[0] * shape[1] > config.max_pixels:
        raise InputError(
            f"{name}: {shape[1]} × {shape[0]} pixels of the result are too many; --max-pixels is "
            f"{config.max_pixels}"
        )


def check_size(target: Raster, shape: tuple[int, int], config: Config) -> None:
    """Refuse a result that is larger than the options allow.

    Raises
    ------
    InputError
        If it has more than ``max_pixels``, or needs more than ``max_memory``.
    """
    check_pixels(target.name, shape, config)
    needed = gigabytes(shape, len(target.data))
    if needed > config.max_memory:
        raise InputError(
            f"{target.name}: the result of {shape[1]} × {shape[0]} pixels takes about "
            f"{needed:.1f} GB; --max-memory is {config.max_memory}"
        )


def prepared(target: Raster, config: Config, notes: list[str]) -> Raster:
    """Mark the holes and undo the camera's own enlargement, as the options say."""
    target = _with_holes(target, config, notes)
    if config.native_size is not None:
        width, height = config.native_size
        return reduced(target, (height, width))
    size = enlarged_from(target)
    if size is not None:
        notes.append(
            f"{target.name}: has no detail finer than {size[1]} × {size[0]} pixels would hold; "
            f"if the camera enlarged it, --native-size {size[1]} {size[0]} gives a better result"
        )
    return target


def _with_holes(target: Raster, config: Config, notes: list[str]) -> Raster:
    """Take the value that stands for no measurement out of what is valid."""
    value = config.invalid
    if value == "none":
        return target
    if value == "auto":
        if not _zeros_are_holes(target):
            return target
        value = 0.0
        notes.append(f"{target.name}: 0 is taken for no measurement (--invalid none if it is one)")
    nowhere = (target.data == value).all(axis=0)
    valid = target.valid & ~nowhere
    return replace(target, valid=valid, profile={**target.profile, "hole": value})


_LEAST_ZEROS = 1e-4
"""Share of zeros below which they are taken for values."""

_LEAST_STEP = 0.1
"""How far zeros must lie below what was measured, as a share of its 99th percentile."""

_MOST_BETWEEN = 0.01
"""Pixels in between, per zero: where there are more, zeros were once interpolated as values."""


def _zeros_are_holes(target: Raster) -> bool:
    """Guess whether 0 means none: zeros that lie far below all else, with next to nothing between.

    Only without a nodata value, in one band of whole numbers or of none below 0, and never in a
    lossy format, whose zeros are no marks.
    """
    path = Path(target.name)
    marked = target.profile.get("nodata") is not None or target.alpha
    if marked or len(target.data) > 1 or path.suffix.lower() in _JPEG:
        return False
    seen = target.data[0][target.valid]
    zeros = np.count_nonzero(seen == 0)
    if zeros < max(2, _LEAST_ZEROS * seen.size) or zeros == seen.size or seen.min() < 0:
        return False
    above = seen[seen > 0].astype(np.float64)
    step = _LEAST_STEP * float(np.percentile(above, 99))
    return bool(np.count_nonzero(above < step) <= _MOST_BETWEEN * zeros)
