"""Small pairs in a table, and batches of them, for tests."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmsr.app.batch.command import Batch
from cmsr.app.batch.progress import Display, Tally
from cmsr.app.batch.run import run_batch
from cmsr.config import Config
from cmsr.io import image_files
from tests.conftest import render_pair

QUICK = ["--preset", "fast", "--align", "off", "--kernel", "bicubic"]


def make_table(folder: Path, count: int, shape: tuple[int, int] = (48, 64)) -> Path:
    """Write pairs p00, p01, … and their table; the target has half the guide's side."""
    folder.mkdir(parents=True, exist_ok=True)
    low = (shape[0] // 2, shape[1] // 2)
    lines = ["name,target,guide"]
    for index in range(count):
        pair = render_pair(shape, low, seed=index)
        image_files.write(folder / f"t{index}.png", (200 * pair.target).astype(np.uint8))
        image_files.write(folder / f"g{index}.png", pair.guide)
        lines.append(f"p{index:02},t{index}.png,g{index}.png")
    table = folder / "pairs.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def batch(
    table: object,
    out: object,
    *,
    series: bool = False,
    report: bool = False,
    preview: bool = False,
    error_map: bool = False,
    display: Display | None = None,
    **options: object,
) -> Tally:
    """Run a batch in this process, and return how it went."""
    config = Config.of("fast", **{"align": "off", "kernel": "bicubic", **options})
    command = Batch(
        pairs=str(table), out=str(out), series=series, report=report, preview=preview,
        error_map=error_map, config=config,
    )  # fmt: skip
    return run_batch(command, display or Display(), in_process=True)


def command(*arguments: object) -> subprocess.Popen[str]:
    """Start `cmsr batch` as a process of its own, in a process group of its own."""
    code = "import sys; from cmsr.app.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "batch", *map(str, arguments), *QUICK]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def results(out: Path, ending: str = "tif") -> dict[str, bytes]:
    """Content of all results, by name."""
    return {file.stem: file.read_bytes() for file in sorted(out.glob(f"*.{ending}"))}


def all_recorded(out: Path) -> bool:
    """Tell whether there are results and records for the same pairs, and no leftovers."""
    assert [file for file in (out / ".batch").rglob("*") if file.is_dir()] == []
    return results(out).keys() == results(out, "json").keys()


def events(out: Path, kind: str) -> list[dict[str, Any]]:
    """Lines of one kind of a batch's journal."""
    lines = (json.loads(line) for line in (out / "batch.jsonl").read_text().splitlines())
    return [line for line in lines if line["event"] == kind]


def command_in(page: str) -> str:
    """Return what a page on a run says to type to do it again."""
    found = re.search(r"<code>(.*?)</code>", page)
    assert found
    return html.unescape(found[1])


def rows(names: Sequence[str]) -> str:
    """Content of a table of pairs with these names."""
    return "name,target,guide\n" + "".join(f'"{name}",t0.png,g0.png\n' for name in names)


class Said(Display):
    """Prints what a batch says."""

    def say(self, text: str) -> None:
        print(text, flush=True)


if __name__ == "__main__":
    tally = batch(*sys.argv[1:], display=Said())
    print("complete" if all_recorded(Path(sys.argv[2])) and not tally.failed else "incomplete")
