"""Line charts and arrows as numbers that the page draws as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from cmsr.operators.resampling import Kernel, resampler
from cmsr.pictures import round_ticks
from cmsr.registration.alignment import Alignment
from cmsr.registration.transforms import displacement

WIDTH, HEIGHT = 400.0, 200.0
"""Size of a chart's plotting area, in its own coordinates."""

MOST_POINTS = 400
"""Points of a curve; longer ones are averaged down to that."""

_AROUND = 2.5
"""How far around a pixel of the target its kernel is drawn, in pixels of the target."""

_ARROWS = 13
"""Arrows along the longer side."""

Numbers = npt.NDArray[np.floating]
Tick = tuple[float, str]


@dataclass(frozen=True)
class Chart:
    """Curves over one pair of axes.

    Attributes
    ----------
    x_title, y_title : str
        With the unit.
    x_ticks, y_ticks : list of (position, text)
        In the chart's coordinates.
    curves : list of (name, points)
        Points as SVG writes them; the name is "" where there is one curve.
    """

    x_title: str
    y_title: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    curves: list[tuple[str, str]]


@dataclass(frozen=True)
class Arrows:
    """A field of displacements.

    Attributes
    ----------
    width, height : float
        Of the field, in pixels of the guide.
    lines : list of (x1, y1, x2, y2)
        Arrows, ``exaggeration`` times as long as what they stand for.
    exaggeration : float
        How much longer they are drawn.
    longest : float
        What the longest stands for, in pixels of the guide.
    """

    width: float
    height: float
    lines: list[tuple[float, float, float, float]]
    exaggeration: float
    longest: float


def line_chart(
    x_title: str,
    y_title: str,
    curves: Sequence[tuple[str, Numbers, Numbers]],
    *,
    from_zero: bool = False,
    logarithmic: bool = False,
) -> Chart:
    """Draw curves of (name, x, y); the axes span what is finite in them."""
    curves = [(name, x, np.log10(np.maximum(y, 1e-12)) if logarithmic else y)
              for name, x, y in curves]  # fmt: skip
    x_low, x_high = _span([x for _, x, _ in curves])
    y_low, y_high = _span([y for _, _, y in curves])
    y_low = min(0.0, y_low) if from_zero else y_low
    y_ticks = _decades(y_low, y_high) if logarithmic else round_ticks(y_low, y_high, 5)

    def across(value: float) -> float:
        return WIDTH * (value - x_low) / (x_high - x_low)

    def down(value: float) -> float:
        return HEIGHT * (y_high - value) / (y_high - y_low)

    return Chart(
        x_title,
        y_title,
        [(across(value), text) for value, text in round_ticks(x_low, x_high, 6)],
        [(down(value), text) for value, text in y_ticks],
        [
            (name, " ".join(f"{across(a):.1f},{down(b):.1f}" for a, b in zip(x, y, strict=True)))
            for name, x, y in curves
        ],
    )


def training_chart(title: str, history: Sequence[float]) -> Chart:
    """Draw what was noted at each training step, on a logarithmic axis."""
    steps = np.array_split(np.arange(1, len(history) + 1), min(MOST_POINTS, len(history)))
    values = np.array_split(np.asarray(history, float), len(steps))
    x, y = (np.array([part.mean() for part in parts]) for parts in (steps, values))
    return line_chart("training step", title, [("", x, y)], logarithmic=True)


def histogram(values: Numbers, high: float, title: str) -> Chart:
    """Draw how often values from −high to high occur, and a Gaussian of their width."""
    seen = values[np.isfinite(values)]
    share, edges = np.histogram(seen, 60, (-high, high))
    density = share / max(1, len(seen)) / (edges[1] - edges[0])
    outline = np.repeat(edges, 2)[1:-1]
    sigma = max(float(np.std(seen)) if seen.size else 0.0, 1e-3 * high)
    x = np.linspace(-high, high, 121)
    gauss = np.exp(-0.5 * (x / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    curves = [("found", outline, np.repeat(density, 2)), ("Gaussian of that width", x, gauss)]
    return line_chart(title, "density", curves, from_zero=True)


def kernel_chart(kernel: Kernel, ratio: tuple[float, float]) -> Chart:
    """Draw how much of the scene around it a pixel of the target gathers, along both axes."""
    low = 25
    fine = tuple(max(low, round(low * r)) for r in ratio)
    reduce = resampler((fine[0], fine[1]), (low, low), kernel)
    sums = {"vertical": 1, "horizontal": 0}
    spread = reduce.transpose(_one_pixel(low)).numpy()
    curves = []
    for axis, (name, summed) in enumerate(sums.items()):
        weight = spread.sum(axis=summed) * fine[axis] / low
        place = (np.arange(fine[axis]) + 0.5) * low / fine[axis] - low / 2
        near = np.abs(place) <= _AROUND
        curves.append((name, place[near], weight[near]))
    if np.array_equal(curves[0][2], curves[1][2]):
        curves = [("", *curves[0][1:])]
    titles = "distance from the pixel's centre, input pixels", "weight per input pixel"
    return line_chart(*titles, curves, from_zero=True)


def arrows(alignment: Alignment) -> Arrows:
    """Draw where the guide was read, seen from where each arrow starts."""
    height, width = alignment.size
    step = max(height, width) / _ARROWS
    rows, cols = max(2, round(height / step)), max(2, round(width / step))
    moved = displacement(alignment.grid((rows, cols)), alignment.size)[0].numpy()
    longest = float(np.hypot(moved[..., 0], moved[..., 1]).max())
    larger = 0.9 * step / longest if longest > 1e-3 else 1.0
    lines = []
    for row in range(rows):
        for col in range(cols):
            x, y = (col + 0.5) * width / cols, (row + 0.5) * height / rows
            right, down = moved[row, col] * larger
            lines.append((x, y, x + float(right), y + float(down)))
    return Arrows(width, height, lines, larger, longest)


def _one_pixel(side: int) -> torch.Tensor:
    pixel = torch.zeros(side, side)
    pixel[side // 2, side // 2] = 1
    return pixel


def _span(parts: Sequence[Numbers]) -> tuple[float, float]:
    """Return the lowest and the highest of all, apart from each other."""
    every = np.concatenate([part[np.isfinite(part)] for part in parts])
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _decades(low: float, high: float) -> list[Tick]:
    """Return 1, 2 and 5 times powers of ten as ticks of an axis that shows their logarithms."""
    powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    ticks = [(float(np.log10(m)) + p, f"{m * 10.0**p:g}") for p in powers for m in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick[0] <= high]
