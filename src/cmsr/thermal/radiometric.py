"""Radiometric files, known by their content: FLIR's temperatures and photo, DJI's counts or °C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cmsr.config import RADIOMETRIC, Config
from cmsr.errors import InputError
from cmsr.io.jpeg import segments
from cmsr.io.orientation import turned
from cmsr.io.raster import Raster, from_array
from cmsr.thermal import dji, dji_program, exif, fff, flir, measured, photo

_MAX_JPEG = 2**28
"""Largest JPEG file that is searched for a camera's records, in bytes."""

_ENLARGED = 2
"""Ratio of a result whose photo shows the target's field no finer than the sensor does."""


class Thermal(NamedTuple):
    """A thermal image, and what finds the photo in the same file on its field."""

    target: Raster
    photo: Callable[[list[str]], Raster] | None = None


@contextmanager
def _mapped(file: IO[bytes]) -> Iterator[mmap]:
    with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        yield content


def holds(path: Path) -> bool:
    """Tell whether a file is a camera's container, or a JPEG with raw thermal data."""
    if not path.is_file():
        return False
    about = path.stat()
    return _holds(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=64)
def _holds(path: Path, _changed: int, _size: int) -> bool:
    """Look into a file once, until it changes: it is asked for several times in a run."""
    return _magic(path) in fff.MAGIC or _is_radiometric(segments_of(path))


def _magic(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(4)


def segments_of(path: Path) -> list[tuple[int, bytes]]:
    """Return the segments of a JPEG before its picture; none of any other file."""
    if _magic(path)[:2] != b"\xff\xd8" or path.stat().st_size > _MAX_JPEG:
        return []
    return list(segments(path.read_bytes()))


def _is_radiometric(parts: list[tuple[int, bytes]]) -> bool:
    return bool(parts) and (bool(fff.joined(parts)) or dji.counts(parts) is not None)


def frames(path: Path, name: str) -> int:
    """Return how many frames a camera's container holds; 0 of any other file.

    Raises
    ------
    InputError
        If it is broken.
    """
    if _magic(path) not in fff.MAGIC:
        return 0
    try:
        with path.open("rb") as file, _mapped(file) as content:
            return len(fff.frames(content))
    except ValueError as error:
        raise InputError(f"{name}: its FLIR records are broken ({error})") from error


def read(path: Path, member: str, name: str, config: Config, notes: list[str]) -> Thermal | None:
    """Read a thermal camera's file, or the frame of it that is named; None of any other file.

    Raises
    ------
    InputError
        If it is one, but holds no image that can be read, or no such frame.
    OptionError
        If an option of the temperatures cannot act on it.
    """
    if _magic(path) in fff.MAGIC:
        return _frame(path, member, name, config, notes)
    parts = segments_of(path)
    if not parts:
        return None
    about, container = exif.read(parts), fff.joined(parts)
    if container and not member:
        return _flir(flir.read(container, name), about, name, config, notes)
    raw = None if member else dji.counts(parts)
    if raw is not None:
        return Thermal(_dji(path, raw, about, name, config, notes))
    _tell_of_picture(about, name, notes)
    return None


def _frame(path: Path, member: str, name: str, config: Config, notes: list[str]) -> Thermal:
    try:
        with path.open("rb") as file, _mapped(file) as content:
            places = fff.frames(content)
            number = int(member or "1")
            if not 1 <= number <= len(places):
                raise InputError(
                    f"{name}: has no such frame; frames are numbered 1 to {len(places)}"
                )
            image = flir.read(content, name, places[number - 1])
    except ValueError as error:
        raise InputError(f"{name}: not a frame that can be read ({error})") from error
    return _flir(image, exif.Exif(), name, config, notes)


def _flir(
    image: flir.Flir, about: exif.Exif, name: str, config: Config, notes: list[str]
) -> Thermal:
    notes.extend(f"{name}: {fault}" for fault in image.faults)
    values, facts = _values(image, name, config, notes)
    camera = {"maker": about.maker or "FLIR", "model": image.model or about.model or None, **facts}
    broken = any("broken" in fault for fault in image.faults)
    camera["photo"] = "broken" if broken else _size(image.photo)
    kind = "temperature" if facts else "counts"
    target = _upright(values, about.orientation, name, kind, camera)
    if image.photo is None:
        return Thermal(target)
    return Thermal(target, partial(_photo, image, image.photo, values, about, target))


def _values(
    image: flir.Flir, name: str, config: Config, notes: list[str]
) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Return °C and what they are computed with, or counts where there is no calibration."""
    if image.sensor is None or image.conditions is None:
        config.refuse(RADIOMETRIC, f"requires a calibration; {name} holds none")
        return image.counts, {}
    given = measured.overrides(config)
    conditions = replace(image.conditions, **given)
    notes.extend(f"{name}: {doubt}" for doubt in measured.impossible(conditions))
    try:
        return image.celsius(**given), measured.facts(conditions)
    except InputError as error:
        doubts = measured.impossible(conditions) or [str(error)]
        raise InputError(f"{name}: {'; '.join(doubts)}") from error


def _photo(
    image: flir.Flir,
    whole: photo.Photo,
    values: npt.NDArray[Any],
    about: exif.Exif,
    target: Raster,
    notes: list[str],
) -> Raster:
    """Cut the photo to the thermal image's field of view, corrected for parallax."""
    name, known = target.name, np.isfinite(values)
    notes.append(
        f"{name}: {'temperatures in °C' if image.sensor else 'counts'}, and the photo in the same "
        "file; edges in the camera's own picture (MSX) are the photo's, not the sensor's"
    )
    filled = np.where(known, values, np.median(values[known]) if known.any() else 0.0)
    part, seen, said = photo.placed(whole, filled, image.placement, about.digital_zoom)
    rows, cols = values.shape
    if part.shape[0] < rows or part.shape[1] < cols:
        said.append(
            f"the photo shows the target's field in {part.shape[1]} × {part.shape[0]} pixels, "
            f"fewer than the sensor's {cols} × {rows}; the result has {_ENLARGED} times the "
            "sensor's resolution, and the photo adds little"
        )
        part, seen = photo.resized(part, seen, (_ENLARGED * rows, _ENLARGED * cols))
    notes.extend(f"{name}: {text}" for text in said)
    upright = turned(np.moveaxis(part, -1, 0), about.orientation)
    cut = from_array(np.ascontiguousarray(np.moveaxis(upright, 0, -1)), f"{name} (its photo)")
    return cut.with_measured(np.ascontiguousarray(turned(seen, about.orientation))[None])


def _dji(
    path: Path,
    raw: npt.NDArray[np.uint16],
    about: exif.Exif,
    name: str,
    config: Config,
    notes: list[str],
) -> Raster:
    """Return °C by the program that the user has installed, else counts and what to install."""
    camera = {"maker": about.maker or "DJI", "model": about.model or None}
    if dji_program.installed() is None:
        config.refuse(RADIOMETRIC, f"has no effect on counts such as {name}; {dji_program.INSTALL}")
        notes.append(f"{name}: raw counts, not temperatures: {dji_program.INSTALL}")
        return _upright(raw, about.orientation, name, "counts", camera)
    config.refuse(["atmospheric_temperature"], f"has no effect on a file by DJI such as {name}")
    try:
        found = dji_program.measured(path.read_bytes(), name, (raw.shape[0], raw.shape[1]), config)
    except InputError as error:
        if measured.overrides(config):
            raise
        notes.append(f"{error}: the values are counts, not °C")
        return _upright(raw, about.orientation, name, "counts", camera)
    notes.append(f"{name}: temperatures in °C by {found.facts['reader']}")
    return _upright(found.celsius, about.orientation, name, "temperature", camera | found.facts)


def _size(image: npt.NDArray[Any] | None) -> str | None:
    return None if image is None else f"{image.shape[1]} × {image.shape[0]}"


def _upright(
    values: npt.NDArray[Any], orientation: int, name: str, kind: str, camera: dict[str, Any]
) -> Raster:
    unit = "°C" if kind == "temperature" else kind
    image = np.ascontiguousarray(turned(values, orientation))
    return from_array(image, name, camera=camera, descriptions=[kind], units=[unit])


def _tell_of_picture(about: exif.Exif, name: str, notes: list[str]) -> None:
    """Say of a FLIR camera's picture that its temperatures are lost."""
    if "FLIR" in about.maker.upper():
        notes.append(
            f"{name}: was taken by a FLIR camera, but its raw thermal data are gone: only a "
            "coloured picture is left, which may show edges of the photo (MSX); temperatures need "
            "the camera's original file"
        )


def refuse(config: Config, name: str) -> None:
    """Refuse the options of temperatures for a target without them.

    Raises
    ------
    OptionError
        If one is given.
    """
    config.refuse(RADIOMETRIC, f"requires a radiometric file by FLIR or DJI; {name} is not one")
