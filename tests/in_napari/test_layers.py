"""Layers become arrays and arrays layers, each in its place, each value in its unit."""

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image

import cmsr
from cmsr.app.napari import points
from cmsr.app.napari.layers import on_field_of, raster_of
from cmsr.app.napari.sharpen import sharpen
from cmsr.errors import InputError
from tests.conftest import render_pair

PLACES = [
    {},
    {"scale": (2, 3), "translate": (5, -7)},
    {"scale": (2, 3), "rotate": 30, "translate": (1, 1)},
    {"scale": (2, 3), "shear": [0.3], "affine": [[0.5, 0.1, 3], [0, 2, 4], [0, 0, 1]]},
]


def corners(layer: Image) -> np.ndarray:
    """Where the outer corners of a layer's first and last pixels lie."""
    height, width = layer.data.shape[:2]
    ends = ((-0.5, -0.5), (-0.5, width - 0.5), (height - 0.5, -0.5), (height - 0.5, width - 0.5))
    return np.array([layer.data_to_world(end) for end in ends])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shape", [(24, 32), (9, 20)])
def test_finer_images_cover_the_same_field(place: dict, shape: tuple[int, int]) -> None:
    field = Image(np.zeros((6, 8)), units=("mm", "mm"), **place)
    finer = Image(np.zeros(shape), **on_field_of(field, shape))
    assert np.allclose(corners(finer), corners(field))
    assert np.allclose(np.divide(finer.scale, field.scale), np.divide((6, 8), shape))
    assert finer.units == field.units


def test_a_plane_over_a_stack_lies_on_its_last_axes() -> None:
    stack = Image(np.zeros((3, 6, 8)), scale=(9, 2, 3), translate=(1, 5, 7))
    place = on_field_of(stack, (12, 16))
    assert np.allclose(place["scale"], (1, 1.5))
    assert np.allclose(place["translate"], (5 - 0.5, 7 - 0.75))


def test_values_of_layers_of_every_kind() -> None:
    values = np.random.default_rng(0).integers(0, 255, (5, 12, 16), np.uint8)
    bands, plane = Image(values, metadata={"unit": "m"}), Image(values[:1])
    colours = Image(np.moveaxis(values[:4], 0, -1), rgb=True)
    coarser = Image([values[0], values[0, ::2, ::2]], multiscale=True)
    assert np.array_equal(raster_of(bands).data, values)
    assert raster_of(bands).unit(4) == (1, 0, "m")
    assert np.array_equal(raster_of(plane).data, values[:1])
    assert np.array_equal(raster_of(colours).data, values[:3])
    assert np.array_equal(raster_of(coarser).data, values[:1])
    with pytest.raises(InputError, match="cube: has 4 axes; expected one image, or bands of one"):
        raster_of(Image(np.zeros((3, 5, 6, 7)), name="cube"))


def test_bands_and_colours_come_back_as_such() -> None:
    seen = render_pair((48, 64), (12, 16))
    bands = np.stack([seen.target, 1 - seen.target])
    photo = Image(seen.guide, rgb=True)
    options = {"preset": "fast", "align": "off"}
    *_, error, made = sharpen(Image(bands, name="bands"), photo, **options)
    direct = cmsr.upscale(np.moveaxis(bands, 0, -1), seen.guide, axis=2, **options)
    assert np.array_equal(made.data, np.moveaxis(direct.image, -1, 0))
    assert np.array_equal(error.data, np.moveaxis(direct.error, -1, 0))
    assert made.scale.tolist() == error.scale.tolist() == [1, 0.25, 0.25]
    colours = seen.guide[:12, :16]
    error, made = sharpen(Image(colours, rgb=True), ratio=2, preset="fast")
    direct = cmsr.upscale(colours, ratio=2, preset="fast")
    assert made.rgb
    assert np.array_equal(made.data, direct.image)
    assert np.array_equal(error.data, direct.error.max(-1))


def test_holes_are_not_drawn(pair: tuple[Image, Image]) -> None:
    holed = pair[0].data.copy()
    holed[4:9, 5:11] = np.nan
    (*_, made) = sharpen(Image(holed), ratio=2, preset="fast")
    assert np.isnan(made.data[8:18, 10:22]).all()
    assert np.isfinite(made.data).mean() > 0.9


@pytest.mark.parametrize("place", PLACES)
def test_points_are_places_in_the_pixels_of_their_images(place: dict, tmp_path: Path) -> None:
    target, guide = Image(np.zeros((6, 8)), **place), Image(np.zeros((24, 32)))
    here, there = points.empty_on(target), points.empty_on(guide)
    here.add([[0, 0], [2, 5]])
    there.add([[1.5, 1.5], [9.5, 21.5]])
    rows = points.rows_of(target, guide, here, there)
    assert np.allclose(rows, [[0.5, 0.5, 2, 2], [5.5, 2.5, 22, 10]])
    points.write(tmp_path / "points.csv", rows)
    read = cmsr.registration.points.read_points(str(tmp_path / "points.csv"))
    assert np.allclose(read, rows, atol=1e-4)
    assert here.features["number"].tolist() == [1, 2]
    there.add([3, 4])
    with pytest.raises(InputError, match=r"has 2 points, points on .* 3; set the same places in"):
        points.rows_of(target, guide, here, there)
