"""Results made window by window are those made at once, but for what is near a seam."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from cmsr import job, windows
from cmsr.config import Config
from cmsr.degrade import resampler
from cmsr.errors import InputError, OutputError
from cmsr.files import io
from cmsr.pipeline import Result
from tests.conftest import render_pair


@settings(max_examples=40)
@given(st.integers(40, 400), st.integers(40, 400), st.sampled_from([1, 1.5, 2, 2.5, 3, 4, 8]))
def test_windows_cover_everything_once_and_begin_where_pixels_do(
    height: int, width: int, ratio: float
) -> None:
    target = (2 * height, 2 * width)
    result = (round(target[0] * ratio), round(target[1] * ratio))
    plan = windows.Plan.of(target, result, "t")
    seen, weight = np.zeros(target, int), np.zeros(result)
    strip = windows._Strip(plan, 1)
    for band in plan.bands():
        for core, outer in band:
            seen[core[0] : core[2], core[1] : core[3]] += 1
            assert outer[0] <= core[0] < core[2] <= outer[2]
            fine = plan.fine(outer)
            for coarse, exact in zip(fine, (ratio * place for place in outer), strict=True):
                assert coarse == pytest.approx(exact)
            rows, cols = strip._weights(windows.Tile(core, outer))
            weight[fine[0] : fine[2], fine[1] : fine[3]] += np.outer(rows, cols)
    assert (seen == 1).all()
    assert np.allclose(weight, 1)


def interpolated(target: io.Raster, guide: io.Raster, **_: object) -> Result:
    """Stand in for a run: local, so that windows must make no difference at all."""
    import torch

    enlarge = resampler(target.shape, guide.shape, "bilinear")
    filled = np.where(target.valid, target.data, 0).astype(np.float32)
    image = enlarge(torch.from_numpy(filled))[0].numpy()
    step = guide.shape[0] // target.shape[0]
    valid = target.valid.repeat(step, 0).repeat(step, 1)
    info = {"ratio": (4.0, 4.0), "kernel": "box", "seconds": 0.0, "notes": []}
    info |= {"guide_weight": 1.0, "warnings": []}
    return Result(np.where(valid, image, np.nan), valid, valid.astype("f4"), None, {}, info)


def large_pair(folder: Path) -> tuple[io.Raster, np.ndarray]:
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
    return io.read(folder / "t.tif"), pair.guide


def test_windows_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "SIDE", 160)
    monkeypatch.setattr(windows, "upscale", interpolated)
    target, guide = large_pair(tmp_path)
    whole = interpolated(target, io.from_array(guide, "guide")).image
    read = windows.reader(tmp_path / "g.tif", Config(), None)
    out = tmp_path / "o.tif"
    info = windows.upscale_to_file(target, read, (640, 512), out, Config())
    assert info["windows"] == 12
    result = io.read(out)
    np.testing.assert_allclose(result.data[0], whole, atol=1e-5)
    assert np.array_equal(result.valid, np.isfinite(whole))
    with rasterio.open(out) as file:
        assert file.transform == from_origin(5e5, 5.7e6, 1, 1)
        assert file.profile["tiled"]


def test_a_command_works_by_windows_where_memory_is_short(tmp_path: Path) -> None:
    large_pair(tmp_path)
    config = Config.of("paper", iterations=0, ensemble=False, max_memory=0.1)
    facts = job.Job(
        target=tmp_path / "t.tif",
        guide=tmp_path / "g.tif",
        out=tmp_path / "o.tif",
        json=tmp_path / "o.json",
        preview=tmp_path / "o.png",
        report=None,
        colour_map="inferno",
        overwrite=False,
        config=config,
    ).run()
    assert facts[0]["windows"] > 4
    result = io.read(tmp_path / "o.tif")
    assert result.shape == (640, 512)
    assert (~result.valid).sum() == 16 * 200


def test_what_cannot_be_cut_or_held_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no place to cut"):
        windows.Plan.of((5000, 4999), (20_000, 20_001), "t")
    target, guide = large_pair(tmp_path)
    read = windows.reader(guide, Config(), None)
    with pytest.raises(OutputError, match=r"\.tif only"):
        windows.upscale_to_file(target, read, (640, 512), tmp_path / "o.png", Config())
