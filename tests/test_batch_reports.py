"""A page for each pair of a batch: whole, beside its result, and no older than that."""

import json
import shlex
import tempfile
from pathlib import Path

import pytest
import torch

from cmsr.app.batch import storage
from cmsr.app.batch.results import Results
from cmsr.app.cli import _parse, main
from cmsr.io import image_files
from tests.batches import QUICK, all_recorded, batch, command_in, events, make_table, results


def pages(out: Path) -> dict[str, bytes]:
    return {name: page for name, page in results(out, "html").items() if name != "index"}


def test_each_pair_has_a_page_that_says_how_to_get_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, out = make_table(tmp_path / "my pairs", 2), tmp_path / "out"
    batch(table, out, report=True)
    monkeypatch.chdir(table.parent)
    assert pages(out).keys() == results(out).keys() == {"p00", "p01"}
    assert all_recorded(out)
    for name, page in pages(out).items():
        assert str(tmp_path) not in page.decode(), "a page is passed on; the disk's folders are not"
        threads, cmsr, *words = shlex.split(command_in(page.decode()))
        assert (threads, cmsr) == ("OMP_NUM_THREADS=1", "cmsr")
        torch.set_num_threads(1)
        assert main([*words, "--quiet"]) == 0
        assert (table.parent / f"{name}.tif").read_bytes() == (out / f"{name}.tif").read_bytes()


def test_a_page_belongs_to_what_is_done(tmp_path: Path) -> None:
    table, out = make_table(tmp_path, 2), tmp_path / "out"
    batch(table, out)
    made = results(out)
    assert pages(out) == {}
    assert batch(table, out, report=True).done == 2, "pages need the results made again"
    assert batch(table, out, report=True).before == 2
    assert batch(table, out).before == 2, "a page more is no reason to do it again"
    (out / "p00.html").write_text("cut short")
    mended = batch(table, out, report=True)
    assert (mended.before, mended.done) == (1, 1)
    assert len(pages(out)["p00"]) > 10_000
    assert results(out) == made
    assert batch(table, out, solver_iterations=5).done == 2
    assert pages(out) == {}, "the pages were of other results"


def test_a_page_of_the_users_own_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, out = make_table(tmp_path, 1), tmp_path / "out"
    out.mkdir()
    (out / "p00.html").write_text("mine")
    assert main(["batch", str(table), "-o", str(out), *QUICK, "--report"]) == 2
    assert "p00.html: exists already" in capsys.readouterr().err
    assert batch(table, out).done == 1
    batch(table, out, solver_iterations=5)
    assert (out / "p00.html").read_text() == "mine"


@pytest.mark.parametrize("written", [0, 1, 2])
def test_no_record_without_its_page(
    written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, out = make_table(tmp_path, 1), tmp_path / "out"
    batch(table, out, report=True, solver_iterations=5)
    put, left = Results._put, [written] * 2  # the pair is tried twice

    def torn(self: Results, file: Path, place: str) -> None:
        if not left[0]:
            left.pop(0)
            raise OSError("torn")
        left[0] -= 1
        put(self, file, place)

    with monkeypatch.context() as patched:
        patched.setattr(Results, "_put", torn)
        assert len(batch(table, out, report=True).failed) == 1
    assert results(out, "json") == {}
    assert batch(table, out, report=True).done == 1
    assert pages(out).keys() == results(out).keys() == results(out, "json").keys() == {"p00"}


def test_what_needs_the_batch_names_the_batch(tmp_path: Path) -> None:
    table, out = make_table(tmp_path, 2), tmp_path / "out"
    batch(table, out, series=True, report=True)
    for page in pages(out).values():
        again = _parse(shlex.split(command_in(page.decode()))[1:])
        assert (again.pairs, again.out) == ("pairs.csv", "out")  # type: ignore[attr-defined]
        assert (again.series, again.report) == (True, True)  # type: ignore[attr-defined]
        assert again.config.align == "off"  # type: ignore[attr-defined]


def test_pages_in_storage_name_files_as_the_user_does(tmp_path: Path) -> None:
    table = make_table(tmp_path, 1)
    lines = table.read_text().replace("t0.png", "memory://in/t0.png")
    table.write_text(lines)
    storage.write_bytes("memory://in/t0.png", (tmp_path / "t0.png").read_bytes())
    tally = batch(table, "memory://pages", report=True, kernel="auto")
    assert (tally.done, tally.failed) == (1, [])
    page = storage.read_bytes("memory://pages/p00.html").decode()
    assert command_in(page).startswith("cmsr batch ")
    assert f"{tempfile.gettempdir()}/cmsr-" not in page, "where inputs are copied to"


def test_a_pair_that_no_page_can_show_fails_alone(tmp_path: Path) -> None:
    table, out = make_table(tmp_path, 2), tmp_path / "out"
    table.write_text(table.read_text().replace("g0.png", ""))
    batch(table, out, report=True)
    assert pages(out).keys() == {"p01"}
    assert {event["name"] for event in events(out, "pair") if event["status"] == "failed"} == {
        "p00"
    }


def test_expected_errors_lie_beside_their_results_and_in_the_index(tmp_path: Path) -> None:
    table, out = make_table(tmp_path, 1), tmp_path / "out"
    assert batch(table, out).done == 1
    assert batch(table, out, error_map=True, report=True).done == 1
    error = image_files.read(out / "p00.error.tif").data[0]
    mean = json.loads((out / "p00.json").read_text())["expected_error"]["mean"][0]
    assert error.mean() == pytest.approx(mean, rel=1e-4)
    assert f"expected error ±{mean:.2g}" in (out / "index.html").read_text()
    assert batch(table, out, error_map=True).before == 1
    (out / "p00.error.tif").unlink()
    assert batch(table, out, error_map=True).done == 1
    assert (out / "p00.error.tif").exists()
