"""Frames of one camera: each starts from the one before, and is as good as from a cold start."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmsr import upscale
from cmsr.warps import alignment
from tests.batches import batch, make_table, results
from tests.conftest import SyntheticPair, render_pair

SHIFT = 3
"""By how many pixels the guide lies aside."""


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((image - truth) ** 2)))


@dataclass(frozen=True)
class Scene:
    """A pair, its guide moved aside, its result from a cold start, and what a record holds."""

    pair: SyntheticPair
    guide: np.ndarray
    image: np.ndarray
    before: dict[str, Any]


@pytest.fixture(scope="module")
def scene() -> Scene:
    pair = render_pair()
    guide = np.roll(pair.guide, SHIFT, axis=1)
    guide[:, :SHIFT] = guide[:, SHIFT : SHIFT + 1]
    found = upscale(pair.target, guide)
    facts = {key: found.info[key] for key in ("kernel", "alignment")}
    return Scene(pair, guide, found.image, json.loads(json.dumps(facts)))


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("searched anew")


def test_as_good_as_from_a_cold_start(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    pair, guide, before = scene.pair, scene.guide, scene.before
    noise = np.random.default_rng(1).normal(0, 0.002, pair.target.shape)
    target = (pair.target + noise).astype(np.float32)
    cold = upscale(target, guide)
    assert cold.info["alignment"]["stages"] != []
    monkeypatch.setattr(alignment, "search", refuse)
    monkeypatch.setattr("cmsr.imaging.find_kernel", refuse)
    warm = upscale(target, guide, previous=before)
    assert psnr(warm.image, pair.truth) > psnr(cold.image, pair.truth) - 0.1
    assert len(warm.info["alignment"]["stages"]) <= 3


USELESS = {
    "another scene": {"refused": True, "stages": []},
    "another size": {"stages": [{"warp": "freeform", "parameters": [0.0] * 18}]},
    "another warp": {"stages": [{"warp": "spline", "parameters": []}]},
    "far away": {"stages": [{"warp": "affine", "parameters": [0.5, 0, 0, 0, 0, 0]}]},
}


@pytest.mark.parametrize("case", USELESS)
def test_what_is_of_no_help_is_left(case: str, scene: Scene) -> None:
    aside = {**scene.before["alignment"], **USELESS[case]}
    previous = {**scene.before, "alignment": aside}
    warm = upscale(scene.pair.target, scene.guide, previous=previous)
    np.testing.assert_array_equal(warm.image, scene.image)


def test_a_series_taken_up_gives_the_same(tmp_path: Path) -> None:
    table, out = make_table(tmp_path, 4), tmp_path / "out"
    assert batch(table, out, series=True, align="auto").done == 4
    made = results(out)
    records = [json.loads((out / f"p{index:02}.json").read_text())["batch"] for index in range(4)]
    keys = [record["key"] for record in records]
    assert [record["previous"] for record in records] == [None, *keys[:-1]]
    (out / "p02.tif").unlink()
    tally = batch(table, out, series=True, align="auto")
    assert (tally.before, tally.new, tally.changed) == (2, 1, 1)
    assert (tally.done, tally.unchanged) == (1, 1)
    assert results(out) == made
