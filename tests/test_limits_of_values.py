"""What a result may not be: below zero where nothing is, or far beyond what was measured."""

from pathlib import Path

import numpy as np
import pytest

import cmsr
from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.errors import OptionError
from cmsr.io import image_files
from cmsr.io.raster import from_array
from cmsr.operators.kernels import weights
from tests.conftest import SyntheticPair


def steps(low: float, high: float, side: int = 24) -> np.ndarray:
    """A few bright squares on dark, which ring."""
    image = np.full((side, side), float(low))
    image[6:10, 5:9] = image[14:16, 12:20] = high
    return image


@pytest.mark.parametrize("ratio", [4, 16])
def test_overshoot_is_limited(ratio: int) -> None:
    image = cmsr.upscale(steps(-100, 155), ratio=ratio, preset="fast").image
    assert -164 < image.min() < -90
    assert 145 < image.max() < 219


def test_a_limit_is_not_seen_by_the_sensor() -> None:
    y = steps(-100, 155)
    image = cmsr.upscale(y, ratio=4, kernel="bicubic").image
    rows, cols = (weights(n, m, "bicubic") for n, m in zip(image.shape, y.shape, strict=True))
    assert np.abs(rows @ image @ cols.T - y).max() < 2.0


@pytest.mark.parametrize(
    ("unit", "offset", "negative"),
    [("", 0, False), ("K", 0, False), ("counts", 0, False), ("°C", 0, True), ("", -273.15, True)],
)
def test_nothing_is_below_zero_unless_its_unit_says_so(
    unit: str, offset: float, negative: bool
) -> None:
    target = from_array(steps(1, 200), "target", units=[unit], scales=[1.0], offsets=[offset])
    image = cmsr.upscale(target, ratio=4, preset="fast", kernel="bicubic").image
    assert (image.min() < 0) == negative


def test_bounds_are_in_the_targets_unit(tmp_path: Path) -> None:
    target = from_array(
        steps(50, 1000).astype(np.int16), "target", units=["1"], scales=[0.01], offsets=[-1.0]
    )
    path = tmp_path / "t.tif"
    image_files.write(path, target.data[0], like=target)
    words = ["upscale", str(path), "-o", str(tmp_path / "o.tif"), "--ratio", "4", "--quiet"]
    assert main([*words, "--preset", "fast", "--bounds", "0", "8"]) == 0
    stored = image_files.read(tmp_path / "o.tif").data
    assert (stored.min(), stored.max()) == (100, 900)
    with pytest.raises(OptionError, match="MIN must be below MAX"):
        Config(bounds=(3, 1))


@pytest.mark.parametrize("shape", [(4, 4), (4, 9), (5, 5)])
def test_tiny_sides_work(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    guide = rng.integers(0, 255, (4 * shape[0], 4 * shape[1], 3)).astype(np.uint8)
    assert cmsr.upscale(rng.normal(20, 1, shape), guide).image.shape == guide.shape[:2]


def test_a_tiny_target_keeps_its_photos_field(pair: SyntheticPair) -> None:
    low = pair.target[:24, :24].astype(np.float32)
    assert cmsr.upscale(low, pair.guide[:96, :96], preset="fast").image.shape == (96, 96)
