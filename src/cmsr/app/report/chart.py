"""Line charts of a page and the field of arrows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from markupsafe import Markup

from cmsr.app.report import svg
from cmsr.operators.resampling import Kernel, resampler
from cmsr.registration.alignment import Alignment
from cmsr.registration.transforms import displacement

MOST_POINTS = 400
"""Most points of a curve; longer ones are averaged down to that."""

_AROUND = 2.5
"""Range around a pixel of the target in which its kernel is drawn, in pixels of the target."""

_ARROWS = 13
"""Arrows along the longer side."""

Numbers = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Chart:
    """Curves over one pair of axes.

    Attributes
    ----------
    x_title, y_title : str
        With the unit.
    curves : sequence of (name, x, y)
        The name is "" if there is only one curve.
    logarithmic : bool
        Whether the vertical axis is.
    """

    x_title: str
    y_title: str
    curves: Sequence[tuple[str, Numbers, Numbers]]
    logarithmic: bool = False

    @property
    def svg(self) -> Markup:
        """The chart as an SVG element."""
        return svg.chart(self.x_title, self.y_title, self.curves, logarithmic=self.logarithmic)


@dataclass(frozen=True)
class Arrows:
    """A field of displacements.

    Attributes
    ----------
    size : (height, width)
        Of the field, in pixels of the guide.
    start, moved : arrays, shape (N, 2)
        Where each arrow starts, and the displacement (right, down), in pixels of the guide.
    """

    size: tuple[int, int]
    start: Numbers
    moved: Numbers

    @property
    def longest(self) -> float:
        """The largest displacement, in pixels of the guide."""
        return float(np.hypot(*self.moved.T).max())

    @property
    def svg(self) -> Markup:
        """The arrows as an SVG element; the longest nearly spans the distance of two."""
        larger = 0.9 * max(self.size) / _ARROWS / self.longest if self.longest > 1e-3 else 1.0
        return svg.arrows(self.size, self.start, larger * self.moved, "displacement of the guide")


def training_chart(title: str, history: Sequence[float]) -> Chart:
    """Return the chart of a quantity at each training step, on a logarithmic axis."""
    steps = np.array_split(np.arange(1, len(history) + 1), min(MOST_POINTS, len(history)))
    values = np.array_split(np.asarray(history, float), len(steps))
    x, y = (np.array([part.mean() for part in parts]) for parts in (steps, values))
    return Chart("training step", title, [("", x, y)], logarithmic=True)


def histogram(values: Numbers, high: float, title: str) -> Chart:
    """Return how many values lie where from −high to high, and a Gaussian of the same width."""
    seen = values[np.isfinite(values)] / high
    count, edges = np.histogram(seen, 60, (-1, 1))
    share = count / max(1, len(seen))
    outline = np.repeat(edges, 2)[1:-1]
    sigma = max(float(np.std(seen)) if seen.size else 0.0, 1e-3)
    x = np.linspace(-1, 1, 121)
    gauss = np.exp(-0.5 * (x / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi)) * (edges[1] - edges[0])
    measured = "measured", high * outline, np.repeat(share, 2)
    return Chart(title, "share of pixels", [measured, ("Gaussian of this width", high * x, gauss)])


def kernel_chart(kernel: Kernel, ratio: tuple[float, float]) -> Chart:
    """Return the imaging kernel's weights around a pixel of the target, along both axes."""
    low = 25
    fine = tuple(max(low, round(low * r)) for r in ratio)
    reduce = resampler((fine[0], fine[1]), (low, low), kernel)
    pixel = torch.zeros(low, low)
    pixel[low // 2, low // 2] = 1
    spread = reduce.transpose(pixel).numpy()
    curves: list[tuple[str, Numbers, Numbers]] = []
    for axis, name in enumerate(("vertical", "horizontal")):
        weight = spread.sum(axis=1 - axis) * fine[axis] / low
        place = (np.arange(fine[axis]) + 0.5) * low / fine[axis] - low / 2
        near = np.abs(place) <= _AROUND
        curves.append((name, place[near], weight[near]))
    if np.array_equal(curves[0][2], curves[1][2]):
        curves = [("", *curves[0][1:])]
    return Chart("distance from the pixel's centre, input pixels", "weight per input pixel", curves)


def arrows(alignment: Alignment) -> Arrows:
    """Return the displacement of the guide on a coarse grid; each arrow starts in the result."""
    height, width = alignment.size
    step = max(height, width) / _ARROWS
    rows, cols = max(2, round(height / step)), max(2, round(width / step))
    moved = displacement(alignment.grid((rows, cols)), alignment.size)[0].numpy()
    down, right = np.indices((rows, cols)) + 0.5
    start = np.stack([right * width / cols, down * height / rows], axis=-1)
    return Arrows(alignment.size, start.reshape(-1, 2), moved.reshape(-1, 2))
