"""Frames of one camera: each goes on from the one before, and is as good as from a cold start."""

import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cmsr import Result, run, upscale
from cmsr.guided.continuation import alike
from cmsr.io import image_files
from cmsr.operators.resampling import resampler
from cmsr.registration import coarse_to_fine
from tests.batches import batch, results
from tests.conftest import render_pair

HIGH, LOW, SPAN = (96, 128), (24, 32), (96, 160)
"""Shapes of a frame's result, of its target, and of the scene that the camera passes over."""

ASIDE = 3
"""By how many pixels a guide may lie aside."""


@dataclass(frozen=True)
class Frame:
    """truth (H, W) in [0, 1]; guide (H, W, 3) uint8; target (h, w), noisy."""

    truth: np.ndarray
    guide: np.ndarray
    target: np.ndarray


def frame(place: int, walker: int, *, aside: int = 0, seed: int = 0) -> Frame:
    """Let a camera look at a scene from column ``place`` on, with someone warm at ``walker``."""
    scene, rng = render_pair(SPAN, (24, 40), seed), np.random.default_rng(place + walker)
    truth, guide = scene.truth.copy(), scene.guide.copy()
    truth[50:80, walker : walker + 10], guide[50:80, walker : walker + 10] = 1, (200, 40, 90)
    seen = slice(place, place + HIGH[1])
    target = resampler(HIGH, LOW)(torch.from_numpy(truth[:, seen]).float()).numpy()
    target = (target + rng.normal(0, 0.002, LOW)).astype(np.float32)
    return Frame(truth[:, seen], np.roll(guide, aside, axis=1)[:, seen], target)


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((image - truth) ** 2)))


def found_in(result: Result) -> dict[str, Any]:
    """Return what a record keeps of a result, after a journey through a file."""
    found = {key: result.info[key] for key in ("kernel", "alignment", "series")}
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def before() -> dict[str, Any]:
    """What is found in a frame whose guide lies aside."""
    first = frame(0, 60, aside=ASIDE)
    return found_in(upscale(first.target, first.guide, previous={}))


@pytest.fixture
def nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every search that a cold start makes."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("searched anew")

    monkeypatch.setattr(coarse_to_fine, "search", refuse)
    monkeypatch.setattr("cmsr.sensor.imaging.find_kernel", refuse)


@pytest.mark.parametrize("aside", [0, ASIDE])
def test_as_good_as_from_a_cold_start(
    aside: int, before: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Though the camera pans and someone walks; nothing is searched for anew."""
    first, second, third = (frame(4 * time, 60 + 8 * time, aside=aside) for time in range(3))
    cold = upscale(third.target, third.guide)
    found = before if aside else found_in(upscale(first.target, first.guide, previous={}))
    request.getfixturevalue("nothing_anew")
    found = found_in(upscale(second.target, second.guide, previous=found))
    warm = upscale(third.target, third.guide, previous=found)
    assert psnr(warm.image, third.truth) > psnr(cold.image, third.truth) - 0.1
    assert not found["series"]["afresh"]
    assert not warm.info["series"]["afresh"]


def test_a_guide_that_jumps_is_regained(before: dict[str, Any], nothing_anew: None) -> None:
    """By two of its pixels, which cost 10 dB where they are not followed."""
    each = frame(4, 68, aside=ASIDE + 2)
    warm = upscale(each.target, each.guide, previous=before)
    still = frame(4, 68, aside=ASIDE)
    followed = upscale(still.target, still.guide, previous=before)
    assert psnr(warm.image, each.truth) > psnr(followed.image, each.truth) - 2


class ColdStartError(Exception):
    """Raised in the place of a cold start."""


@pytest.fixture
def told_of_a_cold_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def calibrate(*_: object) -> None:
        raise ColdStartError

    monkeypatch.setattr(run, "calibrate", calibrate)


CUTS = {
    "to another scene": frame(0, 60, aside=ASIDE, seed=1),
    "of the guide alone": replace(frame(0, 60), guide=frame(0, 60, seed=1).guide),
    "to another place": frame(0, 60, aside=-3 * ASIDE),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_is_noticed(cut: str, before: dict[str, Any], told_of_a_cold_start: None) -> None:
    with pytest.raises(ColdStartError):
        upscale(CUTS[cut].target, CUTS[cut].guide, previous=before)


USELESS: dict[str, dict[str, Any]] = {
    "another scene": {"refused": True, "stages": []},
    "another size": {"stages": [{"warp": "freeform", "parameters": [0.0] * 32, "nodes": [4, 4]}]},
    "another warp": {"stages": [{"warp": "spline", "parameters": []}]},
    "far away": {"stages": [{"warp": "affine", "parameters": [0.5, 0, 0, 0, 0, 0]}]},
}


@pytest.mark.parametrize("case", USELESS)
def test_what_is_of_no_help_is_left(
    case: str, before: dict[str, Any], told_of_a_cold_start: None
) -> None:
    each, found = frame(0, 60, aside=ASIDE), copy.deepcopy(before)
    found["series"]["calibration"]["alignment"].update(USELESS[case])
    found["series"]["calibration"]["tracking"] = None
    with pytest.raises(ColdStartError):
        upscale(each.target, each.guide, previous=found)


def test_a_cut_does_no_harm() -> None:
    """What follows is, to the byte, what a frame without a past gives."""
    one, other = frame(0, 60), frame(0, 60, seed=1)
    found = found_in(upscale(one.target, one.guide, previous={}, preset="fast", align="off"))
    cold = upscale(other.target, other.guide, preset="fast", align="off")
    after = upscale(other.target, other.guide, previous=found, preset="fast", align="off")
    assert after.info["series"]["afresh"]
    assert "series" not in cold.info
    np.testing.assert_array_equal(after.image, cold.image)


def test_overviews_tell_scenes_apart_whatever_their_brightness() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 48)).tolist()
    brighter = [3 * mean + 7 for mean in one]
    assert alike(one, brighter)
    assert not alike(one, other)
    assert not alike(one, one[:12])
    assert not alike([1.0] * 48, [1.0] * 48)


def test_a_series_taken_up_gives_the_same(tmp_path: Path) -> None:
    table, out = tmp_path / "frames.csv", tmp_path / "out"
    lines = ["name,target,guide"]
    for time in range(4):
        each = frame(4 * time, 60 + 8 * time)
        image_files.write(tmp_path / f"t{time}.tif", each.target)
        image_files.write(tmp_path / f"g{time}.png", each.guide)
        lines.append(f"f{time},t{time}.tif,g{time}.png")
    table.write_text("\n".join(lines) + "\n")
    assert batch(table, out, series=True, align="affine").done == 4
    made = results(out)
    records = [json.loads((out / f"f{time}.json").read_text()) for time in range(4)]
    assert [record["series"]["afresh"] for record in records] == [True, False, False, False]
    keys = [record["batch"]["key"] for record in records]
    assert [record["batch"]["previous"] for record in records] == [None, *keys[:-1]]
    (out / "f2.tif").unlink()
    tally = batch(table, out, series=True, align="affine")
    assert (tally.before, tally.new, tally.changed) == (2, 1, 1)
    assert (tally.done, tally.unchanged) == (1, 1)
    assert results(out) == made
