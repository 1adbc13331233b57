"""Results made window by window are those made at once, but for what is near a seam."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from cmsr import tiles, windows
from cmsr.app import job
from cmsr.config import Config
from cmsr.errors import InputError, OptionError, OutputError
from cmsr.io import image_files
from tests.conftest import render_pair

LIKE: Any = SimpleNamespace(dtype=np.dtype(float), hole=None)


@settings(max_examples=40)
@given(st.integers(40, 400), st.integers(40, 400), st.sampled_from([1, 1.5, 2, 2.5, 3, 4, 8]))
def test_windows_cover_everything_once_and_begin_where_pixels_do(
    height: int, width: int, ratio: float
) -> None:
    target = (2 * height, 2 * width)
    result = (round(target[0] * ratio), round(target[1] * ratio))
    plan = tiles.Plan.of(target, result, "t", 1024)
    seen, weight = np.zeros(target, int), np.zeros(result)
    strip = tiles.Strip(plan, 1, LIKE)
    for band in plan.bands():
        for core, outer in band:
            seen[core[0] : core[2], core[1] : core[3]] += 1
            assert outer[0] <= core[0] < core[2] <= outer[2]
            fine = plan.fine(outer)
            for coarse, exact in zip(fine, (ratio * place for place in outer), strict=True):
                assert coarse == pytest.approx(exact)
            rows, cols = strip._weights(tiles.Tile(core, outer))
            weight[fine[0] : fine[2], fine[1] : fine[3]] += np.outer(rows, cols)
    assert (seen == 1).all()
    assert np.allclose(weight, 1)


def large_pair(folder: Path) -> tuple[image_files.Raster, np.ndarray]:
    """Write a georeferenced pair with a hole; return it."""
    pair = render_pair((640, 512), (160, 128), seed=4)
    image = pair.target.astype(np.float32)
    image[30:50, 60:70] = np.nan
    for name, data, pixel in (("t", image[None], 4.0), ("g", pair.guide.transpose(2, 0, 1), 1.0)):
        count, height, width = data.shape
        place = {"crs": "EPSG:32632", "transform": from_origin(5e5, 5.7e6, pixel, pixel)}
        with rasterio.open(
            folder / f"{name}.tif", "w", "GTiff", width, height, count, dtype=data.dtype, **place
        ) as file:
            file.write(data)
    return image_files.read(folder / "t.tif"), pair.guide


def by_windows(folder: Path, side: int, monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict:
    monkeypatch.setattr(windows, "SIDE", side)
    config = Config.of(align="off", **options)
    read = windows.reader(folder / "g.tif", config, None)
    target = image_files.read(folder / "t.tif")
    out = folder / f"{side}.tif"
    return windows.upscale_to_file(target, read, (640, 512), out, config)


def test_windows_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, _ = large_pair(tmp_path)
    assert by_windows(tmp_path, 160, monkeypatch, kernel="bicubic")["windows"] == 9
    assert by_windows(tmp_path, 10_000, monkeypatch, kernel="bicubic")["windows"] == 1
    tiled, whole = image_files.read(tmp_path / "160.tif"), image_files.read(tmp_path / "10000.tif")
    span = np.ptp(target.data[target.valid[None]])
    assert np.array_equal(tiled.valid, whole.valid)
    off = np.abs(tiled.data - whole.data)[0][whole.valid]
    assert np.sqrt(np.mean(off**2)) < 1e-4 * span
    assert off.max() < 2e-3 * span
    with rasterio.open(tmp_path / "160.tif") as file:
        assert file.transform == from_origin(5e5, 5.7e6, 1, 1)
        assert file.profile["tiled"]


def test_the_guide_helps_in_windows_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large_pair(tmp_path)
    truth = render_pair((640, 512), (160, 128), seed=4).truth
    info = by_windows(tmp_path, 320, monkeypatch)
    result = image_files.read(tmp_path / "320.tif")
    errors = (result.data[0] - truth)[result.valid]
    free = windows.upscale_to_file(
        image_files.read(tmp_path / "t.tif"), None, (640, 512), tmp_path / "free.tif", Config()
    )
    alone = (image_files.read(tmp_path / "free.tif").data[0] - truth)[result.valid]
    assert info["guide_weight"] > 0.5 > free["guide_weight"]
    assert errors.std() < 0.6 * alone.std()


@pytest.mark.parametrize("guide", ["g.tif", None])
def test_a_command_works_by_windows_where_memory_is_short(tmp_path: Path, guide: str) -> None:
    large_pair(tmp_path)
    config = Config.of(max_memory=0.1, ratio=None if guide else 4)
    facts = job.Job(
        target=tmp_path / "t.tif",
        guide=guide and tmp_path / guide,
        out=tmp_path / "o.tif",
        json=tmp_path / "o.json",
        preview=tmp_path / "o.png",
        report=None,
        colour_map="inferno",
        overwrite=False,
        config=config,
    ).run()
    assert facts[0]["windows"] >= 4
    result = image_files.read(tmp_path / "o.tif")
    assert result.shape == (640, 512)
    assert (~result.valid).sum() == 16 * 200


def test_what_cannot_be_cut_or_held_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no place to cut"):
        tiles.Plan.of((5000, 4999), (20_000, 20_001), "t", 640)
    target, guide = large_pair(tmp_path)
    read = windows.reader(guide, Config(), None)
    with pytest.raises(OutputError, match=r"\.tif only"):
        windows.upscale_to_file(target, read, (640, 512), tmp_path / "o.png", Config())
    with pytest.raises(OptionError, match="works on whole images only"):
        windows.upscale_to_file(target, read, (640, 512), tmp_path / "o.tif", Config.of("paper"))
