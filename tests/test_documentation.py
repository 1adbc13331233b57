"""The pages tell the truth: commands run, options exist, tables are those of the records."""

import importlib
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cmsr.app import cli, demo
from cmsr.app.arguments import command_of, options_of
from cmsr.app.batch import run as batch_run
from tests import documents
from tests.documents import ROOT

ELSEWHERE = {
    "cmsr web": "serves until it is stopped: tests/test_web_http.py",
}
"""Commands that other tests run."""

COMMANDS = documents.commands()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small file of every name that the pages use."""
    made = tmp_path_factory.mktemp("pages")
    documents.make_files(made)
    return made


def quick(words: list[str]) -> list[str]:
    """Return a command that replaces what an earlier one wrote, with the preset fast."""
    name = words[0] if words[:2] != ["bench", "train"] else "bench train"
    if name not in cli.COMMANDS:
        return words
    known = {option.name for option in options_of(cli.COMMANDS[name])}
    faster = ["--preset", "fast"] if "preset" in known and "--preset" not in words else []
    if "--align" in words and "segments" in words:
        faster = []
    return words + faster + ([] if "overwrite" not in known else ["--overwrite"])


def test_there_are_commands_and_next_to_all_are_run() -> None:
    run = [line for line, why in COMMANDS.items() if not why]
    assert len(run) > 35
    assert len(run) > 0.7 * len(COMMANDS)


@pytest.mark.parametrize("line", [line for line, why in COMMANDS.items() if not why])
def test_every_command_runs(
    line: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    words = documents.words(line)
    if line in ELSEWHERE:
        assert command_of(cli.COMMANDS[words[0]], "cmsr", words[1:])
        return
    monkeypatch.setattr(batch_run, "run_batch", partial(batch_run.run_batch, in_process=True))
    monkeypatch.setattr(demo, "upscale", partial(demo.upscale, preset="fast"))
    try:
        code = cli.main(quick(words))
    except SystemExit as help_was_shown:
        code = help_was_shown.code
    assert code == 0, capsys.readouterr().err


@pytest.mark.parametrize("line", [line for line, why in COMMANDS.items() if why])
def test_commands_that_are_not_run_say_why_and_can_be_parsed(line: str) -> None:
    assert len(COMMANDS[line]) > 10
    words = documents.words(line)
    count = 2 if words[:2] == ["bench", "train"] else 1
    name = " ".join(words[:count])
    assert command_of(cli.COMMANDS[name], f"cmsr {name}", words[count:])


def test_no_command_is_overlooked() -> None:
    shown = sum(len(re.findall(r"^ *cmsr \S", page.read_text("utf-8"), re.M))
                for page in documents.PAGES)  # fmt: skip
    assert shown == sum(len(block.commands()) for block in documents.blocks())


def test_every_option_that_a_page_names_exists() -> None:
    known = {"--help", "--version", "--print-completion"}
    for command in cli.COMMANDS.values():
        known |= {action for option in options_of(command) for action in _flags(option)}
    foreign = {"--index-url", "--repo", "--create-namespace", "--generate-name", "--nworkers",
               "--nthreads", "--minutes", "--seconds"}  # fmt: skip
    text = "\n".join(page.read_text("utf-8") for page in documents.PAGES)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--8"}
    assert named - foreign <= known


def _flags(option: Any) -> set[str]:
    flag = f"--{(option.about.name or option.name).replace('_', '-')}"
    return {flag, f"--no-{flag[2:]}"}


@pytest.mark.filterwarnings("ignore")  # of files without a place or holes, which users see too
def test_python_on_the_pages_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    code = [block for block in documents.blocks() if block.language == "python" and not block.why]
    assert len(code) >= 3
    for block in code:
        exec(compile(block.text, block.page, "exec"), {})  # noqa: S102


def test_tables_are_those_of_the_records() -> None:
    tables = importlib.import_module("docs.benchmark_tables")
    for page in (ROOT / "docs").glob("*.md"):
        text = page.read_text("utf-8")
        assert tables.filled(text) == text, "run: python -m docs.benchmark_tables"
    for name in tables.CHARTS:
        chart = tables.BENCH / name
        drawn = chart.with_stem(f"{chart.stem}-dark").read_text("utf-8")
        assert tables.dark(chart.read_text("utf-8")) == drawn, (
            "run: python -m docs.benchmark_tables"
        )


def test_links_of_the_readme_are_there() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    links = re.findall(r"\]\((?!http)([^)#]+)", text)
    assert len(links) > 15
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    mkdocs = pytest.importorskip("mkdocs.commands.build", reason="pip install 'cmsr[docs]'")
    config = importlib.import_module("mkdocs.config").load_config(
        str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site")
    )
    mkdocs.build(config)
    page = (tmp_path / "site" / "COMMANDS.html").read_text("utf-8")
    assert all(f"cmsr {name}" in page for name in cli.COMMANDS)
    built = "".join(path.read_text("utf-8") for path in (tmp_path / "site").glob("*.html"))
    fetched = re.findall(
        r"""<(?:script|img|link|iframe)[^>]*(?:src|href)=["']?(https?:[^"' >]+)""", built
    )
    assert not [address for address in fetched if "canonical" not in address], fetched
