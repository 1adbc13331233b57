"""Line charts of a page and the field of arrows, drawn in the page's own colours.

Plotting is imported late: a notebook's slider has no charts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from markupsafe import Markup

from cmsr.operators.resampling import Kernel, resampler
from cmsr.registration.alignment import Alignment
from cmsr.registration.transforms import displacement

MOST_POINTS = 400
"""Most points of a curve; longer ones are averaged down to that."""

_AROUND = 2.5
"""Range around a pixel of the target in which its kernel is drawn, in pixels of the target."""

_ARROWS = 13
"""Arrows along the longer side."""

_INK, _SOFT, _LINE = "#1c1d20", "#62656c", "#e2e2de"
_CURVES = (("#b4480f", "-"), ("#1f5fa8", "--"))
_PAGE = {
    _INK: "var(--ink)",
    _SOFT: "var(--soft)",
    _LINE: "var(--line)",
    _CURVES[0][0]: "var(--accent)",
    _CURVES[1][0]: "var(--second)",
}
"""The page's colours, which follow light and dark mode, for those that are drawn with."""

_STYLE = {
    "svg.fonttype": "none",
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _LINE,
    "grid.color": _LINE,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _SOFT,
    "ytick.labelcolor": _SOFT,
}

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
        from cmsr import charts

        with charts.figure(5.4, 3.0, _STYLE) as figure:
            axes = figure.add_subplot()
            for (name, x, y), (colour, line) in zip(self.curves, _CURVES, strict=False):
                axes.plot(x, y, line, color=colour, linewidth=1.6, label=name)
            axes.set(xlabel=self.x_title, ylabel=self.y_title)
            if self.logarithmic:
                axes.set_yscale("log", nonpositive="mask")
            if len(self.curves) > 1:
                axes.legend()
            label = f"{self.y_title} over {self.x_title}"
            return Markup(charts.embedded(figure, label, _PAGE))  # noqa: S704 (escaped there)


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
        from cmsr import charts

        height, width = self.size
        larger = 0.9 * max(self.size) / _ARROWS / self.longest if self.longest > 1e-3 else 1.0
        with charts.figure(7.2, 7.2 * height / width, _STYLE) as figure:
            figure.set_layout_engine("none")
            axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            axes.quiver(*self.start.T, *(larger * self.moved).T, angles="xy", scale_units="xy",
                        scale=1, width=0.004, color=_CURVES[0][0])  # fmt: skip
            label = "displacement of the guide"
            return Markup(charts.embedded(figure, label, _PAGE))  # noqa: S704 (escaped there)


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
