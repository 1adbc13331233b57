"""The expected error of each pixel: right on scenes whose truth is known, in the target's unit."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

import cmsr
from cmsr import tiling
from cmsr.app import job
from cmsr.app.cli import main
from cmsr.app.report import page
from cmsr.app.report.contents import contents_of
from cmsr.config import Config
from cmsr.guided.expected_error import SHARES, TIMES
from cmsr.io import image_files
from cmsr.operators.resampling import resampler
from tests.conftest import render_pair


def leaves(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Discs of all sizes that hide each other, under a texture as rough at every scale, in [0, 1].

    Photos of things are like that: their spectra and their edges.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for _ in range(400):
        radius, place = 2 / rng.uniform(2 / 60, 1), rng.uniform(-20, np.add(shape, 20))
        image[np.hypot(y - place[0], x - place[1]) < radius] = rng.uniform()
    down, across = (np.fft.fftfreq(n) for n in shape)
    distance = np.hypot(down[:, None], across)
    distance[0, 0] = 1
    texture = np.fft.ifft2(np.fft.fft2(rng.normal(size=shape)) / distance).real
    image += 0.1 * texture / texture.std()
    return (image - image.min()) / np.ptp(image)


def reduced(truth: np.ndarray, ratio: int) -> np.ndarray:
    """Reduce and round to eight bits."""
    low = truth.shape[0] // ratio, truth.shape[1] // ratio
    values = resampler(truth.shape, low)(torch.from_numpy(truth).float()).numpy()
    return np.rint(255 * values).astype(np.float32) / 255


def test_as_many_pixels_are_off_by_less_as_is_said() -> None:
    """Over scenes of a kind that nothing was fitted to, at two ratios."""
    found = []
    for seed, ratio in ((0, 2), (1, 4), (2, 4), (3, 2)):
        truth = leaves((160, 160), seed)
        result = cmsr.upscale(reduced(truth, ratio), ratio=ratio, kernel="bicubic", preset="fast")
        found.append((np.abs(result.image - truth), result.error))
        assert 0.7 < found[-1][0].mean() / result.error.mean() < 1.4
    off, said = (np.array(each) for each in zip(*found, strict=True))
    for share, times in zip(SHARES, TIMES, strict=True):
        within = 0.05 if share >= 0.75 else 0.1
        assert np.mean(off < times * said) == pytest.approx(share, abs=within)


def test_more_is_expected_where_there_is_more() -> None:
    """Beside the borders of regions, not inside; and less with a guide that shows them."""
    pair = render_pair(seed=2)
    plain = cmsr.upscale(pair.target, ratio=4, kernel="bicubic", preset="fast")
    guided = cmsr.upscale(pair.target, pair.guide, kernel="bicubic", align="off")
    for result in (plain, guided):
        off = np.abs(result.image - pair.truth)
        low, high = np.quantile(result.error, [0.3, 0.7])
        assert off[result.error > high].mean() > 4 * off[result.error < low].mean()
    assert guided.error.mean() < 0.8 * plain.error.mean()


def test_it_has_the_unit_of_the_values() -> None:
    target = render_pair().target
    plain = cmsr.upscale(target, ratio=2, kernel="box", preset="fast")
    scaled = cmsr.upscale(40 * target - 273, ratio=2, kernel="box", preset="fast")
    np.testing.assert_allclose(scaled.error, 40 * plain.error, rtol=1e-2, atol=1e-4)
    assert scaled.info["expected_error"]["mean"][0] == pytest.approx(scaled.error.mean(), rel=1e-5)
    assert scaled.info["expected_error"]["largest"][0] == pytest.approx(scaled.error.max())


def test_holes_channels_and_presets() -> None:
    target = np.stack([render_pair(seed=seed).target for seed in (0, 1)], -1)
    target[3:6, 4:9, 1] = np.nan
    result = cmsr.upscale(target, ratio=2, preset="fast", kernel="box")
    assert result.error.shape == result.image.shape
    assert result.error.dtype == np.float32
    assert (np.isnan(result.error) == np.isnan(result.image)).all()
    paper = cmsr.upscale(target[..., 0], ratio=2, preset="paper", iterations_guide_free=1)
    assert paper.error is None
    assert paper.info["expected_error"] is None


@pytest.fixture
def celsius(tmp_path: Path) -> Path:
    """A georeferenced target in hundredths of a kelvin, its unit °C, with a hole."""
    target = np.rint(29000 + 1500 * render_pair((256, 192), (64, 48)).target).astype(np.uint16)
    target[10:14, 20:30] = 0
    place = {
        "crs": "EPSG:32632", "transform": from_origin(5e5, 5.7e6, 4, 4), "nodata": 0,
        "scales": [0.01], "offsets": [-273.15], "units": ["°C"],
    }  # fmt: skip
    like = image_files.from_array(target, "t", **place)
    image_files.write(tmp_path / "t.tif", target, like=like)
    return tmp_path


def test_the_file_has_unit_place_and_holes(
    celsius: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(celsius / name) for name in ("t.tif", "o.tif", "e.tif", "o.json")]
    line = ["upscale", files[0], "-o", files[1], "--ratio", "4", "--preset", "fast"]
    assert main([*line, "--error-map", files[2], "--json", files[3]]) == 0
    with rasterio.open(files[2]) as file:
        error = file.read(1)
        assert (file.count, file.dtypes, file.units) == (1, ("float32",), ("°C",))
        assert (file.scales, file.offsets) == ((1.0,), (0.0,))
        assert file.transform == from_origin(5e5, 5.7e6, 1, 1)
        assert "error" in file.descriptions[0]
    assert np.isnan(error).sum() == 16 * 4 * 10
    assert 0 < np.nanmean(error) < 1.5, "of a span of 15 °C"
    record = json.loads(Path(files[3]).read_text())
    assert record["expected_error"]["mean"][0] == pytest.approx(np.nanmean(error), rel=1e-4)
    said = capsys.readouterr().out
    assert f"±{np.nanmean(error):.2g} °C in the mean" in said


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--error-map", "{folder}/e.png"], "cannot hold float32"),
        (["--error-map", "{folder}/o.tif"], "two outputs"),
        (["--error-map", "{folder}/t.tif"], "is an input"),
        (["--error-map", "{folder}/e.tif", "--preset", "paper"], "--error-map"),
    ],
)
def test_what_cannot_be_is_refused(
    celsius: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["upscale", str(celsius / "t.tif"), "-o", str(celsius / "o.tif"), "--ratio", "2"]
    assert main([*line, *(word.format(folder=celsius) for word in more)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert message in said
    assert [file.name for file in celsius.iterdir()] == ["t.tif"]


def test_memory_and_cores_make_no_difference(
    celsius: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiling, "SIDE", 100)
    monkeypatch.setattr(tiling, "LEAST_SIDE", 24)

    def made(name: str, **options: object) -> bytes:
        out = celsius / name
        job.Job(
            target=celsius / "t.tif", out=celsius / f"of_{name}", error_map=out,
            config=Config.of("fast", ratio=4.0, kernel="box", **options),
        ).run()  # fmt: skip
        return image_files.read(out).data.tobytes()

    usual = made("usual.tif")
    monkeypatch.setattr(job, "held_gigabytes", lambda *_: 0.06)
    assert made("rows.tif", max_memory=0.1) == usual
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert made("cores.tif", max_memory=0.1) == usual
    finally:
        torch.set_num_threads(threads)


def test_the_report_shows_it(celsius: Path) -> None:
    result = cmsr.upscale(celsius / "t.tif", ratio=4, preset="fast", kernel="box")
    found = contents_of(result)
    assert found.error is not None
    assert found.error.values is not None
    most, column, row = found.error.values["most"]
    assert most == pytest.approx(np.nanmax(result.error))
    assert result.error[row, column] == pytest.approx(most)
    text = page.render(result)
    assert "expected error" in text.lower()
    assert f"{TIMES[SHARES.index(0.9)]:.1f} times" in text
