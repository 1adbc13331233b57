"""Fields of view of target and photo that options or files name, as priors with a width."""

from __future__ import annotations

import math
from pathlib import Path

from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.io import image_files
from cmsr.io.lens import Lens, lens
from cmsr.registration.far_search import FIELDS
from cmsr.registration.placement import KNOWN_SPREAD, Prior
from cmsr.registration.transforms import Size
from cmsr.thermal.lens import CameraFields, camera_of

ANGLE_SPREAD, PLACEMENT_SPREAD = 0.08, 0.1
"""Spread of the logarithm of the fields that a thermal camera's records tell, by eye."""


def known_field(config: Config, target: Size, photo: Size) -> float | None:
    """Return the photo's field in those of the target, along diagonals, if the options tell it."""
    if config.field_of_view is None:
        return None
    here, there = (math.tan(math.radians(angle) / 2) for angle in config.field_of_view)
    diagonals = [math.hypot(*size) / size[1] for size in (photo, target)]
    return there / here * diagonals[0] / diagonals[1]


def fields_in_files(target: str, photo: str, sizes: tuple[Size, Size]) -> list[Prior]:
    """Return what files tell of the photo's field in those of the target, surest first.

    Parameters
    ----------
    target, photo : str
        Names of the files.
    sizes : (Size, Size)
        Of both images.
    """
    thermal = _records(target)
    told = list[Prior]()
    here, there = lens(target) or _lens_of(thermal, sizes[0]), lens(photo)
    if here is not None and there is not None:
        told.append(Prior(there.tangent / here.tangent, math.hypot(here.spread, there.spread)))
    if thermal is not None and thermal.wider and thermal.camera == _camera(photo):
        told += [Prior(_diagonal(wider, *sizes), PLACEMENT_SPREAD) for wider in thermal.wider]
    told = [prior._replace(spread=max(prior.spread, KNOWN_SPREAD)) for prior in told]
    return [prior for prior in told if FIELDS[0] <= prior.field <= FIELDS[1]]


def _lens_of(thermal: CameraFields | None, size: Size) -> Lens | None:
    if thermal is None or thermal.angle is None:
        return None
    tangent = math.tan(math.radians(thermal.angle) / 2) * math.hypot(*size) / size[1]
    return Lens(tangent, ANGLE_SPREAD)


def _diagonal(wider: float, target: Size, photo: Size) -> float:
    """Return along diagonals what a camera's placement tells of the sides that fit closer."""
    unit = min(n / m for n, m in zip(photo, target, strict=True)) / wider
    return math.hypot(*photo) / (unit * math.hypot(*target))


def _records(name: str) -> CameraFields | None:
    path = _path(name)
    return None if path is None else CameraFields.of(path)


def _camera(name: str) -> tuple[str, str] | None:
    path = _path(name)
    camera = ("", "") if path is None else camera_of(path)
    return camera if any(camera) else None


def _path(name: str) -> Path | None:
    try:
        path = Path(image_files.locate(name)[0])
        return path if path.is_file() else None
    except (InputError, OSError, ValueError):
        return None
