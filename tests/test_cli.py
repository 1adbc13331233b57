"""Commands do what they say; wrong input gives one line, exit code 2, and no file."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from cmsr.app.cli import main
from cmsr.app.commands import Info
from cmsr.io import image_files
from tests.conftest import SyntheticPair

QUICK = ["--preset", "paper", "--iterations", "3", "--no-ensemble"]


@pytest.fixture
def files(tmp_path: Path, pair: SyntheticPair) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.png" for name in ("target", "guide", "truth")}
    image_files.write(paths["target"], (200 * pair.target).astype(np.uint8))
    image_files.write(paths["guide"], pair.guide)
    image_files.write(paths["truth"], (200 * pair.truth).astype(np.uint8))
    return paths


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_upscale_evaluate_info(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, facts = tmp_path / "out.png", tmp_path / "facts.json"
    assert run("upscale", files["target"], files["guide"], "-o", out, "--json", facts, *QUICK) == 0
    assert image_files.read(out).data.shape == (1, 96, 128)
    record = json.loads(facts.read_text())
    assert record["ratio"] == [4.0, 4.0]
    assert {"seconds", "peak_memory_mb", "kernel", "noise", "alignment", "versions", "seed"} <= set(
        record
    )
    assert run("evaluate", out, files["truth"], "--json", tmp_path / "figures.json") == 0
    assert json.loads((tmp_path / "figures.json").read_text())["psnr"] > 15
    assert run("info", out) == 0
    printed = capsys.readouterr()
    assert "128 × 96 pixels, ratio 4" in printed.out
    assert "PSNR" in printed.out


def test_quiet_says_nothing(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["-o", tmp_path / "out.tif", "--quiet", *QUICK]
    assert run("upscale", files["target"], files["guide"], *options) == 0
    assert capsys.readouterr() == ("", "")


def test_same_command_same_bytes(files: dict[str, Path], tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        run("upscale", files["target"], files["guide"], "-o", tmp_path / name, "--quiet", *QUICK)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_without_a_guide(files: dict[str, Path], tmp_path: Path) -> None:
    options = ["--ratio", "2.5", "--preset", "paper", "--iterations-guide-free", "2"]
    assert run("upscale", files["target"], "-o", tmp_path / "out.png", *options) == 0
    assert image_files.read(tmp_path / "out.png").shape == (60, 80)


def bad_inputs() -> dict[str, tuple[list[str], str]]:
    """Arguments after ``upscale``, and what the one line must say."""
    good = ["{target}", "{guide}", "-o", "{out}"]
    return {
        "missing target": (["{folder}/no.png", "{guide}", "-o", "{out}"], "no.png: no such file"),
        "missing guide": (["{target}", "{folder}/no.png", "-o", "{out}"], "no.png: no such file"),
        "not an image": (["{text}", "{guide}", "-o", "{out}"], "text.png: not an image"),
        "guide smaller": (["{guide}", "{target}", "-o", "{out}"], "smaller than the target"),
        "one pixel": (["{pixel}", "{guide}", "-o", "{out}"], "1 × 1 pixels"),
        "ratio below one": (["{target}", "-o", "{out}", "--ratio", "0.5"], "ratio is 0.5"),
        "no ratio": (["{target}", "-o", "{out}"], "ratio is needed"),
        "ratio and size": ([*good, "--ratio", "4", "--size", "8", "8"], "cannot be combined"),
        "value out of range": ([*good, "--p", "1.5"], "p is 1.5; it must lie from 0 to 1"),
        "not a number": ([*good, "--p", "many"], "p is 'many'; it must be a number"),
        "not for this method": ([*good, "--p", "0.5"], "--p requires --preset paper"),
        "not for the other": (
            [*good, "--preset", "paper", "--solver-iterations", "9"],
            "--solver-iterations requires --preset default or fast",
        ),
        "nothing to align": (
            ["{target}", "-o", "{out}", "--ratio", "4", "--align", "affine"],
            "--align requires a guide",
        ),
        "nothing to segment": (
            ["{target}", "-o", "{out}", "--ratio", "4", "--segments", "{guide}"],
            "--segments requires a guide",
        ),
        "no temperatures": ([*good, "--emissivity", "0.9"], "--emissivity requires a radiometric"),
        "colours of no preview": (
            [*good, "--colour-map", "gray"],
            "--colour-map requires --preview",
        ),
        "wrong choice": ([*good, "--device", "tpu"], "device is 'tpu'; choose one of auto"),
        "wrong preset": ([*good, "--preset", "best"], "choose one of default, fast, paper"),
        "wrong kernel": ([*good, "--kernel", "lanczos"], "kernel is 'lanczos'"),
        "unknown option": ([*good, "--colour", "3"], "--colour"),
        "no output": (["{target}", "{guide}"], "cmsr upscale needs -o OUT"),
        "missing folder": (["{target}", "{guide}", "-o", "{folder}/no/out.png"], "does not exist"),
        "unwritable folder": (["{target}", "{guide}", "-o", "/proc/out.png"], "cannot write there"),
        "output is an input": (["{target}", "{guide}", "-o", "{target}"], "is an input"),
        "output exists": (["{target}", "{guide}", "-o", "{truth}"], "exists already"),
        "unknown ending": (["{target}", "{guide}", "-o", "{folder}/out.xyz"], "unknown ending"),
    }


@pytest.mark.parametrize("case", bad_inputs())
def test_bad_input(
    case: str, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, pixel = tmp_path / "text.png", tmp_path / "pixel.png"
    text.write_text("hello")
    image_files.write(pixel, np.zeros((1, 1), np.uint8))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    arguments, message = bad_inputs()[case]
    names = {**files, "folder": tmp_path, "out": tmp_path / "out.png", "text": text, "pixel": pixel}
    assert run("upscale", *(argument.format(**names) for argument in arguments)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert message in printed.err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_notes_are_said(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    constant = tmp_path / "constant.png"
    image_files.write(constant, np.full((24, 32), 7, np.uint8))
    assert run("upscale", constant, files["guide"], "-o", tmp_path / "out.png") == 0
    assert "note: " in capsys.readouterr().err
    assert (image_files.read(tmp_path / "out.png").data == 7).all()


def test_overwrite_replaces_the_input(files: dict[str, Path]) -> None:
    options = ["-o", files["target"], "--overwrite", "--quiet", *QUICK]
    assert run("upscale", files["target"], files["guide"], *options) == 0
    assert image_files.read(files["target"]).shape == (96, 128)


def test_an_interrupt_leaves_no_file(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cmsr.two_branch.solve.train", interrupted)
    before = sorted(tmp_path.iterdir())
    out = tmp_path / "out.png"
    assert run("upscale", files["target"], files["guide"], "-o", out, *QUICK) == 130
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("dataset", ["epfl_nir", "roadscene_noninteger"])
def test_real_pairs_run(data: Path, real_pairs, tmp_path: Path, dataset: str) -> None:
    row = next(iter(real_pairs(dataset)))
    out = tmp_path / "out.png"
    assert run("upscale", data / row["target"], data / row["guide"], "-o", out, *QUICK) == 0
    assert image_files.read(out).shape == image_files.read(data / row["guide"]).shape


def test_a_terminated_command_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(_: object) -> None:
        with image_files.replacing(tmp_path / "o.tif") as temporary:
            temporary.touch()
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Info, "run", written)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match="143"):
        main(["info", "a.png"])
    assert signal.getsignal(signal.SIGTERM) == before
    assert not list(tmp_path.iterdir())
