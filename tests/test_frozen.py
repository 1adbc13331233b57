"""The interface that other programs rely on, held to `tests/frozen/interface.json`.

Commands with their options and choices, keys of the JSON records, exit codes, public names. More of
them break nobody; what the file lists must stay.
"""

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cmsr
from cmsr.app import cli
from tests.conftest import render_pair

FROZEN = json.loads((Path(__file__).parent / "frozen" / "interface.json").read_text())

RECORDS = {
    "upscale": ("upscale @t.png @g.png -o @u.png --json @u.json --preset fast --quiet", "u.json"),
    "upscale --ratio": ("upscale @t.png -o @v.png --json @v.json --ratio 2 --quiet", "v.json"),
    "align": ("align @t.png @g.png -o @w.png --json @w.json --quiet", "w.json"),
    "batch": ("batch @pairs.csv -o @batch --workers 1 --preset fast --quiet", "batch/a.json"),
    "evaluate --json": ("evaluate @x.png @x.png --json @e.json", "e.json"),
    "info --json": ("info @t.png --json", None),
    "bench": ("bench @pairs.csv --methods bicubic -o @b --workers 1 --quiet", "b/results.json"),
}
"""Command line, where ``@`` is the folder, and the file that its record goes to."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair t.png, g.png with its truth x.png, an empty file, and tables of pairs."""
    path, pair = tmp_path_factory.mktemp("frozen"), render_pair()
    images = {"t": 200 * pair.target, "g": pair.guide, "x": 200 * pair.truth}
    for name, image in images.items():
        Image.fromarray(image.astype(np.uint8)).save(path / f"{name}.png")
    (path / "empty.png").touch()
    (path / "pairs.csv").write_text("name,target,guide,truth\na,t.png,g.png,x.png\n")
    (path / "missing.csv").write_text("name,target,guide\na,t.png,g.png\nb,t.png,no.png\n")
    (path / "columns.csv").write_text("name,target\na,t.png\n")
    return path


def run(line: str, folder: Path) -> int:
    """Run a command line; a batch in its own process, whose module its workers import."""
    words = line.replace("@", f"{folder}/").split()
    if words[0] != "batch":
        return cli.main(words)
    code = "import sys; from cmsr.app.cli import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True).returncode


def arguments(text: str) -> list[str]:
    """Commands, or arguments with their choices, that a help text names."""
    return re.findall(r"^  (\S+(?: \S+)*)", text, re.MULTILINE)


def key_paths(value: Any, prefix: str = "") -> Iterator[str]:
    """Keys of nested objects as ``outer.inner``; a list's first element speaks for all."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{prefix}{name}"
            yield from key_paths(inner, f"{prefix}{name}.")
    elif isinstance(value, list) and value:
        yield from key_paths(value[0], prefix)


@pytest.mark.parametrize("command", FROZEN["help"])
def test_arguments_and_choices(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        cli.main([*command.split(), "--help"])
    assert not {*FROZEN["help"][command]} - {*arguments(capsys.readouterr().out)}


@pytest.mark.parametrize("command", RECORDS)
def test_keys_of_records(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line, file = RECORDS[command]
    assert run(line, folder) == 0
    record = json.loads((folder / file).read_text() if file else capsys.readouterr().out)
    assert not {*FROZEN["keys"][command]} - {*key_paths(record)}


@pytest.mark.parametrize("line", FROZEN["exit codes"])
def test_exit_codes(line: str, folder: Path) -> None:
    assert run(line, folder) == FROZEN["exit codes"][line]


def test_exit_code_of_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_arguments: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_parse", interrupted)
    assert cli.main(["info", "t.png"]) == 130


def test_public_names() -> None:
    assert sorted(cmsr.__all__) == FROZEN["public names"]
