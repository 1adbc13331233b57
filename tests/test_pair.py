"""A pair is checked and normalised, and what goes in comes back."""

from pathlib import Path

import numpy as np
import pytest
import torch

import cmsr
from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io import image_files
from cmsr.prologue import opened
from tests.conftest import pair_of

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", image_files.DTYPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_normalising_is_undone_in_every_type(dtype: str, channels: int) -> None:
    high = 200 if dtype == "uint8" else 100
    target = RNG.integers(0, high, (12, 10, channels)).astype(dtype)
    pair = pair_of(target, ratio=1)
    assert pair.target.min() >= 0
    assert pair.target.max() <= 1
    again = np.moveaxis(pair.denormalise(pair.target), 0, -1)
    assert again.dtype == target.dtype
    np.testing.assert_allclose(again, target, rtol=0, atol=1e-4)


def test_temperatures_keep_their_precision() -> None:
    kelvin = 293.15 + RNG.normal(0, 0.01, (20, 20))
    pair = pair_of(kelvin, ratio=1)
    assert np.abs(pair.denormalise(pair.target)[0] - kelvin).max() < 1e-7


def test_integers_are_clipped_to_what_they_can_hold() -> None:
    pair = pair_of(np.array([[0, 255]] * 4, np.uint8).repeat(4, axis=1), ratio=1)
    assert pair.denormalise(torch.full((1, 1, 4, 8), 1.5)).max() == 255
    assert pair.denormalise(torch.full((1, 1, 4, 8), -0.5)).min() == 0


def test_a_constant_channel_returns_as_that_constant_whatever_was_computed() -> None:
    target = np.stack([np.full((6, 6), 21.5), RNG.random((6, 6))], axis=-1)
    pair = pair_of(target, ratio=2)
    assert (pair.denormalise(torch.rand(1, 2, 12, 12))[0] == 21.5).all()


def test_holes_are_filled_from_their_surroundings_and_marked_again() -> None:
    target = RNG.random((20, 20)) + 5
    target[4:9, 6:12] = np.nan
    pair = pair_of(target, ratio=2)
    assert pair.valid[0, 0, 4:9, 6:12].sum() == 0
    assert 0 <= pair.target.min() <= pair.target.max() <= 1
    image = pair.denormalise(torch.rand(1, 1, 40, 40))[0]
    assert np.isnan(image[8:18, 12:24]).all()
    assert np.isfinite(image).sum() == 1600 - 120


def test_ratio_is_per_axis_and_real() -> None:
    pair = pair_of(np.eye(10), np.zeros((20, 33, 3)))
    assert pair.ratio == (2.0, 3.3)


def test_alpha_is_ignored_and_said_so() -> None:
    guide = RNG.integers(0, 255, (16, 16, 4)).astype(np.uint8)
    pair = opened(np.eye(8), guide, Config())
    assert pair.whole.guide.shape[1] == 3
    assert any("alpha" in note for note in pair.notes)


@pytest.mark.parametrize(
    ("target", "guide", "ratio", "error", "message"),
    [
        (np.eye(8), np.zeros((7, 16)), None, InputError, "smaller than the target's 8 × 8"),
        (np.eye(1), None, 2, InputError, "1 × 1 pixels"),
        (np.zeros((0, 8)), None, 2, InputError, "8 × 0 pixels"),
        (np.eye(8), None, None, OptionError, "ratio is needed"),
    ],
)
def test_what_cannot_be_used_is_refused(target, guide, ratio, error, message) -> None:
    with pytest.raises(error, match=message):
        pair_of(target, guide, ratio)


def test_notes_on_empty_and_constant_targets() -> None:
    assert "no valid pixel" in pair_of(np.full((8, 8), np.nan), ratio=2).notes[0]
    assert "constant" in pair_of(np.full((8, 8), 3.0), ratio=2).notes[0]


FLOATS = np.array([-1.0, 1.0, 0.0, 0.25, 0.5])
EXTREMES = {
    **{
        name: np.resize([np.iinfo(name).min, np.iinfo(name).max, 0, 1], (16, 20)).astype(name)
        for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32")
    },
    "float32 whole range": np.resize(np.finfo(np.float32).max * FLOATS, (16, 20)),
    "float64 half range": np.resize(np.finfo(np.float64).max / 4 * FLOATS, (16, 20)),
    "subnormal": np.resize(np.finfo(np.float64).smallest_subnormal * 99 * FLOATS, (16, 20)),
    "1e300": np.resize(1e300 + 1e285 * FLOATS, (16, 20)),
    "1e-300": np.resize(1e-300 * FLOATS, (16, 20)),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_no_range_of_values_overflows(name: str, tmp_path: Path) -> None:
    values = EXTREMES[name]
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    image_files.write(path, values)
    options = ["--ratio", "2", "--preset", "fast", "--report", str(tmp_path / "r.html")]
    assert main(["upscale", str(path), "-o", str(out), *options]) == 0
    image = image_files.read(out).data[0]
    assert image.dtype == values.dtype
    assert np.isfinite(image).all()
    assert image.min() < image.max()


def test_a_range_beyond_64_bits_is_refused(tmp_path: Path) -> None:
    values = np.resize(np.finfo(np.float64).max * np.array([-1.0, 1.0, 0.0]), (16, 20))
    with pytest.raises(InputError, match="span more than a 64-bit float can hold"):
        cmsr.upscale(values, ratio=2)


def test_a_guide_of_any_range_is_scaled_to_its_own() -> None:
    low = np.resize(np.arange(7.0), (16, 20))
    guides = [scale * np.resize(np.arange(11.0), (32, 40)) for scale in (1e-300, 1.0, 1e300)]
    found = [cmsr.upscale(low, guide, preset="fast", align="off").image for guide in guides]
    for other in (found[0], found[2]):
        np.testing.assert_allclose(other, found[1], atol=1e-3)
