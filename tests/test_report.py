"""A report shows what was computed, in units, needs nothing but itself, and runs no one's code."""

import base64
import io as streams
import itertools
import re
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import cmsr
from cmsr.app.cli import _parse, main
from cmsr.app.options import upscale_command
from cmsr.app.report import page
from cmsr.app.report.chart import MOST_POINTS, Chart, histogram, kernel_chart, training_chart
from cmsr.app.report.contents import contents_of
from cmsr.app.report.image import painted, photo
from cmsr.app.report.residual import Residual, neighbour_correlation
from cmsr.app.report.scale import LEVELS, Scale
from cmsr.config import Config
from cmsr.io import image_files
from cmsr.operators.resampling import resampler
from tests.browser import clean_page
from tests.conftest import render_pair

KELVIN = {"scales": [0.01], "offsets": [-273.15], "units": ["°C"]}


@cache
def shown(**options: Any) -> cmsr.Result:
    """A result in °C, stored as hundredths of a kelvin, with a hole."""
    pair = render_pair()
    target = image_files.from_array(
        np.rint(29000 + 1500 * pair.target).astype(np.uint16), "t.tif", **KELVIN
    )
    target.valid[3:5, 4:7] = False
    return cmsr.upscale(target, pair.guide, **{"preset": "fast", **options})


def pixels(uri: str) -> Image.Image:
    return Image.open(streams.BytesIO(base64.b64decode(uri.partition(",")[2])))


# ---- Evidence


def test_residual_is_what_the_result_leaves_of_the_input(pair: Any) -> None:
    result = cmsr.upscale(pair.target, pair.guide, preset="fast", kernel="bicubic")
    reduced = resampler((96, 128), (24, 32))(torch.from_numpy(result.image))
    assert result.evidence is not None
    np.testing.assert_allclose(
        result.evidence.residual[0], pair.target - reduced.numpy(), atol=2e-6
    )
    assert np.ptp(result.evidence.residual) > 0
    np.testing.assert_allclose(result.evidence.guide, pair.guide / 255, atol=1e-6)


def test_residual_has_the_holes_of_the_target() -> None:
    evidence = shown().evidence
    assert evidence is not None
    assert np.array_equal(np.isnan(evidence.residual[0]), ~evidence.target.valid)


# ---- Pictures and charts


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e5), st.integers(0, 2**32 - 1))
def test_values_can_be_read_off_a_picture(low: float, span: float, seed: int) -> None:
    values = low + span * np.random.default_rng(seed).random((5, 7))
    scale = Scale(low, low + span, "K", "inferno")
    level = np.asarray(pixels(painted(values, scale).uri)).astype(float)
    read = low + span * level / (LEVELS - 1)
    assert np.abs(read - values).max() <= 0.51 * span / (LEVELS - 1) + 1e-9 * abs(low)


def test_holes_are_transparent_and_the_far_out_saturates() -> None:
    values = np.array([[np.nan, -1e9, 0.0, 1e9, np.inf]])
    picture = pixels(painted(values, Scale(-1, 1, "", "cividis")).uri)
    assert np.asarray(picture).tolist() == [[LEVELS, 0, LEVELS // 2, LEVELS - 1, LEVELS]]
    assert np.asarray(picture.convert("RGBA"))[0, :, 3].tolist() == [0, 255, 255, 255, 0]


@pytest.mark.parametrize("name", ["inferno", "cividis"])
def test_brightness_tells_the_value(name: str) -> None:
    luminance = Scale(0, 1, "", name).palette @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luminance) > -0.7).all()
    assert np.ptp(luminance) > 100


def test_a_scale_spans_the_values_and_its_ticks_are_inside() -> None:
    values = np.random.default_rng(0).normal(20, 3, (50, 50))
    values[:2] = -60
    scale = Scale.of(values, "°C", "inferno")
    assert -10 < scale.low < 16
    assert scale.high > 25
    assert len(scale.ticks) > 2
    assert all(0 <= at <= 100 for at, _ in scale.ticks)
    for constant in (0.0, 7.0, 1e6):
        flat = Scale.of(np.full((3, 3), constant), "", "inferno")
        assert flat.low < flat.high
    assert Scale.around_zero(np.zeros((2, 2)), "", "PuOr").high > 0


def test_large_pictures_are_thinned_out() -> None:
    assert pixels(photo(np.zeros((10, 5000, 3))).uri).width <= 2048


@pytest.mark.parametrize("kernel", ["box", "bicubic", "gaussian:1.5"])
def test_a_kernel_gathers_everything_once(kernel: str) -> None:
    for _, x, weight in kernel_chart(kernel, (4.0, 3.0)).curves:
        assert weight.sum() * np.median(np.diff(x)) == pytest.approx(1, abs=0.03)


def test_a_histogram_holds_every_pixel() -> None:
    values = np.random.default_rng(0).normal(0, 0.1, (100, 100))
    (_, x, measured), (_, there, gauss) = histogram(values, 0.5, "K").curves
    assert measured[::2].sum() == pytest.approx(1, abs=0.01)
    assert np.trapezoid(gauss, there) / (x[1] - x[0]) == pytest.approx(1, abs=0.01)


def test_a_long_training_is_averaged() -> None:
    ((_, steps, loss),) = training_chart("loss", [0.1 / (1 + i) for i in range(3000)]).curves
    assert len(steps) == MOST_POINTS
    assert steps.max() <= 3000
    assert (np.diff(loss) < 0).all(), "a falling loss falls"


def test_a_chart_has_the_colours_of_its_page_and_escapes_its_titles() -> None:
    x = np.arange(3.0)
    text = Chart("<b>", "K & m", [("one", x, x), ("two", x, x**2)]).svg
    assert text.startswith("<svg")
    assert not re.search("#[0-9a-f]{6}", re.sub(r"url\(#\w+\)|\"#\w+\"", "", text))
    assert "var(--accent)" in text
    assert "<b>" not in text
    assert "&lt;b&gt;" in text


def test_noise_and_structure_are_told_apart() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (80, 90))
    smooth = np.cumsum(np.cumsum(noise, 0), 1)
    noise[3:6, 3:9] = np.nan
    assert abs(neighbour_correlation(noise)) < 0.05
    assert neighbour_correlation(smooth) > 0.9
    assert "within noise and rounding" in Residual.of(noise, 1.0, 0.0).conclusion
    assert "looks like noise" in Residual.of(noise, 0.1, 0.0).conclusion
    assert "shows the scene" in Residual.of(smooth, 0.1, 0.0).conclusion


# ---- The command


@given(
    st.builds(
        Config.of,
        preset=st.sampled_from(["default", "fast", "paper"]),
        method=st.just("two-branch"),
        seed=st.integers(0, 2**63 - 1),
        kernel=st.sampled_from(["auto", "box", "gaussian:1.5", "my kernel.csv"]),
        steps=st.lists(st.floats(1, 64), max_size=3).map(tuple),
        bands=st.lists(st.integers(1, 9), max_size=3).map(tuple),
        native_size=st.none() | st.just((160, 120)),
        invalid=st.sampled_from(["auto", "none"]) | st.floats(-1e9, 1e9),
        ensemble=st.booleans(),
        fill=st.booleans(),
        reflected_temperature=st.none() | st.floats(-273, 5000),
    )
)
def test_the_command_says_exactly_what_was_done(config: Config) -> None:
    target, guide, out = Path("my target.tif"), Path("it's.png"), Path("out.tif")
    words = shlex.split(upscale_command(target, guide, out, config))
    command: Any = _parse(words[1:])
    assert (command.target, command.guide, command.out) == (target, guide, out)
    assert command.config == config


# ---- The page


def test_the_page_needs_nothing_else_and_stays_small() -> None:
    rng = np.random.default_rng(0)
    result = shown()
    large = replace(
        result,
        image=rng.integers(29000, 30000, (340, 512), np.uint16),
        valid=np.ones((340, 512), bool),
        guide_weight=rng.random((340, 512), np.float32),
        error=rng.random((340, 512), np.float32),
        warped_guide=rng.random((340, 512, 3), np.float32),
        evidence=replace(result.evidence, guide=rng.random((340, 512, 3), np.float32)),  # type: ignore[type-var]
    )
    text = page.render(large, "cmsr upscale a b -o c")
    assert len(text.encode()) < 5e6
    assert not re.search(r"(https?:)?//(?!w{3}\.w3\.org)\w+\.", re.sub(r"data:[^\"]+", "", text))
    assert "default-src 'none'" in text
    for word in ("°C", "before", "Weight of the guide", "Residual", "cmsr upscale a b -o c"):
        assert word in text


def test_nobody_elses_code_runs() -> None:
    evil = "<script>alert(1)</script>.tif"
    result = shown()
    assert result.evidence is not None
    named = replace(result.evidence, target=replace(result.evidence.target, name=evil))
    info = {**result.info, "warnings": [evil], "notes": [evil], "kernel": evil}
    page_text = page.render(replace(result, evidence=named, info=info), f"cmsr upscale {evil}")
    assert "<script>alert" not in page_text
    assert "&lt;script&gt;alert" in page_text


def test_training_and_the_guides_way_are_shown() -> None:
    trained = shown(preset="paper", iterations=3, ensemble=False)
    found = contents_of(trained)
    assert len(found.training) == 2
    assert found.displacement is not None
    assert "Training" in page.render(trained)
    assert contents_of(shown()).training == []


def test_without_a_guide_there_is_none_to_show(pair: Any) -> None:
    target = np.stack([pair.target, 1 - pair.target], axis=2)
    result = cmsr.upscale(target, ratio=2, preset="fast")
    found = contents_of(result)
    assert found.guide is found.moved is found.weight is found.displacement is None
    assert "band 1 of 2" in page.render(result)


def test_a_notebook_shows_before_and_after() -> None:
    cell = shown()._repr_html_()
    assert cell is not None
    assert cell.startswith("<iframe")
    assert "data:image/png" in cell
    assert replace(shown(), evidence=None)._repr_html_() is None


# ---- The command line


@pytest.fixture
def files(tmp_path: Path, pair: Any) -> list[str]:
    image_files.write(tmp_path / "t.png", (200 * pair.target).astype(np.uint8))
    image_files.write(tmp_path / "g.png", pair.guide)
    return [str(tmp_path / "t.png"), str(tmp_path / "g.png"), "-o", str(tmp_path / "o.tif")]


def test_upscale_writes_a_report(files: list[str], tmp_path: Path) -> None:
    report = tmp_path / "r.html"
    assert main(["upscale", *files, "--preset", "fast", "--quiet", "--report", str(report)]) == 0
    text = report.read_text("utf-8")
    assert "--preset fast --seed 0" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g.png", "o.tif", "r.html", "t.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report", "{}/r.pdf"], "ends in .html"),
        (["--report", "{}/g.png"], "is an input"),
        (["--report", "{}/o.tif"], "two outputs cannot have the same name"),
    ],
)
def test_a_report_that_cannot_be(
    files: list[str],
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(tmp_path.iterdir())
    assert main(["upscale", *files, *(a.format(tmp_path) for a in arguments)]) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_a_report_of_what_is_too_large_is_refused(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image_files.write(tmp_path / "large.png", np.zeros((1600, 1600, 3), np.uint8))
    arguments = [
        "upscale",
        files[0],
        str(tmp_path / "large.png"),
        *files[2:],
        "--max-memory",
        "0.1",
    ]
    assert main([*arguments, "--report", str(tmp_path / "r.html")]) == 2
    assert "without a report; --max-memory" in capsys.readouterr().err
    assert not (tmp_path / "o.tif").exists()


# ---- In a browser


@pytest.fixture(scope="module")
def report_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "r.html"
    page.write(path, shown(preset="paper", iterations=3, ensemble=False), "cmsr upscale a b -o c")
    return path.as_uri()


def opened(tab: Any, url: str) -> None:
    """Open a report and wait until its values are unpacked."""
    tab.goto(url)
    tab.locator("html.ready").wait_for()


def test_the_divider_moves_by_keyboard_and_by_hand(browser: Any, report_url: str) -> None:
    with clean_page(browser) as tab:
        opened(tab, report_url)
        divider = tab.locator("#compare .divider")
        start = divider.bounding_box()["x"]
        tab.keyboard.press("Tab")
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.type") == "range"
        for _ in range(20):
            tab.keyboard.press("ArrowRight")
        assert divider.bounding_box()["x"] > start + 20
        box = tab.locator("#compare .stage").bounding_box()
        tab.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
        assert divider.bounding_box()["x"] == pytest.approx(box["x"] + box["width"] / 4, abs=3)


def test_all_pictures_zoom_together(browser: Any, report_url: str) -> None:
    with clean_page(browser) as tab:
        opened(tab, report_url)
        sheets = tab.locator(".sheet")
        widths = [sheets.nth(i).bounding_box()["width"] for i in range(sheets.count())]
        assert len(widths) > 5
        tab.locator("#compare .stage").focus()
        tab.keyboard.press("+")
        zoomed = [sheets.nth(i).bounding_box()["width"] for i in range(sheets.count())]
        np.testing.assert_allclose(zoomed, 1.5 * np.array(widths), rtol=1e-3)


def test_a_spot_reads_what_the_file_holds(browser: Any, report_url: str) -> None:
    result = shown(preset="paper", iterations=3, ensemble=False)
    with clean_page(browser) as tab:
        opened(tab, report_url)
        box = tab.locator("#compare .stage").bounding_box()
        row, column = 60, 90
        tab.mouse.move(
            box["x"] + (column + 0.5) / 128 * box["width"],
            box["y"] + (row + 0.5) / 96 * box["height"],
        )
        text = tab.locator("#compare .reading").inner_text()
    found = re.fullmatch(
        r"column (\d+), row (\d+): result ([-\d.]+) °C, input ([-\d.]+) °C, guide weight [\d.]+.*",
        text,
    )
    assert found, text
    assert (int(found[1]), int(found[2])) == (column, row)
    assert float(found[3]) == pytest.approx(result.image[row, column] / 100 - 273.15, abs=1e-9)


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_fits_its_window(browser: Any, report_url: str, width: int) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": "dark"}
    with clean_page(browser, **options) as tab:
        opened(tab, report_url)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 20, 22)"


def test_no_tick_of_a_scale_covers_another(browser: Any, report_url: str) -> None:
    with clean_page(browser, viewport={"width": 360, "height": 800}) as tab:
        opened(tab, report_url)
        for ticks in tab.locator(".ticks").all():
            boxes = [t.bounding_box() for t in ticks.locator("span").all() if t.is_visible()]
            shown = [box for box in boxes if box]
            assert len(shown) > 1
            for left, right in itertools.pairwise(shown):
                assert left["x"] + left["width"] <= right["x"]


def test_the_notebooks_cell_works(browser: Any) -> None:
    with clean_page(browser) as tab:
        tab.set_content(str(shown()._repr_html_()))
        frame = tab.frame_locator("iframe")
        divider = frame.locator(".divider")
        start = divider.bounding_box()["x"]
        frame.locator("[data-cut]").fill("90")
        assert divider.bounding_box()["x"] > start + 50
