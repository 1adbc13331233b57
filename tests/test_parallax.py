"""A photo that lies elsewhere is found by its edges; one that shows nothing alike stays."""

import numpy as np
import pytest

from cmsr.operators.kernels import weights
from cmsr.thermal.correlation import masked_correlation
from cmsr.thermal.parallax import displacement
from tests.conftest import render_pair, smooth_field

BOX = np.array([60.0, 80.0, 300.0, 400.0])


def views() -> tuple[np.ndarray, np.ndarray]:
    """A thermal image (60, 80) of the middle of a photo (360, 480, 3), in other brightnesses."""
    scene = render_pair((360, 480), (90, 120), seed=3)
    part = scene.truth[60:300, 80:400]
    return weights(240, 60, "box") @ part @ weights(320, 80, "box").T, scene.guide


@pytest.mark.parametrize("moved", [(0, 0), (16, -24), (-30, 12)])
def test_a_known_displacement_is_found(moved: tuple[int, int]) -> None:
    thermal, photo = views()
    elsewhere = np.roll(photo, moved, (0, 1))
    everywhere = np.ones(photo.shape[:2], bool)
    found = displacement(thermal, elsewhere, everywhere, BOX)
    assert np.abs(np.array(found) - moved).max() <= 4


def test_nothing_alike_is_left_where_the_camera_says() -> None:
    thermal, photo = views()
    noise = np.random.default_rng(1).integers(0, 255, photo.shape, dtype=np.uint8)
    everywhere = np.ones(photo.shape[:2], bool)
    assert displacement(thermal, noise, everywhere, BOX) == (0.0, 0.0)
    smooth = smooth_field((60, 80), 8, finest=60)
    assert displacement(np.full((60, 80), 20.0), photo, everywhere, BOX) == (0.0, 0.0)
    assert max(map(abs, displacement(smooth, noise, everywhere, BOX))) == 0


def test_the_masked_correlation_is_pearsons_at_every_place() -> None:
    noise = np.random.default_rng(5)
    image, template = 1e3 + noise.normal(size=(14, 17)), 50 + noise.normal(size=(5, 6))
    image[3:9, 2:9] += 4 * template.mean() + np.kron(template, np.ones((2, 2)))[:6, :7]
    known = noise.random(image.shape) < 0.7
    found = masked_correlation(np.where(known, image, 1e6), known, template)
    assert found.shape == (10, 12)
    for (row, col), value in np.ndenumerate(found):
        mask = known[row : row + 5, col : col + 6]
        pairs = image[row : row + 5, col : col + 6][mask], template[mask]
        expected = np.corrcoef(*pairs)[0, 1] if mask.mean() >= 0.5 else 0.0
        assert value == pytest.approx(expected, abs=1e-9)
    assert not masked_correlation(np.full((9, 9), 7.0), np.ones((9, 9), bool), template).any()
    assert not masked_correlation(image, np.zeros_like(known), template).any()
