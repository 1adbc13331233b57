"""A guide counts for what it shows: not for its exposure, its type or a few odd pixels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import cmsr
from cmsr.config import Config
from cmsr.io import image_files, inputs
from cmsr.io.guide_reader import GuideReader
from cmsr.io.inputs import Photo
from cmsr.io.raster import from_array
from tests.conftest import SyntheticPair


def hot(guide: np.ndarray) -> np.ndarray:
    bright = guide.astype(np.uint16) * 12
    bright[40, 50] = 65535
    return bright


def cloudy(guide: np.ndarray) -> np.ndarray:
    bright = guide.astype(np.uint16) * 12
    bright[:20, :40] = 40_000
    return bright


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "dark": lambda guide: guide // 20,
    "dark 16 bits": lambda guide: (guide // 20).astype(np.uint16),
    "16 bits": lambda guide: guide.astype(np.uint16) * 12,
    "low contrast": lambda guide: 100 + guide // 8,
    "hot pixel": hot,
    "reflectance": lambda guide: guide.astype(np.float32) / 255,
    "four bands": lambda guide: np.concatenate([guide, guide[..., :2]], axis=-1),
}


def weight(pair: SyntheticPair, guide: np.ndarray, **options: object) -> np.ndarray:
    low = pair.target.astype(np.float32)
    return cmsr.upscale(low, guide, preset="fast", align="off", **options).guide_weight


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_content_has_the_same_weight(pair: SyntheticPair, kind: str) -> None:
    usual, other = weight(pair, pair.guide), weight(pair, KINDS[kind](pair.guide))
    assert usual.mean() > 0.9
    assert other.mean() == pytest.approx(usual.mean(), abs=0.02)


def test_a_cloud_takes_no_more_than_what_it_covers(pair: SyntheticPair) -> None:
    usual, other = weight(pair, pair.guide), weight(pair, cloudy(pair.guide))
    clear = np.s_[32:]
    assert other[clear].mean() == pytest.approx(usual[clear].mean(), abs=0.02)


def test_a_guide_with_holes_counts_fully_where_it_is_known(
    tmp_path: Path, pair: SyntheticPair
) -> None:
    known = np.ones(pair.guide.shape[:2], bool)
    known[:, :40] = False
    guide = np.where(known[..., None], np.maximum(pair.guide, 1), 0).astype(np.uint8)
    raster = from_array(guide, "guide", nodata=0).with_measured(known[None])
    found, usual = weight(pair, raster), weight(pair, pair.guide)
    assert found[:, :40].max() == 0
    assert found[:, 48:].mean() == pytest.approx(usual[:, 48:].mean(), abs=0.05)


def test_any_number_of_bands_and_those_that_are_named(tmp_path: Path, pair: SyntheticPair) -> None:
    odd = np.random.default_rng(0).integers(0, 255, (*pair.guide.shape[:2], 4)).astype(np.uint8)
    image_files.write(tmp_path / "g.tif", np.concatenate([odd, pair.guide], -1))
    guide = inputs.read_guide(tmp_path / "g.tif", Config(guide_bands=(7, 6, 5)))
    assert np.array_equal(guide.data, pair.guide[..., ::-1].transpose(2, 0, 1))
    assert weight(pair, tmp_path / "g.tif", guide_bands=(5, 6, 7)).mean() > 0.9
    four = inputs.read_guide(odd, Config(guide_bands=(1, 2, 3, 4)))
    assert len(GuideReader(Photo.of(four)).read((0, 0, 8, 8))) == 4
    with pytest.raises(cmsr.errors.InputError, match="has no band 9; there are 7"):
        weight(pair, tmp_path / "g.tif", guide_bands=(9,))


def test_many_bands_are_averaged_in_groups(pair: SyntheticPair) -> None:
    many = np.repeat(pair.guide.astype(np.float32), 7, axis=-1)
    reader = GuideReader(Photo.of(from_array(many, "guide")))
    assert reader.read((0, 0, 16, 16)).shape == (8, 16, 16)
    assert "21 bands" in reader.notes[0]


def test_strips_of_a_tall_guide_tell_its_range() -> None:
    tall = np.random.default_rng(0).normal(500, 100, (9000, 8)).astype(np.float32)
    reader = GuideReader(Photo.of(from_array(tall, "guide")))
    assert torch.isfinite(reader.read((0, 0, 64, 8))).all()
    low, high = reader.span[:, 0, 0, 0]
    assert 150 < low < 300 < 700 < high < 850


def test_holes_of_a_guide_do_not_pull_it_away(pair: SyntheticPair) -> None:
    known = np.ones(pair.guide.shape[:2], bool)
    known[:, :42] = False
    raster = from_array(pair.guide, "guide", nodata=0).with_measured(known[None])
    result = cmsr.upscale(pair.target.astype(np.float32), raster)
    assert result.info["alignment"]["median_displacement"] < 0.5
    assert result.guide_weight[:, 48:].mean() > 0.9
