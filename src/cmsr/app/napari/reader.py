"""Open what thermal cameras write: temperatures as a layer, the photo in the file as another."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.app.napari.layers import FILE, UNIT
from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.io import inputs
from cmsr.io.raster import Raster
from cmsr.thermal import radiometric

Layer = tuple[npt.NDArray[Any], dict[str, Any], str]
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def reader_of(path: Paths) -> Callable[[Paths], list[Layer]] | None:
    """Return what reads a file, or several; None where one of them is no file.

    A JPEG by any other camera is opened as the picture that it is.
    """
    return read if all(file.is_file() for file in _files(path)) else None


def read(path: Paths) -> list[Layer]:
    """Return the layers of files, each from bottom to top."""
    return [layer for file in _files(path) for layer in _layers(file)]


def _files(path: Paths) -> list[Path]:
    some = [path] if isinstance(path, str | os.PathLike) else path
    return [Path(file) for file in some]


def _layers(file: Path) -> list[Layer]:
    if not radiometric.holds(file):
        return [_layer(inputs.read_guide(str(file), Config()), file.stem)]
    notes: list[str] = []
    target, find = inputs.read_target(str(file), Config(), notes)
    unit = target.unit()[2]
    about = {"metadata": {UNIT: unit, FILE: str(file), "notes": notes}, "colormap": "inferno"}
    thermal = _layer(target, f"{file.stem}, {unit}", **about)
    photo = _photo(find, notes)
    if photo is None:
        return [thermal]
    return [_photo_layer(photo, target, file), thermal]


def _photo(find: Callable[[list[str]], Raster] | None, notes: list[str]) -> Raster | None:
    """Return the photo in a thermal camera's file; None of a file whose photo is broken, too."""
    try:
        return None if find is None else find(notes)
    except InputError as error:
        notes.append(str(error))
        return None


def _photo_layer(photo: Raster, target: Raster, file: Path) -> Layer:
    """Return a photo that lies over the target of the same file."""
    step = np.divide(target.shape, photo.shape)
    place = {"scale": step, "translate": (step - 1) / 2, "metadata": {FILE: str(file)}}
    return _layer(photo, f"{file.stem}, photo", **place)


def _layer(raster: Raster, name: str, **about: Any) -> Layer:
    rgb = len(raster.data) == 3
    data = np.moveaxis(raster.data, 0, -1) if rgb else raster.data
    if data.dtype.kind == "f":
        data = np.where(raster.valid[..., None] if rgb else raster.valid, data, np.nan)
    values = data[0] if len(raster.data) == 1 else data
    return values, {"name": name, "rgb": rgb, **about}, "image"
