"""`cmsr bench`: records that survive, a published schema, one failure that stops nothing else."""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from cmsr.app.cli import _parse, main
from cmsr.errors import InputError, OptionError
from cmsr.io import image_files
from cmsr_bench import results
from cmsr_bench.cases import read_cases
from cmsr_bench.commands import Bench, BenchTrain
from cmsr_bench.comparison import compare
from cmsr_bench.records import Record, Run, Store
from cmsr_bench.runner import _result
from cmsr_bench.supervised import TrainingPair, folded
from cmsr_bench.training import train
from cmsr_bench.variants import Variant
from cmsr_bench.weights_file import Weights
from tests.batches import command_in
from tests.conftest import render_pair


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs with truth, one without, and one whose guide is smaller than its target."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = ["dataset,name,target,guide,truth,scale"]
    for seed, name in enumerate(("one", "two", "blind", "broken")):
        pair = render_pair((48, 64), (12, 16), seed)
        guide = pair.guide[:6, :8] if name == "broken" else pair.guide
        image_files.write(
            folder / f"{name}_target.png", (250 * pair.target).clip(0, 255).astype(np.uint8)
        )
        image_files.write(folder / f"{name}_guide.png", guide)
        image_files.write(folder / f"{name}_truth.png", (250 * pair.truth).astype(np.uint8))
        truth = "" if name == "blind" else f"{name}_truth.png"
        rows.append(f"made,{name},{name}_target.png,{name}_guide.png,{truth},4")
    (folder / "pairs.csv").write_text("\n".join(rows))
    return folder / "pairs.csv"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


METHODS = "bicubic,guided-filter,pixtransform:iterations=5"


def test_bench_runs_records_and_goes_on(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("bench", table, "--methods", METHODS, "-o", tmp_path, "--seeds", "0,1")
    assert run(*command, "--workers", 2) == 1, "one pair is broken"
    content = json.loads((tmp_path / "results.json").read_text())
    schema = json.loads(results.SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema)
    records = content["records"]
    assert len(records) == 4 * (2 + 2)  # another seed only where there is chance
    by = {(r["method"], r["pair"], r["seed"]): r for r in records}
    assert by["guided-filter", "one", 0]["gain"] > 0 == by["bicubic", "one", 0]["gain"]
    assert by["guided-filter", "one", 0]["consistency"] < by["bicubic", "one", 0]["consistency"]
    assert by["bicubic", "blind", 0]["scored"] is False
    assert by["bicubic", "blind", 0]["error"] is None
    failed = [r for r in records if r["error"]]
    assert {r["pair"] for r in failed} == {"broken"}
    printed = capsys.readouterr()
    assert f"4 of {len(records)} runs failed; {tmp_path}/tables.md says why" in printed.err
    assert "made/blind bicubic seed 0: not scored" in printed.err
    assert "Without a score, for lack of a truth: blind" in printed.out
    for name in ("tables.md", "speed-made.svg", "pictures/crops-made.png"):
        assert (tmp_path / name).stat().st_size > 100
    assert (tmp_path / "pictures" / ".gitignore").read_text() == "*\n"

    one = by["bicubic", "two", 0]["key"]
    (tmp_path / "records" / f"{one}.json").unlink()
    renamed = table.with_name("renamed.csv")
    renamed.write_text(table.read_text().replace("made,one", "ma/de,first"))
    assert run(command[0], renamed, *command[2:]) == 1
    again = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[")]
    assert sum("made/two bicubic" in line for line in again) == 1
    assert all("made/broken" in line for line in again if "made/two" not in line)
    assert "| first | 2" in (tmp_path / "tables.md").read_text()
    assert (tmp_path / "pictures" / "crops-ma_de.png").exists()


def test_a_stop_keeps_what_was_done(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int, _record: Record) -> None:
        if done == 2:
            raise KeyboardInterrupt

    methods, pairs = ("bicubic", "bicubic+bp"), ("one", "two")
    options = Bench(table=table, methods=methods, pairs=pairs, out=tmp_path, workers=1)
    with pytest.raises(KeyboardInterrupt):
        compare(options, stop)
    assert len(json.loads((tmp_path / "results.json").read_text())["records"]) == 2
    heard: list[Record] = []
    assert len(compare(options, lambda _done, _total, record: heard.append(record))) == 4
    assert len(heard) == 2


def test_every_run_of_ours_has_a_page_that_says_how_to_get_the_same_image(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "made.csv"
    rows = table.read_text().replace("one_", f"{table.parent}/one_").splitlines()
    alone = rows[1].replace(f"one,{table.parent}/one_target.png", "no target,")
    small.write_text("\n".join([*rows[:2], alone]))
    methods = "bicubic,cmsr-fast:align=off:kernel=bicubic"
    command = ("bench", small, "--methods", methods, "-o", tmp_path / "out", "--quiet")
    assert run(*command, "--workers", 2) == 0
    assert not list(tmp_path.rglob("*.html"))
    assert run(*command, "--workers", 2, "--report") == 0
    pages = {page.name: page for page in (tmp_path / "out" / "pictures").glob("*.html")}
    ending = "cmsr-fast_align=off_kernel=bicubic-seed-0.html"
    assert pages.keys() == {f"report-made-one-{ending}", f"report-made-no_target-{ending}"}

    stamps = {page: page.stat().st_mtime_ns for page in tmp_path.glob("out/records/*.html")}
    assert run(*command, "--report") == 0
    assert {page: page.stat().st_mtime_ns for page in stamps} == stamps, "done once is done"

    threads, _, *words = shlex.split(command_in(pages[f"report-made-one-{ending}"].read_text()))
    assert threads == "OMP_NUM_THREADS=1"
    monkeypatch.chdir(tmp_path)
    for name in ("one_target.png", "one_guide.png"):
        shutil.copy(table.parent / name, name)
    assert run(*words, "--quiet") == 0
    [npz] = [page.with_suffix(".npz") for page in stamps if "one_target.png" in page.read_text()]
    assert np.array_equal(image_files.read(tmp_path / "one.tif").data, np.load(npz)["image"])

    again = _parse(
        shlex.split(command_in(pages[f"report-made-no_target-{ending}"].read_text()))[1:]
    )
    assert (str(again.table), again.pairs, again.report) == (small.name, ("no target",), True)  # type: ignore[attr-defined]
    assert again.methods == (methods.partition(",")[2],)  # type: ignore[attr-defined]


def test_a_torn_record_is_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "records")
    store.put("a", {"error": None}, np.zeros((1, 2, 2)))
    assert store.done("a")
    (tmp_path / "records" / "a.json").write_text('{"error": nu')
    assert not store.done("a")
    assert store.record("b") is None
    assert store.image("b") is None


def test_a_process_that_dies_leaves_what_was_done(table: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "records")
    new, old = (
        Run(Variant.of("bicubic"), case, 0) for case in read_cases(table, [], ["one", "two"])
    )
    good = {"error": None, "psnr": 30.0}
    store.put(old.key, good)
    for one in (new, old):
        told = _result(store, one.key, one, -9, {"commit": None, "machine": {}})
        assert "killed by signal 9" in told["error"]
    assert "killed by signal 9" in store.record(new.key)["error"]  # type: ignore[index]
    assert store.record(old.key) == good


def test_training_goes_on_to_the_same_weights_and_tests_what_it_has_not_seen(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = table.read_text().splitlines()
    seen = table.with_name("seen.csv")
    seen.write_text("\n".join(rows[:3]))

    def training(name: str) -> BenchTrain:
        return BenchTrain(method="djf", table=seen, out=tmp_path / name, folds=2, steps=20)

    whole = train(training("whole.safetensors"))

    def stop(_stage: str, step: int, _steps: int, _loss: float) -> None:
        if step == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(training("djf.safetensors"), stop)
    assert not Weights.read(tmp_path / "djf.safetensors").complete
    command = ("bench", seen, "--methods", "djf", "-o", tmp_path / "out", "--weights", tmp_path)
    resumed = train(training("djf.safetensors"))
    assert resumed.complete
    assert resumed.tensors.keys() == whole.tensors.keys()
    for name, tensor in whole.tensors.items():
        np.testing.assert_array_equal(resumed.tensors[name].numpy(), tensor.numpy())
    assert [resumed.fold_without(held) for held in resumed.held_out] == [0, 1]
    with pytest.raises(InputError, match="every fold"):
        resumed.fold_without([held[0] for held in resumed.held_out])
    assert (tmp_path / "djf.svg").stat().st_size > 100
    assert run(*command, "--quiet") == 0
    records = json.loads((tmp_path / "out" / "results.json").read_text())["records"]
    assert [r["error"] for r in records] == [None, None]
    with pytest.raises(InputError, match="holds another training"):
        train(BenchTrain(method="djf", table=seen, out=tmp_path / "djf.safetensors", steps=5))


def test_missing_weights_name_the_command_that_makes_them(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("bench", table, "--methods", "bicubic,djf", "-o", tmp_path / "out") == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert f"cmsr bench train djf {table} -o {tmp_path}/out/weights/djf.safetensors" in complaint
    assert not list((tmp_path / "out").glob("records/*"))


def test_a_file_that_is_no_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "djf.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    with pytest.raises(InputError, match="not a weight file of `cmsr bench train`"):
        Weights.read(tmp_path / "djf.safetensors")


def test_what_shows_one_scene_is_held_out_together(table: Path, tmp_path: Path) -> None:
    one, two = (TrainingPair.of(case, 4) for case in read_cases(table, [], ["one", "two"]))
    twin = replace(one, digests=("another guide", one.digests[1]))
    assert [len(held) for held in folded([one, two, twin], 2)] in ([1, 2], [2, 1])
    with pytest.raises(OptionError, match="show 1 scenes only"):
        folded([one, twin], 2)


def test_training_needs_truths(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="made/blind: training needs a guide and a truth"):
        train(BenchTrain(method="djf", table=table, out=tmp_path / "w.safetensors"))
    assert not (tmp_path / "w.safetensors").exists()
    truth = image_files.read(table.with_name("one_truth.png")).data[0].astype(np.float32)
    truth[3, 4] = np.nan
    image_files.write(table.with_name("one_truth.tif"), truth)
    holes = table.with_name("holes.csv")
    holes.write_text(table.read_text().replace("one_truth.png", "one_truth.tif"))
    with pytest.raises(InputError, match="made/one: training needs a truth without holes"):
        train(BenchTrain(method="djf", table=holes, out=tmp_path / "w.safetensors"))


def test_the_ablations_are_drawn(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = tuple(
        f"cmsr-paper:align=off:iterations=1:ensemble=false:p={p}" for p in ("0", "0.3", "0.6")
    )
    compare(Bench(table=table, methods=sweep, pairs=("one",), out=tmp_path, workers=1))
    assert "Best at p = " in (tmp_path / "p-made.md").read_text()
    assert "| 16 × 12 |" in (tmp_path / "schemes-one.md").read_text()
    for name in ("p-made.svg", "pictures/crops-made.png", "pictures/schemes-one.png"):
        assert (tmp_path / name).stat().st_size > 100
    assert not list(tmp_path.glob("speed*"))
