"""Images on the ground: without a coordinate system, of another extent, by points and RPCs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import from_origin

from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.io import image_files, inputs
from tests.conftest import SyntheticPair

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

UTM = "EPSG:32633"


def written(path: Path, image: np.ndarray, left: float, size: float, **options: Any) -> Path:
    bands = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    options = {"crs": UTM, "transform": from_origin(left, 5000, size, size)} | options
    with rasterio.open(
        path, "w", "GTiff", bands.shape[2], bands.shape[1], len(bands), dtype=bands.dtype, **options
    ) as file:
        file.write(bands)
    return path


def upscaled(*words: object) -> tuple[int, Path]:
    out = Path(str(words[0])).with_name("out.tif")
    line = ["upscale", *map(str, words), "-o", str(out), "--preset", "fast"]
    return main([*line, "--quiet", "--overwrite"]), out


@pytest.mark.parametrize(("here", "there"), [(None, None), (UTM, None), (None, UTM)])
def test_a_transform_without_a_crs_places(
    tmp_path: Path, pair: SyntheticPair, here: str | None, there: str | None
) -> None:
    part = pair.target[:, 8:].astype(np.float32)
    target = written(tmp_path / "t.tif", part, 32, 4, crs=here)
    guide = written(tmp_path / "g.tif", pair.guide, 0, 1, crs=there)
    found = inputs.read_pair(target, guide, Config())
    assert np.array_equal(found.target.data[0], part)
    assert found.guide is not None
    assert (
        np.abs(found.guide.whole.data - pair.guide[:, 32:].transpose(2, 0, 1).astype(int)).max() < 2
    )
    assert not any("cropped" in note for note in found.notes)


def test_all_of_a_target_is_kept_on_request(tmp_path: Path, pair: SyntheticPair) -> None:
    target = written(tmp_path / "t.tif", pair.target.astype(np.float32), 0, 4)
    guide = written(tmp_path / "g.tif", pair.guide[:, 40:], 40, 1)
    assert "69% of it" in inputs.read_pair(target, guide, Config())[2][0]
    code, out = upscaled(target, guide, "--extent", "target")
    assert code == 0
    with rasterio.open(out) as file:
        assert file.shape == (96, 128)
        assert file.transform == from_origin(0, 5000, 1, 1)
        assert np.isfinite(file.read()).all()


def test_a_sliver_is_named(tmp_path: Path, pair: SyntheticPair) -> None:
    target = written(tmp_path / "t.tif", pair.target.astype(np.float32), 0, 4)
    guide = written(tmp_path / "g.tif", pair.guide, 120, 1)
    with pytest.raises(InputError, match=r"covers only a sliver of .*, 2 × 24 pixels"):
        inputs.read_pair(target, guide, Config())


def test_a_target_gets_the_place_of_the_photo_it_is_laid_on(
    tmp_path: Path, pair: SyntheticPair
) -> None:
    image_files.write(tmp_path / "t.tif", pair.target.astype(np.float32))
    guide = written(tmp_path / "g.tif", pair.guide, 100, 1)
    code, out = upscaled(tmp_path / "t.tif", guide)
    assert code == 0
    with rasterio.open(out) as file:
        assert (file.crs.to_string(), file.transform) == (UTM, from_origin(100, 5000, 1, 1))


def test_points_and_polynomials_are_carried_rescaled(tmp_path: Path, pair: SyntheticPair) -> None:
    low = pair.target.astype(np.float32)
    points = [GroundControlPoint(r, c, 10.0 + c, 50.0 - r, 0) for r in (0, 24) for c in (0, 32)]
    image_files.write(path := tmp_path / "t.tif", low)
    rpc = RPC(
        0, 1, 50, 1, [1.0] * 20, [1.0] * 20, 11.5, 12, 10, 1, [1.0] * 20, [1.0] * 20, 15.5, 16
    )
    with rasterio.open(path, "r+") as file:
        file.gcps = (points, rasterio.crs.CRS.from_epsg(4326))
        file.rpcs = rpc
    code, out = upscaled(path, "--ratio", "2")
    assert code == 0
    with rasterio.open(out) as file:
        moved, crs = file.gcps
        assert crs.to_epsg() == 4326
        assert [(p.row, p.col, p.x) for p in moved][-1] == (48, 64, 42)
        assert (file.rpcs.line_off, file.rpcs.samp_scale) == (23.5, 32)
