"""A smooth surface under a target hides nothing of what lies on it."""

import numpy as np
import pytest

import cmsr
from cmsr.io.raster import from_array
from cmsr.operators.trend import fitted_trend, surface
from cmsr.pair import Pair
from tests.conftest import SyntheticPair, smooth_field

FITS = {"ramp": lambda y, x: 5 * x + 3 * y, "bowl": lambda y, x: (x - 10) ** 2 + (y - 5) ** 2 / 2}


@pytest.mark.parametrize("kind", FITS)
def test_a_surface_changes_neither_weight_nor_detail(pair: SyntheticPair, kind: str) -> None:
    y, x = np.indices(pair.target.shape) + 0.5
    fine = [(n + 0.5) / 4 for n in np.indices(pair.truth.shape)]
    low = 20 + 10 * pair.target
    options = {"preset": "fast", "kernel": "bicubic", "align": "off"}
    usual = cmsr.upscale(low, pair.guide, **options)
    tilted = cmsr.upscale(low + FITS[kind](y, x), pair.guide, **options)
    assert tilted.guide_weight.mean() == pytest.approx(usual.guide_weight.mean(), abs=0.03)
    rest = tilted.image - FITS[kind](*fine) - usual.image
    assert np.sqrt(np.mean(rest[4:-4, 4:-4] ** 2)) < 0.3


def test_surfaces_are_recovered_and_ordinary_images_have_none() -> None:
    truth = np.array([0.0, 30.0, -50.0, 8.0, 3.0, -6.0])
    bumps = smooth_field((40, 50), 1, finest=10)
    found = fitted_trend(surface(truth, (40, 50)) + bumps, np.ones((40, 50), bool))
    assert found is not None
    assert np.abs(found - truth)[1:].max() < 2
    assert fitted_trend(bumps, np.ones((40, 50), bool)) is None
    assert fitted_trend(surface(truth, (40, 50)), np.ones((40, 50), bool)) is None


def test_holes_stay_out_of_it_and_values_come_back() -> None:
    tilted = smooth_field((20, 24), 2) + np.arange(24) * 3.0
    tilted[3:6, 4:9] = np.nan
    pair = Pair.of(from_array(tilted, "target"), (20, 24))
    assert pair.trend is not None
    again = pair.denormalise(pair.target)[0]
    np.testing.assert_allclose(again, tilted, atol=1e-5)
