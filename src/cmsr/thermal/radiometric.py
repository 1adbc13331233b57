"""Radiometric JPEGs: temperatures and photo of FLIR's cameras, raw counts of DJI's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cmsr.config import RADIOMETRIC, Config
from cmsr.errors import InputError
from cmsr.io.raster import Raster, from_array
from cmsr.thermal import dji, flir
from cmsr.thermal.parallax import displacement

_MAX_JPEG = 2**28
"""Largest JPEG file that is searched for a camera's records, in bytes."""


def read(
    path: Path, name: str, config: Config, notes: list[str]
) -> tuple[Raster, Raster | None] | None:
    """Read a thermal camera's JPEG: °C and photo (FLIR), or counts (DJI); None for any other."""
    if path.suffix.lower() not in (".jpg", ".jpeg") or path.stat().st_size > _MAX_JPEG:
        return None
    content = path.read_bytes()
    image = flir.read(content, name)
    if image is not None:
        return _flir(image, name, config, notes)
    raw = dji.counts(content)
    if raw is None:
        return None
    refuse(config, name)
    notes.append(
        f"{name}: raw counts, not temperatures: only DJI's Thermal SDK reads DJI's calibration"
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
    profile = {"camera": "FLIR", "descriptions": ["temperature"], "units": ["°C"]}
    target = from_array(celsius, name, **profile)
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
    """Cut the photo to the thermal image's field of view, corrected for parallax."""
    known = np.isfinite(celsius)
    middle = np.median(celsius[known]) if known.any() else 0.0
    down, right = displacement(
        np.where(known, celsius, middle), photo, flir.shown(photo), image.box()
    )
    if down or right:
        notes.append(
            f"{name}: the photo is moved by {right:+.0f} pixels horizontally and {down:+.0f} "
            "vertically from the camera's placement"
        )
    part, valid = flir.cut(photo, image.box() + np.array([down, right, down, right]))
    return replace(from_array(part, f"{name} (its photo)"), valid=valid)


def refuse(config: Config, name: str) -> None:
    """Refuse the options of temperatures for a target without them.

    Raises
    ------
    OptionError
        If one is given.
    """
    config.refuse(RADIOMETRIC, f"requires a radiometric JPEG by FLIR; {name} is none")
