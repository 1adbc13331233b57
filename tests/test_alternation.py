"""The ablation over p: what is varied, what is compared with what, and that it resumes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cmsr.errors import OptionError
from cmsr.io import image_files
from cmsr_bench import alternation
from cmsr_bench.alternation import arms_of, grids_of, moved
from cmsr_bench.alternation_tables import compared, findings, table
from cmsr_bench.commands import Bench
from tests.conftest import pair_of, render_pair

GRID = "p=0,0.5:guide=0,2:rate=1:ratio=4:steps=1,2;p=0,0.5:guide=0:rate=10:start=kept"


def test_a_grid_is_every_combination_once() -> None:
    arms = arms_of(grids_of(GRID))
    assert len(arms) == 2 * 3 + 3, "at p = 0 both branches are alike"
    assert arms_of(grids_of(f"{GRID};{GRID}")) == arms
    for wrong in ("q=1", "p=many", "guide=left", "branch=none", "start=0"):
        with pytest.raises(OptionError, match="--grid"):
            grids_of(wrong)
    with pytest.raises(OptionError, match="--grid requires --ablation p"):
        Bench(table=Path("pairs.csv"), grid="p=0").run()


def test_guides_are_moved_as_they_are_called() -> None:
    scene = render_pair()
    pair = pair_of(scene.target, scene.guide)
    shifted = moved(pair, "2", 0).guide
    assert torch.allclose(shifted[..., 2:], pair.guide[..., :-2], atol=1e-4)
    warped = [moved(pair, "warped", seed).guide for seed in (0, 0, 1)]
    assert torch.equal(warped[0], warped[1])
    assert not torch.equal(warped[0], warped[2])
    assert moved(pair, "0", 0) is pair


def row(pair: str, p: float, psnr: float, **other: object) -> dict:
    usual = {"seed": 0, "ratio": 4.0, "steps": 800, "guide": "0", "rate": 1.0}
    return {"pair": pair, "start": "published", "branch": "both", "p": p, "psnr": psnr, **usual,
            **other}  # fmt: skip


def test_gains_are_over_p_0_on_the_same_pair_and_seed() -> None:
    rows = [
        row("a", 0.0, 30.0), row("b", 0.0, 20.0), row("c", 0.0, 10.0),
        row("a", 0.3, 31.0), row("b", 0.3, 21.1), row("c", 0.3, 11.05),
        row("a", 0.3, 29.0, branch="sharpen"), row("b", 0.3, 21.0, branch="sharpen"),
        row("a", 0.3, 99.0, guide="2"),
    ]  # fmt: skip
    both, one = findings(rows)
    assert both.base == 20.0
    assert both.mean == pytest.approx(1.05)
    assert both.error == pytest.approx(0.05 / 3**0.5)
    assert (both.verdict, one.verdict) == ("pays", "")
    assert "| 20.00 | +1.05 ± 0.03 | 3 of 3 | pays |" in table([both])
    assert "| 0.00 ± 1.00 | 1 of 2 |" in table([one]).replace("+0.00", "0.00")


def test_the_ablation_is_written_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = render_pair()
    for name, image in (("t", scene.target), ("truth", scene.truth)):
        image_files.write(tmp_path / f"{name}.png", np.rint(255 * image).astype(np.uint8))
    image_files.write(tmp_path / "g.png", scene.guide)
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["dataset", "name", "target", "guide", "truth"],
             ["made", "one", "t.png", "g.png", "truth.png"]]
        )  # fmt: skip
    options = Bench(table=tmp_path / "pairs.csv", ablation="p", grid=GRID, out=tmp_path / "out")
    text = compared(options)
    rows = json.loads((tmp_path / "out" / "alternation-made.json").read_text())
    assert len(rows) == 2 * 9
    assert {r["steps"] for r in rows} == {1, 2}
    assert (tmp_path / "out" / "alternation-made.svg").stat().st_size > 1000
    monkeypatch.setattr(alternation, "Arms", None)
    assert compared(options) == text, "nothing is trained twice"
