"""The page does what the command line does, for each visitor alone, and asks nobody else."""

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmsr.cli import main
from cmsr.config import PRESETS, Config
from cmsr.errors import CmsrError, OptionError
from cmsr.files import io
from cmsr.published.train import Progress
from tests.browser import clean_page
from tests.conftest import render_pair

pytest.importorskip("gradio", reason="no gradio: pip install 'cmsr[web]'")

from cmsr.web import form
from cmsr.web.killable import StoppedError, Worker
from cmsr.web.time_left import Estimate

PATIENCE = 120_000
"""Milliseconds that a busy machine may take."""

# ---- The form


def test_every_option_has_a_field_or_is_the_servers() -> None:
    every = {option.name for option in dataclasses.fields(Config)}
    assert {*form.names(), *form.SERVER} == every
    assert not {*form.names()} & {*form.SERVER}
    for name in form.names():
        assert form.field(name).info, f"{name} is not explained"


@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_form_as_it_stands_is_the_preset(preset: str) -> None:
    names = [name for name in form.names() if name != "preset"]
    shown = dict(zip(names, form.preset_values(preset), strict=True))
    assert form.config_of({"preset": preset, **shown}) == Config.of(preset)


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
        ({"max_pixels": 2**40}, "no option of this page"),
        ({"no_such": 1}, "no option"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        form.config_of(values)


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pair")
    celsius = {"scales": [0.01], "offsets": [-273.15], "units": ["°C"]}
    for prefix, pair in (("", render_pair()), ("large_", render_pair((384, 512), (96, 128)))):
        target = np.rint(29000 + 1500 * pair.target).astype(np.uint16)
        io.write(path / f"{prefix}t.tif", target, like=io.from_array(target, "t", **celsius))
        io.write(path / f"{prefix}g.png", pair.guide)
    (path / "broken.png").write_bytes(b"")
    return path


@pytest.fixture(scope="module")
def url(browser: Any) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "import sys; from cmsr.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "web", "--port", str(port), "--max-upload", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert f"http://127.0.0.1:{port}" in server.stdout.readline()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def choose(tab: Any, url: str, target: Path, guide: Path | None = None) -> None:
    tab.set_default_timeout(PATIENCE)
    tab.goto(url)
    tab.wait_for_selector("#start")
    tab.locator("#target input[type=file]").set_input_files(target)
    if guide:
        tab.locator("#guide input[type=file]").set_input_files(guide)
        tab.locator("#understood tr", has_text="Guide").wait_for()


def test_upload_run_slide_download(browser: Any, url: str, folder: Path, tmp_path: Path) -> None:
    command = ["upscale", str(folder / "t.tif"), str(folder / "g.png"), "--quiet"]
    assert main([*command, "-o", str(tmp_path / "cli.tif"), "--seed", "3"]) == 0
    with clean_page(browser) as tab:
        choose(tab, url, folder / "t.tif", folder / "g.png")
        understood = tab.locator("#understood").inner_text()
        for fact in ("32 × 24 pixels", "128 × 96 pixels", "ratio 4", "°C"):
            assert fact in understood
        tab.get_by_label("Seed").fill("3")
        tab.locator("#start").focus()
        tab.keyboard.press("Enter")
        view = tab.frame_locator("#view iframe")
        divider = view.locator("#compare .divider")
        divider.wait_for()
        start = divider.bounding_box()["x"]
        view.locator("[data-cut]").fill("90")
        assert divider.bounding_box()["x"] > start + 50
        for name, kept in (("result", "web.tif"), ("report", "web.html")):
            with tab.expect_download() as download:
                tab.locator(f"#{name}").click()
            download.value.save_as(tmp_path / kept)
        assert (tmp_path / "web.tif").read_bytes() == (tmp_path / "cli.tif").read_bytes()
        report = (tmp_path / "web.html").read_text("utf-8")
        assert "cmsr upscale t.tif g.png -o t_sharp.tif --preset default --seed 3" in report
        assert "cmsr-web-" not in report


def test_a_broken_file_is_told_as_by_the_command_line(
    browser: Any, url: str, folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert main(["upscale", "broken.png", "g.png", "-o", "never.tif"]) == 2
    line = capsys.readouterr().err.strip()
    with clean_page(browser) as tab:
        choose(tab, url, folder / "broken.png")
        tab.locator("#guide input[type=file]").set_input_files(folder / "g.png")
        tab.locator("#understood .refused").wait_for()
        assert tab.locator("#understood .refused").inner_text().strip() == line
        tab.locator("#start").click()
        tab.locator("#status .refused").wait_for()
        assert tab.locator("#status .refused").inner_text().strip() == line


def test_cancel_frees_the_worker_for_the_next(browser: Any, url: str, folder: Path) -> None:
    with clean_page(browser) as first, clean_page(browser) as second:
        choose(first, url, folder / "large_t.tif", folder / "large_g.png")
        first.get_by_label("Preset").click()
        first.get_by_role("option", name="paper").click()
        first.locator("#start").click()
        first.locator("#status").get_by_text("Working").wait_for()
        choose(second, url, folder / "t.tif", folder / "g.png")
        second.locator("#start").click()
        second.wait_for_timeout(1500)
        assert second.locator("#view iframe").count() == 0
        first.locator("#cancel").click()
        first.locator("#status").get_by_text("Cancelled").wait_for()
        second.locator("#view iframe").wait_for()
        assert first.locator("#view iframe").count() == 0


def test_a_script_gets_the_same(url: str, folder: Path, tmp_path: Path) -> None:
    script = (
        "import shutil, sys; from gradio_client import Client, handle_file\n"
        "url, target, guide, out = sys.argv[1:]\n"
        "client = Client(url, verbose=False)\n"
        "result, report, facts = client.predict(target=handle_file(target), "
        "guide=handle_file(guide), options={'preset': 'fast', 'seed': 5}, api_name='/upscale')\n"
        "print(facts['ratio'], facts['seed']); shutil.copy(result, out)"
    )
    pair = [str(folder / "t.tif"), str(folder / "g.png")]
    web, cli = tmp_path / "web.tif", tmp_path / "cli.tif"
    ran = subprocess.run(
        [sys.executable, "-c", script, url, *pair, web], capture_output=True, text=True
    )
    assert ran.stdout.strip() == "[4.0, 4.0] 5", ran.stderr
    options = ["--preset", "fast", "--seed", "5", "--quiet"]
    assert main(["upscale", *pair, "-o", str(cli), *options]) == 0
    assert web.read_bytes() == cli.read_bytes()


def test_a_taken_port_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["web", "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot listen there" in capsys.readouterr().err
