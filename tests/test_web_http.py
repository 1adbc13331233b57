"""What a script can ask of the page, what it cannot, and how long its files are kept."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmsr.app.cli import main
from cmsr.io import image_files

pytest.importorskip("gradio", reason="no gradio: pip install 'cmsr[web]'")

import gradio
import httpx
import safehttpx
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from cmsr.app.web import server
from cmsr.app.web.private import Owners, PrivateFiles, visitor_of
from tests.web_visitor import FAST, asked, fetched

WEB = Path(__file__).parents[1] / "docs" / "WEB.md"
SCRIPT = re.search(r"```python\n(.*?)```", WEB.read_text("utf-8"), re.S)
WORDS = ["--preset", "fast", "--align", "off", "--kernel", "bicubic", "--seed", "5", "--quiet"]


@pytest.fixture(scope="module")
def visitor(web_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{web_url}/gradio_api/", timeout=120) as client:
        yield client


def test_the_documented_script_runs(web_url: str, web_folder: Path, tmp_path: Path) -> None:
    assert SCRIPT
    script = SCRIPT[1].replace("http://127.0.0.1:7860", web_url)
    pair = [str(web_folder / "t.tif"), str(web_folder / "g.png")]
    web, cli = tmp_path / "web.tif", tmp_path / "cli.tif"
    command = [sys.executable, "-c", script, *pair, web]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.stdout.startswith("[4.0, 4.0] "), ran.stderr
    options = ["--preset", "fast", "--seed", "5", "--quiet"]
    assert main(["upscale", *pair, "-o", str(cli), *options]) == 0
    assert web.read_bytes() == cli.read_bytes()


def test_a_page_of_several_is_named(
    visitor: httpx.Client, web_folder: Path, tmp_path: Path
) -> None:
    result, report, record = asked(
        visitor, web_folder / "pages.tif", web_folder / "g.png", part="2", **FAST
    )
    pair = [f"{web_folder / 'pages.tif'}:2", str(web_folder / "g.png")]
    assert main(["upscale", *pair, "-o", str(tmp_path / "cli.tif"), *WORDS]) == 0
    assert fetched(visitor, result).content == (tmp_path / "cli.tif").read_bytes()
    assert "cmsr upscale pages.tif:2 g.png -o pages_sharp.tif" in fetched(visitor, report).text
    assert record["seed"] == 5


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("broken.png", {"ratio": 2}, ["--ratio", "2"]),
        ("t.tif", {"ratio": 20}, ["--ratio", "20"]),
        ("many.png", {"ratio": 1}, ["--ratio", "1"]),
        ("t.tif", {"ratio": 2, "bands": [3]}, ["--ratio", "2", "--bands", "3"]),
    ],
)
def test_what_is_wrong_is_told_as_by_the_command_line(
    target: str,
    options: dict[str, Any],
    words: list[str],
    visitor: httpx.Client,
    web_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image_files.write(web_folder / "many.png", np.zeros((500, 500), np.uint8))
    monkeypatch.chdir(web_folder)
    limit = ["--max-pixels", "200000"]
    assert main(["upscale", target, "-o", "never.tif", *limit, *words]) == 2
    line = capsys.readouterr().err.strip()
    assert f"cmsr: {asked(visitor, web_folder / target, **options)}" == line


def test_no_place_on_the_server_is_told(visitor: httpx.Client, web_folder: Path) -> None:
    told = asked(visitor, web_folder / "text.tif", web_folder / "g.png")
    assert isinstance(told, str)
    assert told.startswith("text.tif: not an image that can be read")
    assert "/" not in told


def test_an_upload_too_large_is_refused(visitor: httpx.Client) -> None:
    for size, status in ((2**20, 200), (2**20 + 1, 413)):
        reply = visitor.post("upload", files={"files": ("a.tif", bytes(size))})
        assert reply.status_code == status
    assert "1048576 bytes" in reply.text


def test_files_are_their_makers_alone(
    visitor: httpx.Client, web_url: str, web_folder: Path, tmp_path: Path
) -> None:
    result, report, _ = asked(visitor, web_folder / "t.tif", web_folder / "g.png", **FAST)
    own = tmp_path / "own.tif"
    own.write_bytes((web_folder / "t.tif").read_bytes() + b"mine alone")
    uploaded = visitor.post("upload", files={"files": ("own.tif", own.read_bytes())}).json()[0]
    with httpx.Client(base_url=f"{web_url}/gradio_api/", timeout=120) as stranger:
        for path in (result["path"], report["path"], uploaded):
            for url in (f"file={path}", f"file/{path}", f"file=/{path}", f"file=./{path}"):
                assert stranger.get(url).status_code == 403, "not even who is told"
                assert stranger.head(url).status_code in (403, 405)
            assert visitor.get(f"file={path}").status_code == 200
        assert visitor.get(f"file={uploaded}").content == own.read_bytes()
        folder = Path(result["path"]).parents[1]
        for place in ("/etc/hostname", __file__, f"{folder}/../work", folder, web_folder / "t.tif"):
            assert stranger.get(f"file={place}").status_code == 403
            assert visitor.get(f"file={place}").status_code == 403
        for place in (uploaded, str(web_folder / "t.tif")):
            stolen = {"path": place, "meta": {"_type": "gradio.FileData"}}
            event = stranger.post("call/upscale", json={"data": [stolen, None, {"ratio": 2}, ""]})
            assert "error" in stranger.get(f"call/upscale/{event.json()['event_id']}").text
        same = stranger.post("upload", files={"files": ("own.tif", own.read_bytes())}).json()[0]
        assert stranger.get(f"file={same}").status_code == 200, "who holds the same bytes, may"


@given(
    cookie=st.none() | st.text("abcdefghij-_ABC0123456789.=é", max_size=60),
    name=st.sampled_from(["cmsr_visitor", "other"]),
)
def test_every_new_visitor_gets_a_secret_of_their_own(cookie: str | None, name: str) -> None:
    seen: list[str] = []

    async def page(scope: Any, _receive: Any, send: Any) -> None:
        seen.append(visitor_of(HTTPConnection(scope).cookies))
        await PlainTextResponse("page")(scope, _receive, send)

    guarded = PrivateFiles(page, Owners(Path("/nowhere")))
    headers = {} if cookie is None else {"cookie": f"{name}={cookie}".encode()}
    first = TestClient(guarded, headers=headers).get("/")
    known = name == "cmsr_visitor" and re.fullmatch(r"[\w-]{43}", cookie or "", re.ASCII)
    if known:
        assert seen == [cookie]
        assert "set-cookie" not in first.headers
    else:
        assert re.fullmatch(r"[\w-]{43}", seen[0], re.ASCII)
        assert (
            f"cmsr_visitor={seen[0]}; Path=/; HttpOnly; SameSite=Lax" == first.headers["set-cookie"]
        )


def test_files_are_forgotten_with_their_removal(tmp_path: Path) -> None:
    owners, made = Owners(tmp_path), tmp_path / "made.tif"
    places = []
    for _ in range(3):
        made.write_bytes(b"sharp")
        places.append(owners.hand_out("me", made))
    assert len({place.parent for place in places}) == 3
    assert not made.exists()
    assert [owners.owns("me", place) for place in places] == [True] * 3
    assert not owners.owns("you", places[0])
    places[0].unlink()
    owners.claim("you", places[1])
    assert [owners.owns("me", place) for place in places] == [False, True, True]
    assert owners.owns("you", places[1])


def test_uploads_and_results_are_removed_after_a_while(web_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.web_visitor", web_folder, tmp_path]
    root = Path(__file__).parents[1]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["schedule"] == [360, 3600]
    assert told["work"] == 0, "what a run needs is gone with it"
    assert (told["soon"], told["later"], told["files"]) == ([200, 200], [403, 403], [])


def test_nothing_is_fetched_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("get", "async_validate_url"):
        monkeypatch.setattr(safehttpx, name, getattr(safehttpx, name))
    server._fetch_nothing()
    for fetch in (gradio.processing_utils.async_ssrf_protected_get, safehttpx.async_validate_url):
        with pytest.raises(ValueError, match="not downloaded"):
            fetch("https://huggingface.co/a.tif").send(None)
