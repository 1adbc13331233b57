"""A table of pairs: faults named before any work; what is done and unchanged is not done again."""

import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmsr.app.batch import clusters, lock, storage
from cmsr.app.batch.progress import Tally
from cmsr.app.batch.table import read_table
from cmsr.app.cli import main
from cmsr.errors import InputError
from tests.batches import QUICK, all_recorded, batch, make_table, results, rows

BAD_TABLES = {
    "missing column": ("name,target\na,t0.png\n", "has no column guide"),
    "empty": ("", "has no column name, target, guide"),
    "header only": ("name,target,guide\n", "lists no pairs"),
    "same name": (rows(["a", "b", "a"]), "line 4: the name 'a' is already used in line 2"),
    "same but for case": (rows(["a", "A"]), "line 3: the name 'A' is already used in line 2"),
    "absolute": (rows(["/a/b"]), "line 2: the name '/a/b' is not a plain relative path"),
    "upwards": (rows(["a/../../b"]), "line 2: the name 'a/../../b' leads out of the folder"),
    "url": (rows(["s3://bucket/a"]), "is not a plain relative path"),
    "hidden": (rows([".batch/lock"]), "is reserved"),
    "too long": (rows(["a" * 300]), "is too long"),
    "no name": (rows([""]), "line 2: the name is empty"),
    "no target": ("name,target,guide\na,,g0.png\n", "line 2: the target of a is empty"),
    "unclosed quote": ('name,target,guide\n"a,t0.png,g0.png\n', "unexpected end of data"),
    "no text": (b"name,target,guide\n\xff\xfe,t,g\n", "not UTF-8 text"),
    "no files": ("name,target,guide\na,no.png,no.png\n", "the files of every pair are missing"),
    "many faults": (rows(["/a"] * 9), "and 12 more"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_table(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = BAD_TABLES[case]
    make_table(tmp_path, 1)
    table, out = tmp_path / "pairs.csv", tmp_path / "out"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["batch", str(table), "-o", str(out), *QUICK]) == 2
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1
    assert str(table) in printed.err
    assert message in printed.err
    assert results(out) == {}


BAD_OPTIONS = {
    "no table": (["{folder}/no.csv"], "no.csv: no such file"),
    "unknown storage": (["nowhere://bucket/pairs.csv"], "nowhere"),
    "unknown kernel": (["{table}", "--kernel", "lanczos"], "kernel is 'lanczos'"),
    "no workers": (["{table}", "--workers", "0"], "workers is 0"),
    "two places": (["{table}", "--scheduler", "tcp://a:1", "--workers", "2"], "workers of its own"),
    "no scheduler": (["{table}", "--scheduler", "tcp://127.0.0.1:9"], "cannot be reached"),
    "no address": (["{table}", "--scheduler", "nonsense://"], "scheduler nonsense://"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options(
    case: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clusters, "CONNECT", "200ms")
    words, message = BAD_OPTIONS[case]
    table, out = make_table(tmp_path, 1), tmp_path / "out"
    arguments = [word.format(table=table, folder=tmp_path) for word in words]
    assert main(["batch", *QUICK, *arguments, "-o", str(out)]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert results(out) == {}


def test_a_large_table_is_checked_to_its_end(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    names = [f"p{index}" for index in range(100_000)]
    table.write_text(rows(names))
    assert len(read_table(str(table))) == 100_000
    table.write_text(rows([*names, "p0"]))
    with pytest.raises(InputError, match="line 100002: the name 'p0' is already used in line 2"):
        read_table(str(table))


@settings(deadline=None)
@given(name=st.text(max_size=40))
def test_no_name_leads_out_of_the_folder(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = tmp_path_factory.getbasetemp() / "names.csv"
    with table.open("w", newline="", encoding="utf-8", errors="replace") as file:
        csv.writer(file).writerows([["name", "target", "guide"], [name, "t", "g"]])
    try:
        accepted = read_table(str(table))[0].name
    except InputError:
        return
    out = Path("/results")
    place = os.path.normpath(f"{out}/{accepted}.tif")
    assert Path(place).is_relative_to(out)
    assert not Path(place).is_relative_to(out / storage.OWN)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    table, out = make_table(tmp_path, 3), tmp_path / "out"
    first = batch(table, out)
    assert (first.new, first.done, first.failed) == (3, 3, [])
    assert all_recorded(out)
    assert (out / "contact_sheet.png").is_file()
    made = results(out)
    again = batch(table, out)
    assert (again.before, again.changed, again.new, again.done) == (3, 0, 0, 0)

    os.utime(tmp_path / "t0.png", ns=(1, 1))
    (tmp_path / "t1.png").write_bytes((tmp_path / "t2.png").read_bytes())
    changed = batch(table, out)
    assert (changed.before, changed.changed, changed.unchanged, changed.done) == (1, 2, 1, 1)
    assert batch(table, out).before == 3
    assert {name for name in made if results(out)[name] != made[name]} == {"p01"}

    (out / "p00.tif").unlink()
    (out / "p01.tif").write_bytes(b"cut short")
    (out / "p02.json").write_text("{")
    mended = batch(table, out)
    assert (mended.before, mended.new, mended.done) == (0, 3, 3)
    assert results(out)["p00"] == made["p00"]

    other = batch(table, out, solver_iterations=5)
    assert (other.changed, other.done) == (3, 3)


def test_records_and_journal(tmp_path: Path) -> None:
    table, out = make_table(tmp_path, 2), tmp_path / "out"
    table.write_text(table.read_text() + "lost,no.png,g0.png\n")
    tally = batch(table, out)
    assert [name for name, _ in tally.failed] == ["lost"]
    record = json.loads((out / "p00.json").read_text())
    assert record["ratio"] == [2.0, 2.0]
    assert {"seconds", "versions", "seed", "batch"} <= record.keys()
    events = [json.loads(line) for line in (out / "batch.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "pair", "pair", "pair", "end"]
    assert {event["name"]: event["status"] for event in events[1:-1]} == {
        "p00": "done",
        "p01": "done",
        "lost": "failed",
    }
    assert "no.png: no such file" in events[1]["error"]


def test_files_of_the_user_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = make_table(tmp_path, 1)
    (tmp_path / "p00.tif").write_text("mine")
    arguments = ["batch", str(table), "-o", str(tmp_path), *QUICK]
    assert main(arguments) == 2
    assert "p00.tif: already exists" in capsys.readouterr().err
    assert (tmp_path / "p00.tif").read_text() == "mine"


def test_one_batch_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, out = make_table(tmp_path, 1), tmp_path / "out"
    with lock.held(str(out)):
        assert main(["batch", str(table), "-o", str(out), *QUICK]) == 2
        assert "another batch is running there" in capsys.readouterr().err
    assert results(out) == {}
    assert batch(table, out).done == 1


def test_memory_storage(tmp_path: Path) -> None:
    table = make_table(tmp_path, 2)
    assert batch(table, "memory://results").done == 2
    assert batch(table, "memory://results").before == 2
    assert batch(table, tmp_path / "out").done == 2
    for name, content in results(tmp_path / "out").items():
        assert storage.read_bytes(f"memory://results/{name}.tif") == content


def test_the_summary_says_how_far_the_photos_were_used() -> None:
    said = Tally(3, done=3, photos=[0.9, 0.6, 0.0]).summary("out")
    assert "photos used for 50% on average; 1 of 3 results made without the photo" in said
    assert "photos" not in Tally(1, done=1).summary("out")
