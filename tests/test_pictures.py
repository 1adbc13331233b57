"""Colours and round numbers are those of matplotlib, which the package does without."""

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.ticker import MaxNLocator

from cmsr import colour_maps
from cmsr.io.colour_map import KNOWN
from cmsr.pictures import Panel, colour, round_ticks, sheet

VALUES = np.array([[np.nan, -np.inf, -1, -0.001, 0, 0.0039, 0.3, 0.9999, 1, 1.01, 7, np.inf]])


def test_the_maps_are_matplotlibs() -> None:
    assert colour_maps.names() == {
        name for name, one in mpl.colormaps.items() if one.N >= 256 and name[-2:] != "_r"
    }
    assert set(KNOWN) - {"iron"} <= colour_maps.names()
    for name in (*colour_maps.names(), "inferno_r"):
        own = mpl.colormaps[name](np.linspace(0, 1, 256))[:, :3]
        assert np.array_equal(colour_maps.colours(name), np.rint(255 * own))


@pytest.mark.parametrize("name", ["inferno", "PuOr", "gray_r"])
def test_values_have_matplotlibs_colours(name: str) -> None:
    painted = mpl.colormaps[name].with_extremes(bad="0.5")(np.ma.masked_invalid(VALUES))
    assert np.array_equal(colour(VALUES, 0, 1, name), np.rint(255 * painted[..., :3]))
    assert np.array_equal(
        colour(40 * VALUES - 7, -7, 33, name)[0, 6], colour(VALUES, 0, 1, name)[0, 6]
    )


@settings(max_examples=200, deadline=None)
@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6), most=st.integers(4, 9))
def test_ticks_are_round_few_and_evenly_spaced(low: float, span: float, most: int) -> None:
    high = low + span
    ticks = [tick for tick, _ in round_ticks(low, high, most)]
    assert 4 <= len(ticks) <= max(most + 1, 9)
    assert low <= ticks[0] < ticks[-1] <= high
    assert np.allclose(np.diff(ticks), ticks[1] - ticks[0])
    assert all(float(text) == tick for tick, text in round_ticks(low, high, most))


@pytest.mark.parametrize(
    "ends",
    [(11, 19), (0, 1), (-3.2, 41.7), (15.131, 15.189), (0, 65535), (-0.5, 0.5), (7e-5, 9e-4)],
)
@pytest.mark.parametrize("most", [5, 6])
def test_ticks_are_matplotlibs(ends: tuple[float, float], most: int) -> None:
    other = MaxNLocator(most, steps=[1, 2, 5, 10], min_n_ticks=4).tick_values(*ends)
    other = other[(other >= ends[0]) & (other <= ends[1])]
    assert np.allclose([tick for tick, _ in round_ticks(*ends, most)], other)


def test_captions_have_the_signs_of_units() -> None:
    """No sign is drawn as the box that stands for those that the font lacks."""
    tile = np.zeros((1, 1, 3), np.uint8)
    drawn = [np.asarray(sheet([[Panel(sign, tile)]])) for sign in "\U0010ffff×−µ²→éßЖσ≤"]
    assert all(one.shape != drawn[0].shape or (one != drawn[0]).any() for one in drawn[1:])
