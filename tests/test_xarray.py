"""DataArrays: dimensions by name, coordinates of the new pixels, coordinate system, packing."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cmsr
from cmsr.errors import InputError
from cmsr.io import image_files
from cmsr.io.arrays import in_memory
from cmsr.labelled import _between
from tests.conftest import SyntheticPair, render_pair

xr = pytest.importorskip("xarray")
pytest.importorskip("rioxarray")

QUICK: dict[str, Any] = {"preset": "fast", "align": "off", "kernel": "bicubic"}


def placed(values: np.ndarray, side: float, dims: str = "y x", corner: float = 500.0) -> Any:
    """Lay an image on the ground: its upper left corner at (corner, -corner), pixels of a side."""
    names = dims.split()
    height, width = (values.shape[names.index(name)] for name in ("y", "x"))
    places = {"y": -corner - side * (np.arange(height) + 0.5),
              "x": corner + side * (np.arange(width) + 0.5)}  # fmt: skip
    array = xr.DataArray(values, places, names, name="t", attrs={"units": "degC", "res": (1, 1)})
    return array.rio.write_crs(32633).rio.write_transform()


@pytest.fixture(scope="module")
def pair() -> SyntheticPair:
    return render_pair((48, 64), (12, 16))


@pytest.fixture
def thermal(pair: SyntheticPair) -> Any:
    return placed(pair.target.astype(np.float32), 8.0)


def side(pair: SyntheticPair) -> float:
    return 8.0 * pair.target.shape[0] / pair.guide.shape[0]


def test_the_accessor_gives_what_arrays_give_at_the_new_pixels(
    thermal: Any, pair: SyntheticPair
) -> None:
    import cmsr.xarray

    sharp = thermal.cmsr.upscale(pair.guide, **QUICK)
    plain = cmsr.upscale(pair.target.astype(np.float32), pair.guide, **QUICK)
    assert np.array_equal(sharp, plain.image)
    expected = placed(plain.image, side(pair))
    for name in ("x", "y"):
        assert np.allclose(sharp[name], expected[name], atol=1e-9)
    assert sharp.rio.crs == thermal.rio.crs
    assert sharp.rio.transform().almost_equals(expected.rio.transform())
    assert sharp.spatial_ref.attrs["GeoTransform"] == expected.spatial_ref.attrs["GeoTransform"]
    assert (sharp.name, sharp.attrs, sharp.dtype) == ("t", {"units": "degC"}, np.float32)
    assert isinstance(cmsr.xarray.Accessor, type)


def test_dimensions_and_bands_are_known_by_name(thermal: Any, pair: SyntheticPair) -> None:
    both = xr.concat([thermal, 2 * thermal], "band").assign_coords(band=["a", "b"])
    photo = placed(pair.guide, side(pair), "y x band")
    usual = cmsr.upscale(both, photo, **QUICK)
    assert usual.image.dims == ("band", "y", "x")
    assert usual.valid.dims == usual.guide_weight.dims == ("y", "x")
    assert usual.error.dims == usual.image.dims
    turned = cmsr.upscale(both.transpose("x", "band", "y"), photo.transpose("band", "x", "y"),
                          **QUICK).image  # fmt: skip
    assert turned.dims == ("x", "band", "y")
    assert turned.transpose("band", "y", "x").identical(usual.image)
    second = cmsr.upscale(both, photo, bands=(2,), **QUICK).image
    assert second.dims == ("y", "x")
    assert second.band == "b"
    assert usual._repr_html_() is not None


def test_a_guide_elsewhere_crops_the_target(thermal: Any, pair: SyntheticPair) -> None:
    photo = placed(pair.guide, side(pair), "y x band").isel(y=slice(16, None), x=slice(8, 48))
    result = cmsr.upscale(thermal, photo, **QUICK)
    assert np.allclose(result.image.x, photo.x)
    assert np.allclose(result.image.y, photo.y)
    assert any("cropped to" in note for note in result.info["notes"])
    whole = cmsr.upscale(thermal, photo, extent="target", **QUICK).image
    assert whole.shape == pair.guide.shape[:2]


def test_a_file_and_a_data_array_are_one_pair(
    tmp_path: Path, thermal: Any, pair: SyntheticPair
) -> None:
    photo = placed(pair.guide, side(pair), "y x band")
    photo.transpose("band", "y", "x").rio.to_raster(tmp_path / "photo.tif")
    by_file = cmsr.upscale(thermal, str(tmp_path / "photo.tif"), **QUICK)
    assert by_file.image.identical(cmsr.upscale(thermal, photo, **QUICK).image)
    bare = cmsr.upscale(thermal.drop_vars(["x", "y", "spatial_ref"]), photo, **QUICK).image
    assert np.allclose(bare.x, photo.x)
    assert bare.rio.crs == photo.rio.crs


def test_coordinates_of_any_kind(thermal: Any, pair: SyntheticPair) -> None:
    rows, cols = thermal.shape
    uneven = thermal.drop_vars("spatial_ref").assign_coords(
        y=np.arange(rows) ** 1.5, when=np.datetime64("2024-05-01", "ns"), row=("y", ["r"] * rows),
        lat=(("y", "x"), np.add.outer(2.0 * np.arange(rows), np.arange(cols))),
    )  # fmt: skip
    image = cmsr.upscale(uneven, pair.guide, **QUICK).image
    assert {*image.coords} == {"x", "y", "when", "lat"}
    assert np.allclose(image.lat[:, 0].diff("y"), 2 * rows / len(image.y))
    middle = np.interp(np.arange(len(image.y)) / 4 - 0.375, np.arange(rows), uneven.y)
    assert np.allclose(image.y[2:-2], middle[2:-2])


def test_new_centres_lie_between_the_old_ones() -> None:
    assert _between(np.array([10.0, 20.0]), 0, 0, 2, 4).tolist() == [7.5, 12.5, 17.5, 22.5]
    assert _between(np.array([10.0, 20.0, 30.0]), 0, 1, 2, 2).tolist() == [20.0, 30.0]


def test_holes_and_packing_come_back(tmp_path: Path, pair: SyntheticPair) -> None:
    values = (100 * pair.target / pair.target.max()).astype(np.float32) * 2.55
    values[4:7, 5:8] = np.nan
    packed = placed(values, 8.0)
    packing = {"dtype": "int16", "_FillValue": 32767, "scale_factor": 255 / 32766}
    packed.encoding = packing | {"chunksizes": (4, 4)}
    image = cmsr.upscale(packed, pair.guide, **QUICK).image
    assert image.encoding == packing
    assert float(image.max()) <= 255
    image.to_netcdf(tmp_path / "a.nc", engine="scipy")
    with xr.open_dataarray(tmp_path / "a.nc") as back:
        assert np.array_equal(np.isnan(back), np.isnan(image))
        assert float(abs(back - image).max()) <= 0.51 * 255 / 32766
    stored = placed(np.where(np.isnan(values), 255, values).astype(np.uint8), 8.0)
    stored.attrs |= {"_FillValue": 255, "scale_factor": 0.1}
    raw = cmsr.upscale(stored, pair.guide, **QUICK)
    assert raw.image.dtype == np.uint8
    assert np.array_equal(raw.image == 255, ~raw.valid)
    assert raw.evidence is not None
    assert raw.evidence.target.unit() == (0.1, 0.0, "degC")


def test_pixel_numbers_are_no_place_on_the_ground(pair: SyntheticPair) -> None:
    low = xr.DataArray(pair.target, {"y": range(len(pair.target))}, ("y", "x"))
    low = low.assign_coords(x=range(low.sizes["x"]))
    high = xr.DataArray(pair.guide, dims=("y", "x", "band"))
    high = high.assign_coords(y=range(high.sizes["y"]), x=range(high.sizes["x"]))
    assert cmsr.upscale(low, high, **QUICK).image.shape == pair.guide.shape[:2]


@pytest.mark.parametrize(
    ("dims", "words"),
    [
        ("time band y x", "(time, band, y, x); expected rows, columns and at most one more"),
        ("u v w", "which of its dimensions (u, v, w) are rows and columns"),
    ],
)
def test_what_the_names_do_not_tell_is_asked_for(dims: str, words: str) -> None:
    cube = xr.DataArray(np.zeros((2,) * (len(dims.split()) - 2) + (8, 9)), dims=dims.split())
    with pytest.raises(InputError, match=re.escape(words)):
        cmsr.upscale(cube, ratio=2)
    if dims == "u v w":
        assert in_memory(cube, "target", 0).data.shape == (2, 8, 9)


def test_a_dataset_is_no_image() -> None:
    with pytest.raises(InputError, match="a Dataset of t, u is no image; name one variable"):
        cmsr.upscale(xr.Dataset({"t": 1, "u": 2}), ratio=2)


def test_written_and_read_again(tmp_path: Path, thermal: Any) -> None:
    sharp = cmsr.upscale(thermal, ratio=2, preset="fast").image
    sharp.rio.to_raster(tmp_path / "o.tif")
    back = image_files.read(tmp_path / "o.tif")
    assert back.profile["transform"].a == 4
    assert np.array_equal(back.data[0], sharp)
