"""What was measured stays, what was not never leaks: masks, sentinels and holes of each band."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.transform import from_origin

import cmsr
from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.io import image_files, inputs
from tests.conftest import SyntheticPair

HOLE = np.s_[4:9, 10:15]
GROUND = {"crs": "EPSG:32633", "transform": from_origin(600_000, 5_200_000, 4, 4)}


def written(path: Path, bands: np.ndarray, **options: Any) -> Path:
    count, height, width = bands.shape
    with rasterio.open(
        path, "w", "GTiff", width, height, count, dtype=bands.dtype, **GROUND, **options
    ) as file:
        file.write(bands)
    return path


def upscaled(path: Path, *more: str) -> Path:
    out = path.with_name("out.tif")
    options = ["--ratio", "2", "--preset", "fast", "--overwrite", *more]
    assert main(["upscale", str(path), "-o", str(out), "--quiet", *options]) == 0
    return out


def celsius(pair: SyntheticPair, dtype: str = "float32") -> np.ndarray:
    return (20 + 15 * pair.target).astype(dtype)[None]


def test_a_masked_array_has_holes(pair: SyntheticPair) -> None:
    mask = np.zeros(pair.target.shape, bool)
    mask[HOLE] = True
    values = np.where(mask, -9999, celsius(pair)[0])
    result = cmsr.upscale(np.ma.masked_array(values, mask), ratio=2, preset="fast")
    assert np.array_equal(result.valid, ~mask.repeat(2, 0).repeat(2, 1))
    assert np.isnan(result.image[~result.valid]).all()
    assert 15 < result.image[result.valid].min() < result.image[result.valid].max() < 40


def test_each_band_keeps_its_own_holes(tmp_path: Path, pair: SyntheticPair) -> None:
    bands = np.concatenate([celsius(pair), celsius(pair) / 2])
    bands[0][HOLE] = bands[1, 15:20, 20:] = -9999
    with rasterio.open(upscaled(written(tmp_path / "t.tif", bands, nodata=-9999))) as file:
        masks = file.read_masks() > 0
        assert file.read().max() < 40
    assert np.array_equal(masks, (bands != -9999).repeat(2, 1).repeat(2, 2))


@pytest.mark.parametrize("internal", ["YES", "NO"])
def test_a_mask_comes_back_as_a_mask(tmp_path: Path, pair: SyntheticPair, internal: str) -> None:
    values = (100 * celsius(pair)).astype(np.uint16)
    values[0][HOLE] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        path = written(tmp_path / "t.tif", values)
        with rasterio.open(path, "r+") as file:
            file.write_mask(values[0] > 0)
    assert (tmp_path / "t.tif.msk").exists() == (internal == "NO")
    with rasterio.open(upscaled(path)) as file:
        assert file.mask_flag_enums == ([MaskFlags.per_dataset],)
        seen, image = file.read_masks(1) > 0, file.read(1)
    assert np.array_equal(seen, (values[0] > 0).repeat(2, 0).repeat(2, 1))
    assert image[~seen].max() == 0
    assert image[seen].min() > 1500
    assert main(["upscale", str(path), "-o", str(tmp_path / "o.png"), "--ratio", "2"]) == 0
    again = image_files.read(tmp_path / "o.png")
    assert np.array_equal(again.valid, seen)


@pytest.mark.parametrize(("dtype", "top"), [("float32", 255), ("float32", 1), ("uint16", 65535)])
def test_alpha_comes_back_with_its_range_and_the_colours_theirs(
    tmp_path: Path, pair: SyntheticPair, dtype: str, top: int
) -> None:
    alpha = np.full((1, *pair.target.shape), top)
    alpha[0][HOLE] = 0
    bands = np.concatenate([celsius(pair), 2 * celsius(pair), 3 * celsius(pair), alpha])
    path = written(tmp_path / "t.tif", bands.astype(dtype))
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = colours
    with rasterio.open(upscaled(path)) as file:
        assert file.colorinterp == colours
        assert np.array_equal(file.read(4), alpha[0].repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float32", -9999),
        ("uint16", 65535),
        ("int16", -32768),
        ("float32", np.finfo(np.float32).min),
        ("float64", 9.969209968386869e36),
    ],
)
def test_a_sentinel_that_nobody_declared_is_recognised(
    tmp_path: Path, pair: SyntheticPair, dtype: str, value: float
) -> None:
    values = (celsius(pair) * (1 if dtype.startswith("float") else 100)).astype(dtype)
    values[0][HOLE] = value
    path = written(tmp_path / "t.tif", values)
    target, _, notes = inputs.read_pair(path, None, Config(ratio=2))
    assert (~target.valid).sum() == 25
    assert "is treated as no measurement" in notes[0]
    with rasterio.open(upscaled(path)) as file:
        assert file.nodata == value
        assert (file.read_masks(1) == 0).sum() == 100
    assert inputs.read_pair(path, None, Config(ratio=2, invalid="none"))[0].valid.all()


def test_a_hot_lamp_and_a_class_map_are_values(pair: SyntheticPair) -> None:
    lamp = (30_000 + 20_000 * pair.target).astype(np.uint16)
    lamp[HOLE] = 65535
    classes = np.where(pair.target > 0.5, 999, 1).astype(np.int16)
    for image in (lamp, classes):
        assert inputs.read_pair(image, None, Config(ratio=2))[0].valid.all()


def test_what_stands_beside_a_file_is_read_and_nothing_is_left_there(
    tmp_path: Path, pair: SyntheticPair
) -> None:
    values = celsius(pair)
    values[0][HOLE] = -5
    path = written(tmp_path / "t.tif", values)
    (tmp_path / "t.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><NoDataValue>-5</NoDataValue></PAMRasterBand>'
        "</PAMDataset>"
    )
    with rasterio.open(upscaled(path)) as file:
        assert (file.nodata, (file.read_masks(1) == 0).sum()) == (-5, 100)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.tif", "t.tif", "t.tif.aux.xml"]


def test_rows_keep_holes_as_the_whole_does(tmp_path: Path, pair: SyntheticPair) -> None:
    values = (100 * celsius(pair)).astype(np.uint16)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"):
        path = written(tmp_path / "t.tif", values)
        with rasterio.open(path, "r+") as file:
            file.write_mask(np.arange(values.size).reshape(values[0].shape) > 99)
    with rasterio.open(upscaled(path)) as file:
        whole = file.read(), file.read_masks()
    with rasterio.open(upscaled(path, "--workers", "1")) as file:
        assert all(map(np.array_equal, whole, (file.read(), file.read_masks())))
