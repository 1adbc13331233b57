"""The command `align` takes the files that `upscale` takes, and lays them on one grid too."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.io import image_files, inputs
from tests.fake_cameras import flir_file
from tests.test_flir import COUNTS
from tests.test_geo import GUIDES, TARGET, UTM, write


def run(*arguments: object) -> int:
    return main(["align", *map(str, arguments), "--align", "affine"])


def test_a_radiometric_jpeg_is_a_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = np.random.default_rng(0).integers(30, 255, (240, 320, 3), dtype=np.uint8)
    (tmp_path / "a.jpg").write_bytes(flir_file(COUNTS, photo, (2.0, 12, -8)))
    assert run(tmp_path / "a.jpg", "-o", tmp_path / "o.png") == 0
    assert "note: " in capsys.readouterr().err
    _, cut, _ = inputs.read_pair(tmp_path / "a.jpg", None, Config())
    assert image_files.read(tmp_path / "o.png").data.shape == cut.whole.data.shape == (3, 120, 160)


def test_without_a_photo_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jpg").write_bytes(flir_file(COUNTS))
    image_files.write(tmp_path / "b.png", COUNTS)
    for name in ("a.jpg", "b.png"):
        assert run(tmp_path / name, "-o", tmp_path / "o.png") == 2
        said = capsys.readouterr().err
        assert f"{name}: holds no photo; name one as the guide" in said
        assert len(said.splitlines()) == 1


def test_images_on_differing_grids_are_laid_on_the_targets(tmp_path: Path) -> None:
    target = write(tmp_path / "t.tif", TARGET, 1)
    guide = write(tmp_path / "g.tif", GUIDES["degrees"], 4, "uint8", photometric="rgb", alpha="no")
    field = tmp_path / "f.tif"
    assert run(target, guide, "-o", tmp_path / "o.tif", "--field", field) == 0
    common = inputs.common_grid(target, guide)
    for name, count in ((tmp_path / "o.tif", 4), (field, 2)):
        with rasterio.open(name) as file:
            assert file.crs == UTM
            assert (file.count, *file.shape) == (count, *common.grid.shape)
            assert file.transform.almost_equals(common.grid.transform, 1e-6)


def test_a_photo_without_a_place_gets_that_of_the_target(tmp_path: Path) -> None:
    target = write(tmp_path / "t.tif", TARGET, 1)
    photo = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    image_files.write(tmp_path / "g.png", photo)
    names = ["o.tif", "field.tif", "mask.tif", "overlay.tif"]
    out, *others = (tmp_path / name for name in names)
    options = [word for path in others for word in (f"--{path.stem}", path)]
    assert run(target, tmp_path / "g.png", "-o", out, *options) == 0
    with rasterio.open(target) as file:
        bounds = file.bounds
    for name in names:
        with rasterio.open(tmp_path / name) as file:
            assert file.crs == UTM
            assert file.shape == photo.shape[:2]
            assert file.bounds == pytest.approx(bounds)


def test_holes_of_the_target_have_no_say(tmp_path: Path) -> None:
    plain = image_files.read(write(tmp_path / "t.tif", TARGET, 1)).data[0]
    guide = write(tmp_path / "g.tif", GUIDES["smaller"], 3)
    holes = np.indices(plain.shape).sum(axis=0) % 7 == 0
    moved = []
    for name, hole in {"a": -9999.0, "b": 5e4}.items():
        with rasterio.open(tmp_path / "t.tif") as file:
            profile = file.profile | {"nodata": hole}
        with rasterio.open(tmp_path / f"{name}.tif", "w", **profile) as file:
            file.write(np.where(holes, hole, plain).astype("f4"), 1)
        assert run(tmp_path / f"{name}.tif", guide, "-o", tmp_path / f"o{name}.tif") == 0
        moved.append(image_files.read(tmp_path / f"o{name}.tif").data)
    assert np.array_equal(*moved)
