"""Noise is measured, not sharpened; texture is not taken for noise."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cmsr
from cmsr.io import image_files
from cmsr.operators.resampling import resampler
from cmsr.sensor.noise import noise_level
from tests.conftest import SyntheticPair, render_pair, smooth_field

SHAPE = (64, 80)


def with_noise(y: np.ndarray, level: float, seed: int = 0) -> np.ndarray:
    return y + level * np.random.default_rng(seed).normal(size=y.shape)


@pytest.mark.parametrize("level", [0.02, 0.05, 0.1])
@given(seed=st.integers(0, 1000))
def test_the_level_of_noise_is_found(level: float, seed: int) -> None:
    noisy = with_noise(smooth_field(SHAPE, seed, finest=20), level, seed)
    assert noise_level(noisy, np.ones(SHAPE)) == pytest.approx(level, rel=0.25)


@given(offset=st.floats(-1e3, 1e3), scale=st.floats(0.1, 1e3))
def test_the_level_is_in_the_units_of_the_image(offset: float, scale: float) -> None:
    noisy = with_noise(smooth_field(SHAPE, 1), 0.05)
    expected = scale * noise_level(noisy, np.ones(SHAPE))
    assert noise_level(offset + scale * noisy, np.ones(SHAPE)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "clean",
    [
        smooth_field(SHAPE, 2, finest=8),
        np.kron(np.indices((8, 10)).sum(0) % 2, np.ones((8, 8))),
        np.zeros(SHAPE),
        np.rint(255 * smooth_field(SHAPE, 3, finest=10)) / 255,
    ],
    ids=["smooth", "squares", "constant", "rounded"],
)
def test_a_clean_image_has_none(clean: np.ndarray) -> None:
    assert noise_level(clean, np.ones(SHAPE)) == 0


def test_holes_do_not_count() -> None:
    noisy, valid = with_noise(smooth_field(SHAPE, 4), 0.05), np.ones(SHAPE)
    valid[20:40, 20:60] = 0
    first, other = (noise_level(np.where(valid > 0, noisy, x), valid) for x in (0.0, noisy))
    assert first == pytest.approx(0.05, rel=0.2)
    assert other == pytest.approx(first, rel=0.02)
    assert noise_level(noisy, np.zeros(SHAPE)) == 0
    assert noise_level(noisy[:8, :8], np.ones((8, 8))) == 0


@pytest.fixture
def large() -> SyntheticPair:
    return render_pair((256, 320), SHAPE, seed=2)


def test_the_result_agrees_with_a_noisy_target_within_its_noise(large: SyntheticPair) -> None:
    level = 0.05
    noisy = with_noise(large.target, level).astype(np.float32)
    results = [cmsr.upscale(y, large.guide, kernel="bicubic") for y in (large.target, noisy)]
    assert results[0].info["noise"] == [0.0]
    assert results[1].info["noise"][0] == pytest.approx(level, rel=0.2)
    reduce = resampler(large.truth.shape, SHAPE)
    residual = reduce(torch.from_numpy(results[1].image)).numpy() - noisy
    assert 0.3 * level < residual.std() < 1.2 * level
    error = (reduce(torch.from_numpy(results[1].image)).numpy() - large.target).std()
    assert error < 0.8 * level


def test_texture_that_the_guide_explains_is_no_noise() -> None:
    """Without the guide nothing tells such a texture from noise."""
    texture = np.random.default_rng(0).uniform(size=(1, *SHAPE))
    assert noise_level(0.2 + 0.5 * texture[0], np.ones(SHAPE), texture) == 0
    other = np.random.default_rng(1).uniform(size=(1, *SHAPE))
    expected = noise_level(texture[0], np.ones(SHAPE))
    assert noise_level(texture[0], np.ones(SHAPE), other) == pytest.approx(expected, rel=0.1)


def test_without_a_guide_noise_is_calmed_too() -> None:
    high = (256, 320)
    truth = (smooth_field(high, 5, finest=80) > 0.5).astype(np.float32)
    target = resampler(high, SHAPE)(torch.from_numpy(truth)).numpy()
    noisy = with_noise(target, 0.08).astype(np.float32)
    image = cmsr.upscale(noisy, ratio=4, kernel="bicubic").image
    bicubic = resampler(SHAPE, high)(torch.from_numpy(noisy)).numpy()
    errors = [np.square(x - truth).mean() for x in (image, bicubic)]
    assert errors[0] < 0.8 * errors[1]


def test_real_targets_are_taken_for_clean(data, real_pairs) -> None:
    """They were made by reducing, which leaves rounding only."""
    for dataset in ("epfl_nir", "ulb17_thermal", "middlebury_depth"):
        for row in real_pairs(dataset):
            y = image_files.read(data / row["target"]).data[0]
            assert noise_level(y, np.ones(y.shape)) < 0.5, row["name"]
