"""Superpixels are connected, of about one size, and follow the edges of a picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from skimage.color import rgb2lab

from cmsr.registration.slic import joined, lab, slic
from tests.conftest import smooth_field


def regions(seed: int) -> np.ndarray:
    """Smooth regions of six kinds."""
    return np.digitize(smooth_field((120, 160), seed, finest=20), np.linspace(0.2, 0.8, 6))


def followed(labels: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of pixels that lie in the region of most of their superpixel."""
    shares = np.zeros((labels.max() + 1, truth.max() + 1))
    np.add.at(shares, (labels, truth), 1)
    return float(shares.max(1).sum() / labels.size)


@pytest.mark.parametrize("seed", [0, 1])
def test_superpixels_follow_edges(seed: int) -> None:
    truth = regions(seed)
    noise = np.random.default_rng(seed)
    picture = noise.uniform(0.1, 0.9, (7, 3))[truth] + noise.normal(0, 0.01, (*truth.shape, 3))
    labels = slic(picture.clip(0, 1), 150, 12.0)
    area = np.bincount(labels.ravel())
    assert 75 < len(area) < 300
    assert area.min() >= 0.2 * labels.size / 150
    assert all(label(labels == one)[1] == 1 for one in range(len(area)))
    grid = np.indices(truth.shape) // 12 * np.array([14, 1])[:, None, None]
    assert followed(labels, truth) > followed(grid.sum(0), truth) + 0.3


def test_a_flat_picture_is_cut_into_a_grid() -> None:
    labels = slic(np.full((60, 80, 3), 0.5), 48, 12.0)
    assert np.bincount(labels.ravel()).tolist() == [100] * 48
    assert slic(np.full((3, 2, 3), 0.5), 400, 12.0).shape == (3, 2)
    assert not slic(np.full((30, 20, 3), 0.5), 1, 12.0).any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), least=st.floats(0, 500))
def test_small_parts_join_a_neighbour(seed: int, least: float) -> None:
    drawn = np.random.default_rng(seed).integers(0, 3, (13, 17))
    labels = joined(drawn, least)
    area = np.bincount(labels.ravel())
    assert area.min() >= min(least, drawn.size) or len(area) == 1
    assert all(label(labels == one)[1] == 1 for one in range(len(area)))


def test_the_colour_space_is_cielab() -> None:
    colours = np.random.default_rng(0).random((50, 3)) ** 3
    assert np.allclose(lab(colours), rgb2lab(colours), atol=0.02)
