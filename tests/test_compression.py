"""What JPEG did is read off the image, and not sharpened."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import cmsr
from cmsr.sensor.jpeg_error import compression_error
from tests.conftest import render_pair, smooth_field

SHAPE = (128, 160)


def through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    kept = BytesIO()
    Image.fromarray(image).save(kept, "JPEG", quality=quality)
    return np.array(Image.open(kept))


def texture(seed: int) -> np.ndarray:
    coarse = smooth_field(SHAPE, seed, finest=12)
    return np.rint(40 + 160 * coarse + 25 * smooth_field(SHAPE, seed + 1, finest=3)).astype("u1")


@pytest.mark.parametrize("quality", [30, 50, 75, 90])
def test_the_error_of_compression_is_found(quality: int) -> None:
    found = []
    for seed in range(16):
        image = texture(seed)
        decoded = through_jpeg(image, quality).astype(float)
        error = np.sqrt(np.mean((decoded - image) ** 2))
        found.append(compression_error(decoded, np.ones(SHAPE)) / error)
    assert np.median(found) == pytest.approx(1, abs=0.15)
    assert min(found) > 0.5
    assert max(found) < 2


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_what_was_never_compressed_has_none(seed: int) -> None:
    assert compression_error(texture(seed).astype(float), np.ones(SHAPE)) == 0


def test_blocks_with_holes_do_not_count() -> None:
    decoded = through_jpeg(texture(3), 50).astype(float)
    valid = np.ones(SHAPE)
    valid[::8, ::8] = 0
    assert compression_error(decoded, valid) == 0


def test_a_compressed_target_is_met_within_its_error() -> None:
    pair = render_pair((256, 320), (64, 80), seed=2)
    target = np.rint(30 + 190 * (pair.target - pair.target.min()) / np.ptp(pair.target))
    decoded = through_jpeg(target.astype(np.uint8), 40)
    found = cmsr.upscale(decoded, pair.guide, align="off", preset="fast", kernel="bicubic")
    error = np.sqrt(np.mean((decoded - target) ** 2))
    assert any("JPEG" in note for note in found.info["notes"])
    assert 0.4 * error < found.info["noise"][0] < 1.2 * error
