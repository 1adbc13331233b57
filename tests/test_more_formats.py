"""ENVI, HFA, ASCII grids, PFM and palettes are read; what is not is told how to become so."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin

from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.io import image_files, inputs
from tests.conftest import SyntheticPair

GROUND = {"crs": "EPSG:32633", "transform": from_origin(600_000, 5_200_000, 4, 4)}


@pytest.mark.parametrize(
    ("driver", "ending"), [("ENVI", "dat"), ("HFA", "img"), ("AAIGrid", "asc")]
)
def test_formats_of_remote_sensing(
    tmp_path: Path, pair: SyntheticPair, driver: str, ending: str
) -> None:
    low = pair.target.astype(np.float32)
    with rasterio.open(
        tmp_path / "t.tif", "w", "GTiff", 32, 24, 1, dtype="float32", **GROUND
    ) as file:
        file.write(low, 1)
    rasterio.shutil.copy(tmp_path / "t.tif", tmp_path / f"a.{ending}", driver=driver)
    raster = inputs.read_target(tmp_path / f"a.{ending}", Config(), []).target
    np.testing.assert_allclose(raster.data[0], low, rtol=1e-6)
    assert raster.profile["transform"] == GROUND["transform"]


@pytest.mark.parametrize(("order", "scale"), [("<f4", b"-1.0"), (">f4", b"1")])
@pytest.mark.parametrize("channels", [1, 3])
def test_portable_float_maps(tmp_path: Path, order: str, scale: bytes, channels: int) -> None:
    image = np.random.default_rng(0).normal(size=(6, 8, channels)).astype(np.float32)
    kind = b"Pf" if channels == 1 else b"PF"
    content = kind + b"\n8 6\n" + scale + b"\n" + image[::-1].astype(order).tobytes()
    (tmp_path / "a.pfm").write_bytes(content)
    read = image_files.read(tmp_path / "a.pfm").data
    assert np.array_equal(read, np.moveaxis(image, -1, 0))
    (tmp_path / "a.pfm").write_bytes(content[:-1])
    with pytest.raises(InputError, match="truncated"):
        image_files.read(tmp_path / "a.pfm")


def test_a_palette_is_expanded_where_it_lies(tmp_path: Path) -> None:
    indices = np.arange(48, dtype=np.uint8).reshape(6, 8) % 2
    for name, colours in (("grey", (0, 0, 0)), ("red", (255, 0, 0))):
        path = tmp_path / f"{name}.tif"
        with rasterio.open(path, "w", "GTiff", 8, 6, 1, dtype="uint8", **GROUND) as file:
            file.write_colormap(1, {0: (*colours, 255), 1: (255, 255, 255, 255)})
            file.write(indices, 1)
        target, _, notes = inputs.read_pair(path, None, Config(ratio=2))
        assert "its palette is expanded" in notes[0]
        assert len(target.data) == (1 if name == "grey" else 3)
        assert target.profile["crs"].to_string() == "EPSG:32633"
        assert np.array_equal(target.data[-1], 255 * indices)


def test_an_unknown_format_is_told_what_helps(tmp_path: Path) -> None:
    (tmp_path / "a.wms").write_text("<GDAL_WMS></GDAL_WMS>")
    with pytest.raises(InputError, match=r"GTiff, .*gdal_translate"):
        image_files.read(tmp_path / "a.wms")
