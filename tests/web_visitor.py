"""A visitor without a browser; run as a program, one who watches how long files are kept."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

FAST = {"preset": "fast", "align": "off", "kernel": "bicubic", "seed": 5}


def asked(client: httpx.Client, *files: Path, part: str = "", **options: Any) -> list[Any] | str:
    """Upload a target and a guide and upscale: result, report and record, or what is wrong."""
    content = [("files", (file.name, file.read_bytes())) for file in files]
    paths = client.post("upload", files=content).json()
    given = [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]
    data = [*given, *[None] * (2 - len(given)), options, part]
    event = client.post("call/upscale", json={"data": data}).json()["event_id"]
    lines = client.get(f"call/upscale/{event}").text.splitlines()
    kind, told = [line.partition(": ")[2] for line in lines if ": " in line][-2:]
    found = json.loads(told)
    assert kind == ("error" if isinstance(found, dict) else "complete")
    return str(found["error"]) if isinstance(found, dict) else list(found)


def fetched(client: httpx.Client, file: dict[str, str]) -> httpx.Response:
    """Ask for a file that the page has told of."""
    return client.get(f"file={file['path']}")


class _Here:
    """A worker that works in this process."""

    def run(self, _owner: str, task: Any, *arguments: Any) -> Iterator[Any]:
        yield task(*arguments, progress=None)


def _watch(pair: Path, place: Path) -> Iterator[tuple[str, object]]:
    """Upscale a pair, let time pass, and tell what is left."""
    files, work = place / "files", place / "work"
    os.environ["GRADIO_TEMP_DIR"] = str(files)
    from gradio.route_utils import delete_files_created_by_app
    from gradio.routes import App
    from starlette.testclient import TestClient

    from cmsr.app.web import app, page
    from cmsr.app.web.private import Owners, PrivateFiles

    app.Worker = _Here  # type: ignore[assignment, misc]
    for folder in (work, files):
        folder.mkdir()
    owners = Owners(files)
    blocks = page.page(app.App(work, owners))
    blocks.max_file_size = None

    def left() -> list[int]:
        return [fetched(client, file).status_code for file in (result, report)]

    with TestClient(PrivateFiles(App.create_app(blocks), owners)) as client:
        client.base_url = client.base_url.join("/gradio_api/")
        client.get("startup-events")
        result, report, _ = asked(client, pair / "t.tif", pair / "g.png", **FAST)
        yield "work", len(list(work.iterdir()))
        delete_files_created_by_app(blocks, age=page.KEPT)
        yield "soon", left()
        delete_files_created_by_app(blocks, age=-1)
        yield "later", left()
        kept = (file for file in files.rglob("*") if file.is_file())
        yield "files", [str(file) for file in kept if file.stat().st_size]
    yield "schedule", blocks.delete_cache


if __name__ == "__main__":
    print(json.dumps(dict(_watch(Path(sys.argv[1]), Path(sys.argv[2])))))
