"""Tiles of a result fit together, and where it is cut, or by whom, makes no difference."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

import cmsr
from cmsr import tiling
from cmsr.app import job
from cmsr.config import Config
from cmsr.errors import InputError, OutputError
from cmsr.guided.calibrate import calibrate
from cmsr.guided.calibration import Calibration
from cmsr.guided.solve import rows
from cmsr.guided.source import Source
from cmsr.io import image_files
from cmsr.operators.resampling import Window, resampler
from cmsr.prologue import Opened, opened
from cmsr.tiling import Plan, Strip
from tests.conftest import render_pair

HIGH, LOW = (640, 512), (160, 128)


@settings(max_examples=40)
@given(
    st.integers(100, 900),
    st.integers(100, 900),
    st.floats(1.0, 8.0),
    st.sampled_from([0.0, 0.3, 0.5]),
)
def test_tiles_cover_everything_once_and_their_weights_sum_to_one(
    height: int, width: int, ratio: float, shift: float
) -> None:
    target, result = (height, width), (round(height * ratio), round(width * ratio))
    plan = Plan.of(target, result, shift)
    seen, weight = np.zeros(target, int), torch.zeros(1, *result)
    strip, done = Strip(plan, 1), 0
    for band in plan.bands():
        for tile in band:
            core, outer = tile
            seen[core[0] : core[2], core[1] : core[3]] += 1
            assert outer[0] <= core[0] < core[2] <= outer[2]
            assert outer[1] <= core[1] < core[3] <= outer[3]
            fine = plan.fine(outer)
            strip.add(tile, torch.ones(1, fine[2] - fine[0], fine[3] - fine[1]))
        first, finished = strip.finished(band)
        assert first == done
        done += finished.shape[1]
        weight[:, first:done] = finished
    assert (seen == 1).all()
    assert done == result[0]
    torch.testing.assert_close(weight, torch.ones_like(weight))


@given(st.integers(8, 40), st.floats(1.0, 5.0), st.sampled_from(["bicubic", "box", "nearest"]))
def test_a_window_of_an_operator_is_a_part_of_the_whole(
    low: int, ratio: float, kernel: str
) -> None:
    high = round(low * ratio)
    x = torch.rand(high, high, generator=torch.Generator().manual_seed(low))
    whole = resampler((high, high), (low, low), kernel)(x)
    first, end = low // 4, low - low // 4
    margin = max(0, int(first * ratio) - 12), min(high, int(end * ratio) + 12)
    box = (margin[0], margin[0], margin[1], margin[1])
    window = Window(box, (first, first, end, end))
    part = resampler((high, high), (low, low), kernel, window=window)
    inside = x[margin[0] : margin[1], margin[0] : margin[1]]
    torch.testing.assert_close(part(inside), whole[first:end, first:end], atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a georeferenced pair with a hole."""
    folder, pair = tmp_path_factory.mktemp("scene"), render_pair(HIGH, LOW, seed=4)
    image = pair.target.astype(np.float32)
    image[30:50, 60:70] = np.nan
    for name, data, pixel in (("t", image[None], 4.0), ("g", pair.guide.transpose(2, 0, 1), 1.0)):
        count, height, width = data.shape
        place = {"crs": "EPSG:32632", "transform": from_origin(5e5, 5.7e6, pixel, pixel)}
        with rasterio.open(
            folder / f"{name}.tif", "w", "GTiff", width, height, count, dtype=data.dtype, **place
        ) as file:
            file.write(data)
    return folder


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut even a small result."""
    monkeypatch.setattr(tiling, "SIDE", 200)
    monkeypatch.setattr(tiling, "LEAST_SIDE", 32)


def read(folder: Path, **options: object) -> Opened:
    config = Config.of(kernel="bicubic", **options)
    guide = None if "ratio" in options else folder / "g.tif"
    return opened(folder / "t.tif", guide, config)


@pytest.mark.parametrize("options", [{"align": "off"}, {"ratio": 4}, {"align": "affine"}])
def test_moving_the_plan_makes_next_to_no_difference(
    scene: Path, small_tiles: None, options: dict[str, object]
) -> None:
    """By half a tile: at most 1e-4 of the span in the root mean square and 2e-3 at any pixel."""
    pair = read(scene, **options)
    calibration = calibrate(pair.source, pair.kernel).calibration
    images = []
    for shift in (0.0, 0.5):
        plan = Plan.of(LOW, HIGH, shift)
        assert len(plan) > 4
        source = Source.of(pair.pair, pair.guide, pair.config, plan)
        images.append(torch.cat([some.image for some in rows(source, calibration)], 1))
    seen = torch.from_numpy(pair.pair.valid_at_output())
    off = (images[0] - images[1])[0][seen]
    assert off.square().mean().sqrt() < 1e-4
    assert off.abs().max() < 2e-3


def upscaled(folder: Path, out: Path, **options: object) -> bytes:
    """Run a whole command; return the bytes of its pixels."""
    job.Job(
        target=folder / "t.tif",
        guide=folder / "g.tif",
        out=out,
        json=out.with_suffix(".json"),
        preview=None,
        report=None,
        colour_map="inferno",
        overwrite=True,
        config=Config.of(**options),
    ).run()
    return image_files.read(out).data.tobytes()


def test_memory_and_cores_make_no_difference_at_all(
    scene: Path, tmp_path: Path, small_tiles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the result is kept in memory or written row by row, by one core or by three."""
    usual = upscaled(scene, tmp_path / "usual.tif")
    record = json.loads((tmp_path / "usual.json").read_text())
    assert record["windows"] > 4
    assert record["guide_weight"] > 0.5
    monkeypatch.setattr(job, "held_gigabytes", lambda *_: 0.06)
    assert upscaled(scene, tmp_path / "rows.tif", max_memory=0.1) == usual
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert upscaled(scene, tmp_path / "cores.tif") == usual
    finally:
        torch.set_num_threads(threads)


def test_many_tiles_are_as_good_as_one(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = render_pair(HIGH, LOW, seed=4).truth
    whole = cmsr.upscale(scene / "t.tif", scene / "g.tif")
    monkeypatch.setattr(tiling, "SIDE", 200)
    monkeypatch.setattr(tiling, "LEAST_SIDE", 32)
    tiled = cmsr.upscale(scene / "t.tif", scene / "g.tif")
    assert "windows" not in whole.info
    assert tiled.info["windows"] > 4
    errors = [np.nanstd(result.image - truth) for result in (whole, tiled)]
    assert errors[1] < 1.1 * errors[0]


def test_a_calibration_survives_a_file(scene: Path) -> None:
    pair = read(scene)
    found = calibrate(pair.source, pair.kernel).calibration
    again = Calibration.of_json(json.loads(json.dumps(found.to_json())))
    images = [
        torch.cat([some.image for some in rows(pair.source, each)], 1) for each in (found, again)
    ]
    assert torch.equal(*images)


def test_what_cannot_be_written_by_rows_is_refused(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "held_gigabytes", lambda *_: 0.06)
    with pytest.raises(OutputError, match=r"as \.tif"):
        upscaled(scene, tmp_path / "o.png", max_memory=0.1)
    with pytest.raises(InputError, match=r"--max-memory \d+ allows it"):
        upscaled(scene, tmp_path / "o.tif", preset="paper", max_memory=0.1)
    assert not list(tmp_path.iterdir())


def test_holes_and_georeference_of_a_result_written_by_rows(
    scene: Path, tmp_path: Path, small_tiles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "held_gigabytes", lambda *_: 0.06)
    upscaled(scene, tmp_path / "o.tif", max_memory=0.1, preset="fast")
    result = image_files.read(tmp_path / "o.tif")
    assert result.shape == HIGH
    assert (~result.valid).sum() == 16 * 200
    with rasterio.open(tmp_path / "o.tif") as file:
        assert file.transform == from_origin(5e5, 5.7e6, 1, 1)
        assert file.profile["tiled"]
