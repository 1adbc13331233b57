"""The scripts in examples/ run as they stand, and say what their comments promise."""

import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def printed_by(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def test_quickstart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["quickstart.py", str(tmp_path / "new")])
    assert "480 × 360 pixels" in printed_by("quickstart.py", capsys)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "thermal.tif", "photo.png", "sharp.tif", "report.html",
    }  # fmt: skip


def test_own_arrays(capsys: pytest.CaptureFixture[str]) -> None:
    printed = printed_by("own_arrays.py", capsys)
    assert "(96, 128, 2), float32, 64 in holes" in printed
    found = re.search(r"mean error ([\d.]+)", printed)
    assert found
    assert float(found[1]) < 0.5


def test_data_arrays(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rioxarray")
    printed = printed_by("data_arrays.py", capsys)
    assert "lst {'y': 96, 'x': 128}, degC, EPSG:32633" in printed
    assert "first pixel at x 600002.5, y 4999997.5" in printed
    found = re.search(r"mean error ([\d.]+)", printed)
    assert found
    assert float(found[1]) < 0.5


def test_compare_methods(capsys: pytest.CaptureFixture[str]) -> None:
    printed = printed_by("compare_methods.py", capsys)
    psnr = {
        name: float(value) for name, value in re.findall(r"^(.+?) +PSNR +([\d.]+)", printed, re.M)
    }
    assert list(psnr) == ["bicubic", "no photo", "fast", "default"]
    assert psnr["default"] > psnr["no photo"] > psnr["bicubic"]
    assert psnr["fast"] > psnr["bicubic"] + 1


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix == ".py"} == {
        "quickstart.py", "own_arrays.py", "compare_methods.py", "data_arrays.py",
    }  # fmt: skip
