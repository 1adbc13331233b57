"""The viewer of a report reads, colours, marks and saves what the file holds."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cmsr
from cmsr.app.report import packed as packing
from cmsr.app.report import page
from cmsr.app.report.scale import Scale
from cmsr.app.report.share import Share
from cmsr.io import image_files
from tests.axe import faults
from tests.browser import clean_page
from tests.conftest import render_pair

KELVIN = {"scales": [0.01], "offsets": [-273.15], "units": ["°C"]}
UNPACK = "async (packed) => { const layer = await unpacked(packed); return [...layer.levels]; }"


def hot() -> cmsr.Result:
    """A result in °C with a hot spot far beyond its colours, and a hole."""
    pair = render_pair()
    counts = np.rint(29000 + 1500 * pair.target).astype(np.uint16)
    counts[10, 20] += 4000
    target = image_files.from_array(counts, "/somebody/s folder/t.tif", **KELVIN)
    target.valid[3:5, 4:7] = False
    return cmsr.upscale(target, pair.guide, preset="fast", align="off", kernel="bicubic")


@pytest.fixture(scope="module")
def result() -> cmsr.Result:
    return hot()


@pytest.fixture(scope="module")
def url(result: cmsr.Result, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("viewer") / "r.html"
    page.write(path, result, "cmsr upscale '/somebody/s folder/t.tif' /my/g.png -o /my/o.tif")
    return path.as_uri()


@pytest.fixture
def tab(browser: Any, url: str) -> Any:
    with clean_page(browser, accept_downloads=True) as tab:
        tab.goto(url)
        tab.locator("html.ready").wait_for()
        yield tab


def celsius(result: cmsr.Result) -> np.ndarray:
    return np.where(result.valid, result.image / 100 - 273.15, np.nan)


def rgb(tab: Any, column: int, row: int) -> list[int]:
    """The colour of a pixel of the result as it is painted."""
    ask = "([x, y]) => [...document.querySelector('.pane.right canvas').getContext('2d')"
    return list(tab.evaluate(f"{ask}.getImageData(x, y, 1, 1).data]", [column, row]))


def saved(tab: Any, button: str) -> tuple[str, bytes]:
    with tab.expect_download() as download:
        tab.get_by_role("button", name=button).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_packed_values_come_back(tab: Any) -> None:
    values = np.random.default_rng(0).normal(0, 1e4, (7, 9)).round(1)
    values[2:4, 3] = np.nan
    whole = packing.packed(values, Scale(-1, 1, "K", "inferno"), quantum=0.1)
    assert whole["exact"]
    levels = np.reshape(tab.evaluate(UNPACK, whole), values.shape)
    back = np.where(levels == 0, np.nan, whole["low"] + whole["step"] * (levels - 1.0))
    np.testing.assert_allclose(back, values, atol=1e-9)


def test_large_values_are_thinned_and_keep_their_extremes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LARGEST", 20)
    values = np.random.default_rng(0).random((30, 50))
    values[7, 11], values[3, 4] = 9, -9
    found = packing.packed(values, Scale(0, 1, "", "inferno"))
    assert (found["every"], found["most"], found["least"]) == (3, (9, 11, 7), (-9, 4, 3))
    nothing = packing.packed(np.full((3, 4), np.nan), Scale(0, 1, "", "inferno"))
    assert nothing["most"] is None


def test_noise_is_coarsened_until_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "BUDGET", 9_000)
    values = np.random.default_rng(0).random((100, 100))
    found = packing.packed(values, Scale(0, 1, "", "inferno"))
    assert len(found["data"]) <= 12_000
    assert found["step"] < 0.05


def test_the_head_says_how_far_the_photo_was_used(tab: Any, result: cmsr.Result) -> None:
    share = result.info["guide_used"]["weight"]
    said = tab.locator(".share strong").inner_text()
    assert said.startswith(f"Photo used for {100 * share:.0f} %")
    unused = Share.of({"guide_used": {"weight": 0.01, "unused": 1.0, "reason": "it is noise"}})
    assert unused is not None
    assert unused.headline == "Photo used for 1 %: this is the result without it."
    assert unused.unused
    assert Share.of({"guide_used": None}) is None


def test_the_hot_spot_is_read_marked_and_said(tab: Any, result: cmsr.Result) -> None:
    values = celsius(result)
    row, column = np.unravel_index(np.nanargmax(values), values.shape)
    said = tab.locator("[data-extremes]").inner_text()
    assert f"maximum {values[row, column]:.2f} °C at column {column}, row {row}" in said
    assert re.search(r"[\d.]+ % of the pixels lie above the colours", said)
    label = tab.locator(".mark.end").nth(1).get_attribute("data-label")
    assert label == f"max {values[row, column]:.2f}"
    tab.get_by_role("button", name="Full range").click()
    assert float(tab.locator("[data-high]").input_value()) == pytest.approx(values[row, column])
    assert "above the colours" not in tab.locator("[data-extremes]").inner_text()


def test_colours_range_and_isotherm_are_the_readers(tab: Any, result: cmsr.Result) -> None:
    values = celsius(result)
    row, column = np.unravel_index(np.nanargmax(values), values.shape)
    at = int(column), int(row)
    tab.get_by_label("map").select_option("gray")
    assert rgb(tab, *at) == [255, 255, 255, 255]
    tab.get_by_label("inverted").check()
    assert rgb(tab, *at) == [0, 0, 0, 255]
    tab.get_by_label("mark what lies beyond").check()
    assert rgb(tab, *at) == [0, 229, 255, 255]
    tab.locator("[data-side]").select_option("above")
    tab.locator("[data-at]").fill(f"{values[row, column] - 1:.2f}")
    assert rgb(tab, *at) == [125, 255, 0, 255]
    tab.locator("[data-side]").select_option("below")
    assert rgb(tab, *at) == [0, 229, 255, 255]
    tab.locator("[data-low]").fill("90")
    tab.locator("[data-high]").fill("80")
    assert tab.locator("[data-range-error]").is_visible()


def test_spots_and_boxes_are_saved_as_csv(tab: Any, result: cmsr.Result) -> None:
    values = celsius(result)
    tab.get_by_role("button", name="At the maximum").click()
    for name, number in (("column", 30), ("row", 50), ("width", 8), ("height", 6)):
        tab.locator(f"[data-box={name}]").fill(str(number))
    tab.get_by_role("button", name="Add", exact=True).click()
    tab.get_by_text("box", exact=True).click()
    tab.locator("#compare .stage").scroll_into_view_if_needed()
    box = tab.locator("#compare .stage").bounding_box()
    tab.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.6 * box["height"])
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.8 * box["height"])
    tab.mouse.up()
    name, content = saved(tab, "Save as CSV")
    spot, typed, drawn = csv.DictReader(io.StringIO(content.decode()))
    assert name == "t_spots.csv"
    assert float(spot["maximum (°C)"]) == pytest.approx(np.nanmax(values), abs=1e-9)
    inside = values[50:56, 30:38]
    for heading, value in (("minimum", inside.min()), ("mean", inside.mean())):
        assert float(typed[f"{heading} (°C)"]) == pytest.approx(value, abs=0.0051)
    assert drawn["name"] == "box 2"
    assert int(drawn["width"]) in (26, 27)
    tab.get_by_role("button", name="remove box 1").click()
    assert tab.locator("[data-marks] tbody tr").count() == 2


def test_a_spot_is_set_by_the_keyboard(tab: Any, result: cmsr.Result) -> None:
    tab.locator("#compare .stage").focus()
    for _ in range(4):
        tab.keyboard.press("Shift+ArrowLeft")
    tab.keyboard.press("Shift+ArrowDown")
    tab.keyboard.press("Enter")
    cells = tab.locator("[data-marks] tbody td").all_inner_texts()
    assert cells[:3] == ["spot 1", "60", "49"]
    assert float(cells[5]) == pytest.approx(celsius(result)[49, 60], abs=1e-9)


def test_every_layer_can_be_shown_and_the_picture_saved(tab: Any, result: cmsr.Result) -> None:
    choice = tab.get_by_label("right", exact=True)
    for name in choice.locator("option").evaluate_all("all => all.map((one) => one.value)"):
        choice.select_option(name)
        assert tab.locator("#compare .pane.right .layer:visible").count() == 1
    tab.get_by_role("button", name="Blink").click()
    assert tab.locator("#compare.blinking").count() == 1
    name, content = saved(tab, "Save picture")
    assert name == "t_preview.png"
    assert Image.open(io.BytesIO(content)).size == result.image.shape[::-1]


def test_a_report_keeps_the_folders_of_the_disk_to_itself(tab: Any) -> None:
    text = tab.content()
    assert "somebody" not in text
    assert "/my/" not in text
    layers = json.loads(
        tab.locator("#layers").inner_text() or tab.locator("#layers").text_content()
    )
    assert {"input", "result", "weight", "residual"} <= layers.keys()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_is_accessible_and_narrow(browser: Any, url: str, scheme: str) -> None:
    options = {"viewport": {"width": 390, "height": 800}, "color_scheme": scheme}
    context = browser.new_context(bypass_csp=True, **options)
    tab = context.new_page()
    tab.goto(url)
    tab.locator("html.ready").wait_for()
    tab.get_by_role("button", name="At the maximum").click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults(tab) == []
    context.close()


def test_on_paper_there_are_no_controls_and_spots_stay(tab: Any) -> None:
    tab.emulate_media(media="print")
    for what in ("[data-colours]", ".controls", ".onscreen", "[data-marks]"):
        assert not tab.locator(what).first.is_visible(), what
    assert not tab.get_by_text("Spots and boxes").is_visible()
    tab.emulate_media(media="screen")
    tab.get_by_role("button", name="At the maximum").click()
    tab.emulate_media(media="print")
    assert tab.locator("[data-marks]").is_visible()
