"""The whole method on scenes whose truth is known."""

import numpy as np
import pytest
import torch

import cmsr
from cmsr.errors import InputError
from cmsr.operators.resampling import resampler
from tests.conftest import SyntheticPair, render_pair

QUICK = {"preset": "paper", "iterations": 4, "iterations_guide_free": 4, "ensemble": False}


def error(image: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((image.astype(float) - truth) ** 2)))


def bicubic(pair: SyntheticPair) -> np.ndarray:
    low = torch.from_numpy(pair.target).float()
    return resampler(pair.target.shape, pair.truth.shape)(low).numpy()


@pytest.mark.parametrize("preset", ["paper", "default", "fast"])
def test_every_preset_beats_bicubic_where_the_guide_explains_the_target(
    pair: SyntheticPair, preset: str
) -> None:
    options = {"iterations": 200, "p": 0.0} if preset == "paper" else {}
    result = cmsr.upscale(pair.target, pair.guide, preset=preset, **options)
    share = 0.97 if preset == "paper" else 0.7
    assert error(result.image, pair.truth) < share * error(bicubic(pair), pair.truth)


@pytest.mark.parametrize("preset", ["paper", "default", "fast"])
@pytest.mark.parametrize(
    ("high", "low"),
    [((64, 80), (32, 40)), ((66, 78), (22, 26)), ((59, 84), (21, 30)), ((40, 66), (20, 20))],
)
def test_the_result_reduced_is_the_input(preset: str, high, low) -> None:
    """Ratios 2, 3, 2.81 and (2.0, 3.3), to 0.3 of 255 grey levels."""
    pair = render_pair(high, low, seed=1)
    options = QUICK | {"preset": preset} if preset == "paper" else {"preset": preset}
    image = cmsr.upscale(pair.target, pair.guide, **options).image
    reduced = resampler(high, low)(torch.from_numpy(image).float()).numpy()
    assert error(reduced, pair.target) * 255 < 0.3


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("channels", [None, 1, 2, 4])
def test_type_and_channels_are_kept(pair: SyntheticPair, dtype: str, channels: int | None) -> None:
    target = (200 * pair.target).astype(dtype)
    if channels:
        target = np.stack([target] * channels, axis=-1)
    image = cmsr.upscale(target, pair.guide, **QUICK).image
    assert image.dtype == target.dtype
    assert image.shape == (*pair.truth.shape, *([channels] if channels else []))


def test_same_seed_same_bytes(pair: SyntheticPair) -> None:
    options = {"preset": "paper", "iterations": 20}
    first, again, other = (
        cmsr.upscale(pair.target, pair.guide, seed=seed, **options).image.tobytes()
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("preset", ["paper", "default"])
def test_a_hole_changes_nothing_but_itself(pair: SyntheticPair, preset: str) -> None:
    """Whatever the file holds in a hole, NaN or rubbish, the rest comes out the same."""
    holed = pair.target.astype(np.float32)
    holed[8:12, 10:16] = np.nan
    options = QUICK if preset == "paper" else {}
    result = cmsr.upscale(holed, pair.guide, **options)
    assert not result.valid[32:48, 40:64].any()
    assert np.isnan(result.image[32:48, 40:64]).all()
    assert np.isfinite(result.image[result.valid]).all()
    assert result.valid.sum() == result.valid.size - 16 * 24
    holed[8:12, 10:16] = np.inf
    again = cmsr.upscale(holed, pair.guide, **options)
    assert again.image.tobytes() == result.image.tobytes()


def test_constant_and_empty_targets_give_a_note_and_the_same(pair: SyntheticPair) -> None:
    constant = cmsr.upscale(np.full((24, 32), 21.5, np.float32), pair.guide)
    assert (constant.image == 21.5).all()
    assert "constant" in constant.info["notes"][0]
    empty = cmsr.upscale(np.full((24, 32), np.nan, np.float32), pair.guide)
    assert np.isnan(empty.image).all()
    assert not empty.valid.any()


@pytest.mark.parametrize("preset", ["paper", "default", "fast"])
def test_without_a_guide(pair: SyntheticPair, preset: str) -> None:
    quick = {"iterations_guide_free": 4, "ensemble": False} if preset == "paper" else {}
    result = cmsr.upscale(pair.target, ratio=4, preset=preset, **quick)
    assert result.image.shape == pair.truth.shape
    assert result.warped_guide is None
    assert not result.guide_weight.any()


def test_gradual_increments_pass_through_the_smaller_ratio(pair: SyntheticPair) -> None:
    once = cmsr.upscale(pair.target, pair.guide, **QUICK)
    twice = cmsr.upscale(pair.target, pair.guide, steps=(2, 4), **QUICK)
    assert len(twice.history["loss"]) == 2 * len(once.history["loss"])
    assert twice.image.shape == once.image.shape


def test_values_are_not_stretched(pair: SyntheticPair) -> None:
    """An offset and a scale of the input are an offset and a scale of the output."""
    kelvin = cmsr.upscale(280 + 20 * pair.target.astype(float), pair.guide, **QUICK).image
    plain = cmsr.upscale(pair.target.astype(float), pair.guide, **QUICK, bounds=(-9, 9)).image
    np.testing.assert_allclose(kelvin, 280 + 20 * plain, atol=1e-3)
    assert abs(kelvin.mean() / (280 + 20 * pair.target.mean()) - 1) < 1e-3


def test_arrays_are_named_in_errors(pair: SyntheticPair) -> None:
    with pytest.raises(
        InputError, match="guide: target and guide seem swapped: the guide is 8 × 8"
    ):
        cmsr.upscale(pair.target, pair.guide[:8, :8])
