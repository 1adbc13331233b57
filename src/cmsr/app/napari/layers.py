"""Image layers as rasters and back: values, units, and where an image of the same field lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from cmsr.errors import InputError
from cmsr.io.arrays import in_memory
from cmsr.io.raster import Raster
from cmsr.result import Result

UNIT, FILE = "unit", "file"
"""Keys of a layer's metadata: the unit of its values, and the file that it was read from."""


def raster_of(layer: Image) -> Raster:
    """Return a layer's values: one plane, colours, or bands along its first axis.

    Raises
    ------
    InputError
        If it is no such image.
    """
    array = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    if layer.rgb:
        array = array[..., :3]
    else:
        array = array.reshape([n for n in array.shape[:-2] if n > 1] + [*array.shape[-2:]])
        array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array
    if array.ndim - layer.rgb > 3:
        raise InputError(
            f"{layer.name}: has {layer.data.ndim} axes; expected one image, or bands of one"
        )
    bands = array.shape[2] if array.ndim == 3 else 1
    unit = layer.metadata.get(UNIT) or ""
    return in_memory(array, layer.name, axis=2, units=[unit] * bands)


def on_field_of(field: Image, shape: tuple[int, int], ndim: int = 2) -> dict[str, Any]:
    """Return the place of an image that shows the field of a layer in another number of pixels.

    Parameters
    ----------
    field : Image
        The layer.
    shape : (int, int)
        Height and width of the image.
    ndim : int
        Its axes; the last ones are the layer's last ones.

    Returns
    -------
    dict
        For a new layer: ``scale``, ``units``, and ``translate`` or ``affine``.
    """
    size = size_of(field)
    step = np.array([1.0] * (ndim - 2) + [old / new for old, new in zip(size, shape, strict=True)])
    scale = np.asarray(field.scale)[-ndim:]
    first, *units = (_in_world(field, point) for point in ((step - 1) / 2, *np.eye(ndim)))
    turned = np.stack([unit - _in_world(field, np.zeros(ndim)) for unit in units], 1) / scale
    place = {"scale": scale * step, "units": field.units[-ndim:]}
    if np.allclose(turned, np.eye(ndim)):
        return {**place, "translate": first}
    last = [*np.zeros(ndim), 1.0]
    return {**place, "affine": np.vstack([np.column_stack([turned, first]), last])}


def layers_of(result: Result, target: Image) -> list[Image]:
    """Return what a run gave as layers over the target's, the sharpened image last, on top."""
    hidden = {"visible": False}
    made: list[Image] = []
    if result.warped_guide is not None:
        guide, weight = result.warped_guide, result.guide_weight
        made = [
            _layer(guide, target, "moved guide", rgb=guide.ndim == 3, **hidden),
            _layer(weight, target, "guide weight", contrast_limits=(0, 1), **hidden),
        ]
        made[1].colormap = "viridis"
    error, unit = result.error, _unit(target)
    if error is not None:
        error = error.max(-1) if target.rgb else error
        made.append(
            _layer(error, target, "expected error", colormap="magma", metadata=unit, **hidden)
        )
    about = {"metadata": {**unit, "cmsr": result.info}, "gamma": target.gamma}
    if not target.rgb:
        about |= {"colormap": target.colormap, "contrast_limits": target.contrast_limits}
    return [*made, _layer(_holes_as_nan(result), target, "sharp", rgb=target.rgb, **about)]


def _holes_as_nan(result: Result) -> npt.NDArray[Any]:
    """Return the image; in floats, holes are drawn as nothing."""
    if result.image.dtype.kind != "f" or result.valid.all():
        return result.image
    valid = result.valid if result.image.ndim == 2 else result.valid[..., None]
    return np.where(valid, result.image, np.nan)


def _layer(
    image: npt.NDArray[Any], target: Image, what: str, *, rgb: bool = False, **about: Any
) -> Image:
    """Return a layer of an image (H, W) or (H, W, C) on the target's field."""
    place = on_field_of(target, image.shape[:2], 2 if rgb else image.ndim)
    values = np.moveaxis(image, -1, 0) if image.ndim == 3 and not rgb else image
    return Image(values, name=f"{target.name}, {what}", rgb=rgb, **place, **about)


def _unit(layer: Image) -> dict[str, Any]:
    return {UNIT: layer.metadata[UNIT]} if UNIT in layer.metadata else {}


def _in_world(layer: Image, point: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return where a point in a layer's last axes lies in those of the world."""
    whole = np.concatenate([np.zeros(layer.ndim - len(point)), point])
    return np.asarray(layer.data_to_world(whole), np.float64)[-len(point) :]


def size_of(layer: Image) -> tuple[int, int]:
    """Return height and width in pixels."""
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    height, width = shape[-3:-1] if layer.rgb else shape[-2:]
    return height, width
