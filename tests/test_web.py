"""The page does what the command line does, for each visitor alone, and asks nobody else."""

import dataclasses
import json
import os
import socket
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmsr.app import options
from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.errors import CmsrError, OptionError
from cmsr.presets import PRESETS
from cmsr.progress import Progress
from cmsr.registration.placement import Placement
from cmsr.registration.rig import Rig, Vote, read_rig
from tests.axe import faults
from tests.browser import clean_page

pytest.importorskip("gradio", reason="no gradio: pip install 'cmsr[web]'")

import httpx

from cmsr.app.web import form, texts
from cmsr.app.web.killable import StoppedError, Worker
from cmsr.app.web.starting import starting
from cmsr.app.web.time_left import Estimate

PLACE = Placement((24, 32), (96, 128), ((32.0, 0.0, 64.0), (0.0, 32.0, 48.0), (0.0, 0.0, 1.0)))
"""The target's field in the middle of a photo that shows twice as much."""

PATIENCE = 120_000
"""Milliseconds that a busy machine may take."""

# ---- The form


def test_every_option_has_a_field_or_is_no_visitors() -> None:
    every = {option.name for option in dataclasses.fields(Config)}
    assert sorted([*form.names(), *form.SERVER, *form.FILES]) == sorted(every)
    for name in form.names():
        assert form.field(name).info, f"{name} is not explained"


@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_form_as_it_stands_is_the_preset(preset: str) -> None:
    untouched = {name: form.field(name).value for name in form.names()}
    ruled = dict(zip(form.preset_names(), form.preset_values(preset), strict=True))
    assert "seed" not in ruled
    assert form.config_of({**untouched, **ruled, "preset": preset}) == Config.of(preset)


@given(
    seed=st.integers(0, 2**63 - 1),
    ratio=st.none() | st.floats(1, 64),
    bands=st.lists(st.integers(1, 9), max_size=3).map(tuple),
    invalid=st.sampled_from(["auto", "none"]) | st.floats(-1e9, 1e9),
    native_size=st.none() | st.just((160, 120)),
    fill=st.booleans(),
)
def test_what_is_typed_is_what_is_meant(**options: Any) -> None:
    def typed(value: Any) -> Any:
        if isinstance(value, tuple):
            return ", ".join(map(str, value))
        return value if isinstance(value, bool) else "" if value is None else str(value)

    assert form.config_of({k: typed(v) for k, v in options.items()}) == Config.of(**options)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": "many"}, "seed is 'many'"),
        ({"ratio": "0.5"}, "ratio is 0.5"),
        ({"kernel": "/etc/hosts.txt"}, "kernel's name"),
        ({"points": "/etc/hosts.csv"}, "is not four numbers"),
        ({"rig": "/etc/hosts.json"}, "rig is no rig"),
        ({"rig": "{}"}, "rig is no rig"),
        ({"segments": "/etc/hosts.png"}, "this page has no option"),
        ({"max_pixels": 2**40}, "this page has no option"),
        ({"no_such": 1}, "no option"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        form.config_of(values)


def test_a_url_keeps_the_settings() -> None:
    asked = form.from_query({"preset": "fast", "seed": "7", "fill": "true", "no_such": "1"})
    named = dict(zip(form.names(), asked, strict=True))
    assert form.config_of(named) == Config.of("fast", seed=7, fill=True)
    assert form.from_query({}) == form.from_query({"preset": "none such"})


def test_a_rig_is_its_files_content(tmp_path: Path) -> None:
    rig = Rig.of(PLACE, kernel="box", votes=(Vote("a", "agrees", (0.0, 0.0), 1.0),))
    config = texts.in_files(form.config_of({"rig": json.dumps(rig.to_json())}), tmp_path)
    assert config.rig == "rig.json"
    assert read_rig(str(tmp_path / config.rig)) == dataclasses.replace(rig, votes=())
    assert texts.in_files(form.config_of({"rig": "auto"}), tmp_path) == Config()


def test_the_groups_are_those_of_the_command_line() -> None:
    assert set(form.groups()) <= set(options.GROUPS)
    assert len(form.names()) == len(set(form.names()))


def test_the_address_answers_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with starting("127.0.0.1", port):
        told = httpx.get(f"http://127.0.0.1:{port}/")
    assert told.status_code == 503
    assert "cmsr is starting" in told.text
    with starting("127.0.0.1", port):
        pass


def test_an_estimate_learns() -> None:
    estimate, config = Estimate(), Config()
    estimate.learn(config, 1_000_000, 20)
    assert estimate.left(config, 500_000, 4) == pytest.approx(6)
    assert estimate.left(config, 500_000, 40) == 0
    assert estimate.left(config, 500_000, 10, share=0.25) == pytest.approx(30)


# ---- The worker


def double(number: int, *, progress: Progress) -> int:
    progress("doubling", 1, 2, 0.5)
    return 2 * number


def refuse(*, progress: Progress) -> None:
    raise CmsrError("not\nthis")


def sleep(*, progress: Progress) -> None:
    progress("sleeping", 0, 1, 0.0)
    time.sleep(600)


def process(*, progress: Progress) -> int:
    return os.getpid()


def test_a_worker_tells_answers_refuses_and_stops() -> None:
    worker = Worker()
    try:
        told = [x for x in worker.run("me", double, 21) if x is not None]
        assert told == [("doubling", 1, 2, 0.5), 42]
        with pytest.raises(CmsrError, match="not this"):
            list(worker.run("me", refuse))
        *_, before = worker.run("me", process)
        nap = worker.run("me", sleep)
        assert next(x for x in nap if x) == ("sleeping", 0, 1, 0.0)
        assert not worker.stop("another")
        assert worker.stop("me")
        with pytest.raises(StoppedError):
            list(nap)
        *_, after = worker.run("me", process)
        assert before != after
    finally:
        worker.close()


# ---- In a browser


def choose(tab: Any, url: str, target: Path, guide: Path | None = None) -> None:
    tab.set_default_timeout(PATIENCE)
    tab.goto(url)
    tab.wait_for_selector("#start")
    tab.locator("#target input[type=file]").set_input_files(target)
    if guide:
        tab.locator("#guide input[type=file]").set_input_files(guide)
        tab.locator("#understood tr", has_text="Guide").wait_for()


def tab_to(tab: Any, part: Any) -> None:
    """Press Tab until the keyboard is at a part of the page."""
    for _ in range(99):
        if part.evaluate("part => part.matches(':focus-within')"):
            return
        tab.keyboard.press("Tab")
    raise AssertionError("the keyboard does not get there")


def upload_by_keyboard(tab: Any, place: str, file: Path) -> None:
    with tab.expect_file_chooser() as chooser:
        tab_to(tab, tab.locator(f"{place} button[aria-label*=upload]"))
        tab.keyboard.press("Enter")
    chooser.value.set_files(file)


def test_upload_run_slide_download_by_keyboard(
    browser: Any, web_url: str, web_folder: Path, tmp_path: Path
) -> None:
    command = ["upscale", str(web_folder / "t.tif"), str(web_folder / "g.png"), "--quiet"]
    assert main([*command, "-o", str(tmp_path / "cli.tif"), "--seed", "3"]) == 0
    with clean_page(browser) as tab:
        tab.set_default_timeout(PATIENCE)
        tab.goto(web_url)
        tab.wait_for_selector("#start")
        upload_by_keyboard(tab, "#target", web_folder / "t.tif")
        tab.locator("#understood").get_by_text("Now add a photo").wait_for()
        upload_by_keyboard(tab, "#guide", web_folder / "g.png")
        tab.locator("#understood tr", has_text="Guide").wait_for()
        understood = tab.locator("#understood").inner_text()
        for fact in ("32 × 24 pixels", "128 × 96 pixels", "ratio 4", "°C"):
            assert fact in understood
        tab_to(tab, tab.get_by_role("button", name="Method"))
        tab.keyboard.press("Enter")
        tab_to(tab, tab.get_by_label("Seed"))
        tab.keyboard.press("Control+A")
        tab.keyboard.type("3")
        tab_to(tab, tab.locator("#start"))
        tab.keyboard.press("Enter")
        view = tab.frame_locator("#view iframe")
        divider = view.locator("#compare .divider")
        divider.wait_for()
        start = divider.bounding_box()["x"]
        tab_to(tab, view.locator("[data-cut]"))
        tab.keyboard.press("End")
        assert divider.bounding_box()["x"] > start + 50
        for name, kept in (("result", "web.tif"), ("report", "web.html")):
            tab_to(tab, tab.locator(f"#{name}"))
            with tab.expect_download() as download:
                tab.keyboard.press("Enter")
            download.value.save_as(tmp_path / kept)
        assert (tmp_path / "web.tif").read_bytes() == (tmp_path / "cli.tif").read_bytes()
        report = (tmp_path / "web.html").read_text("utf-8")
        limit = "--max-pixels 200000"
        assert (
            f"cmsr upscale t.tif g.png -o t_sharp.tif --preset default --seed 3 {limit}" in report
        )
        assert "cmsr-web-" not in report


def test_a_broken_file_is_told_as_by_the_command_line(
    browser: Any, web_url: str, web_folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(web_folder)
    assert main(["upscale", "broken.png", "g.png", "-o", "never.tif"]) == 2
    line = capsys.readouterr().err.strip()
    with clean_page(browser) as tab:
        choose(tab, web_url, web_folder / "broken.png")
        tab.locator("#guide input[type=file]").set_input_files(web_folder / "g.png")
        tab.locator("#understood .refused").wait_for()
        assert tab.locator("#understood .refused").inner_text().strip() == line
        tab.locator("#start").click()
        tab.locator("#status .refused").wait_for()
        assert tab.locator("#status .refused").inner_text().strip() == line


def test_cancel_frees_the_worker_for_the_next(browser: Any, web_url: str, web_folder: Path) -> None:
    with clean_page(browser) as first, clean_page(browser) as second:
        choose(first, web_url, web_folder / "large_t.tif", web_folder / "large_g.png")
        first.get_by_label("Preset").click()
        first.get_by_role("option", name="paper", exact=True).click()
        first.locator("#start").click()
        first.locator("#status").get_by_text("Working").wait_for()
        choose(second, web_url, web_folder / "t.tif", web_folder / "g.png")
        second.locator("#start").click()
        second.wait_for_timeout(1500)
        assert second.locator("#view iframe").count() == 0
        first.locator("#cancel").click()
        first.locator("#status").get_by_text("Cancelled").wait_for()
        second.locator("#view iframe").wait_for()
        assert first.locator("#view iframe").count() == 0


def test_a_page_of_several_is_chosen(browser: Any, web_url: str, web_folder: Path) -> None:
    with clean_page(browser) as tab:
        tab.set_default_timeout(PATIENCE)
        tab.goto(web_url)
        tab.locator("#target input[type=file]").set_input_files(web_folder / "pages.tif")
        tab.locator("#understood").get_by_text("holds 2 images").wait_for()
        tab.locator("#guide input[type=file]").set_input_files(web_folder / "g.png")
        tab.get_by_label("Variable or page").click()
        tab.get_by_role("option", name="2").click()
        tab.locator("#understood tr", has_text="ratio 4").wait_for()
        tab.locator("#target button[aria-label=Clear]").click()
        tab.locator("#target input[type=file]").set_input_files(web_folder / "t.tif")
        tab.locator("#understood").get_by_text("°C").wait_for()
        assert tab.locator("#part").count() == 0


def test_points_by_clicks_place_the_photo(
    browser: Any, web_url: str, web_folder: Path, tmp_path: Path
) -> None:
    with clean_page(browser) as tab:
        choose(tab, web_url, web_folder / "t.tif", web_folder / "g.png")
        tab.locator("#overlay .overlay").wait_for()
        words = tab.locator("#pair").inner_text()
        assert "thermal image, 32 × 24 pixels" in words
        assert "photo, 128 × 96 pixels" in words
        for place in ((0.25, 0.25), (0.75, 0.75)):
            for role in ("target", "photo"):
                frame = tab.locator(f"#pair [data-role={role}] .frame")
                frame.scroll_into_view_if_needed()
                box = frame.bounding_box()
                sides = box["width"], box["height"]
                x, y = (share * side for share, side in zip(place, sides, strict=True))
                frame.click(position={"x": x, "y": y})
        tab.locator("#understood").get_by_text("2 points").wait_for()
        assert tab.locator("#pair .spot").count() == 4
        lines = tab.get_by_label("Points").input_value().split("\n")
        found = [[float(cell) for cell in line.split(",")] for line in lines]
        wanted = [[8, 6, 32, 24], [24, 18, 96, 72]]
        assert all(abs(a - b) < 1.5 for row, other in zip(found, wanted, strict=True)
                   for a, b in zip(row, other, strict=True))  # fmt: skip
        tab.get_by_role("button", name="Remove the last point").click()
        assert tab.locator("#pair .spot").count() == 2


def test_an_uploaded_rig_places_the_photo(
    browser: Any, web_url: str, web_folder: Path, tmp_path: Path
) -> None:
    Rig.of(PLACE).write(tmp_path / "rig.json")
    with clean_page(browser) as tab:
        choose(tab, web_url, web_folder / "t.tif", web_folder / "g.png")
        tab.locator("#rig input[type=file]").set_input_files(tmp_path / "rig.json")
        tab.locator("#understood").get_by_text("from the rig").wait_for()
        tab.locator("#overlay").get_by_text("2 times the target's field").wait_for()
        tab.locator("#rig button[aria-label=Clear]").click()
        tab.locator("#understood").get_by_text("from the rig").wait_for(state="detached")


def test_several_pairs_are_listed_and_zipped(
    browser: Any, web_url: str, web_folder: Path, tmp_path: Path
) -> None:
    for site in "ab":
        for name, kind in (("t.tif", "thermal.tif"), ("g.png", "photo.png")):
            (tmp_path / f"{site}_{kind}").write_bytes((web_folder / name).read_bytes())
    with clean_page(browser, accept_downloads=True) as tab:
        tab.set_default_timeout(PATIENCE)
        tab.goto(f"{web_url}/?preset=fast&seed=7")
        tab.get_by_role("button", name="Several pairs at once").click()
        with tab.expect_response("**/upload*"):
            tab.locator("#many input[type=file]").set_input_files(sorted(tmp_path.iterdir()))
        tab.locator("#many").get_by_text("a_thermal").wait_for()
        tab.locator("#start-all").click()
        tab.locator("#pairs [data-open]").first.click()
        tab.frame_locator("#looked-at iframe").locator("html.ready").wait_for()
        tab.locator("#pairs").get_by_text("2 of 2 pairs done").wait_for()
        with tab.expect_download() as download:
            tab.locator("#archive").click()
        with zipfile.ZipFile(download.value.path()) as archive:
            assert len(archive.namelist()) == 4
            report = archive.read("a_thermal_report.html").decode()
        assert "--preset fast --seed 7" in report
        assert "preset=fast&seed=7" in tab.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(browser: Any, web_url: str, web_folder: Path, scheme: str) -> None:
    with clean_page(browser, viewport={"width": 390, "height": 800}, color_scheme=scheme) as tab:
        choose(tab, web_url, web_folder / "t.tif", web_folder / "g.png")
        tab.locator("#overlay .overlay").wait_for()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert faults(tab) == []


def test_a_file_that_is_too_large_is_told(browser: Any, web_url: str, tmp_path: Path) -> None:
    (tmp_path / "large.tif").write_bytes(bytes(2**20 + 1))
    tab = browser.new_page()
    tab.set_default_timeout(PATIENCE)
    tab.goto(web_url)
    tab.locator("#target input[type=file]").set_input_files(tmp_path / "large.tif")
    tab.locator("#told").get_by_text("large.tif has 1.0 MB; this server takes files").wait_for()
    tab.close()


def test_a_taken_port_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["web", "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot listen there" in capsys.readouterr().err
