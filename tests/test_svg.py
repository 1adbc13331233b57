"""Charts show each value at its place, and arrows their displacement."""

import re

import numpy as np
import pytest

from cmsr.app.report import svg

X = np.arange(5.0)


def points(text: str) -> list[list[tuple[float, float]]]:
    """Return the pieces of the first curve in pixels."""
    path = re.findall(r'<path d="([^"]*)" fill="none" stroke="var\(--accent\)"', text)[0]
    pieces = [piece for piece in path.split("M") if piece]
    return [[tuple(map(float, at.split())) for at in piece.split("L")] for piece in pieces]  # type: ignore[misc]


def scale(text: str, anchor: str, axis: int) -> tuple[float, float]:
    """Return pixels per unit and the pixel of zero, by the numbers along an axis."""
    place = rf'<text x="([\d.]+)" y="([\d.]+)" text-anchor="{anchor}"'
    found = re.findall(place + r' fill="var\(--soft\)">([^<]+)<', text)
    at = [float(one[axis]) for one in found]
    values = [float(one[2].replace("−", "-")) for one in found]
    slope, zero = np.polyfit(values, at, 1)
    return float(slope), float(zero)


def test_curves_lie_where_the_numbers_of_the_axes_say() -> None:
    y = np.array([-3.0, 1.5, 0.0, 4.0, 2.0])
    text = str(svg.chart("x", "y", [("", X, y)], logarithmic=False))
    across, up = scale(text, "middle", 0), scale(text, "end", 1)
    (curve,) = points(text)
    assert np.allclose([p[0] for p in curve], across[0] * X + across[1], atol=0.2)
    raised = up[0] * y + up[1] - 0.35 * 9  # numbers stand a third of a letter below their line
    assert np.allclose([p[1] for p in curve], raised, atol=0.2)
    assert up[0] < 0


def test_a_logarithmic_axis_has_gaps_where_nothing_is_above_zero() -> None:
    text = str(svg.chart("x", "y", [("", X, np.array([1, 10, 0, 100, 1000]))], logarithmic=True))
    first, second = points(text)
    steps = [a[1] - b[1] for a, b in ((first[0], first[1]), (second[0], second[1]))]
    assert steps[0] == pytest.approx(steps[1], abs=0.02)
    assert ">1000</text>" in text


@pytest.mark.parametrize("y", [np.full(5, 2.0), np.full(5, np.nan), np.zeros(5)])
@pytest.mark.parametrize("logarithmic", [False, True])
def test_flat_and_empty_curves_have_charts(y: np.ndarray, logarithmic: bool) -> None:
    text = str(svg.chart("x", "y", [("", X, y)], logarithmic=logarithmic))
    assert text.endswith("</svg>")
    assert "nan" not in text.lower()
    assert "inf" not in text.lower()


def test_arrows_end_where_they_lead() -> None:
    start, moved = np.array([[10.0, 20.0], [50.0, 60.0]]), np.array([[30.0, -10.0], [0.0, 0.0]])
    text = str(svg.arrows((100, 200), start, moved, "field"))
    assert 'viewBox="0 0 200 100"' in text
    assert "L40.00 10.00L" in text
    assert "M49.60 60.00a" in text
