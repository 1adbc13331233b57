"""Drawings of a page as SVG: curves over axes, and arrows, in the page's own colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from cmsr.pictures import round_ticks

Numbers = npt.NDArray[np.floating]
Range = tuple[float, float]
Curve = tuple[str, Numbers, Numbers]

_WIDTH, _HEIGHT, _SIZE = 390.0, 217.0, 9.0
"""Of a chart and its letters, in pixels of the page."""

_LETTER = 0.56
"""Mean width of a digit, in heights of the letters."""

_MARGIN = 0.05
"""Of the range of the curves on either side."""

_COLOURS = (("var(--accent)", ""), ("var(--second)", ' stroke-dasharray="6 3"'))
_INK, _SOFT, _LINE = "var(--ink)", "var(--soft)", "var(--line)"


def chart(x_title: str, y_title: str, curves: Sequence[Curve], *, logarithmic: bool) -> Markup:
    """Draw curves (name, x, y) over one pair of axes, the vertical one logarithmic if asked."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shown = [
            (name, x.astype(float), np.log10(y) if logarithmic else y.astype(float))
            for name, x, y in curves
        ]
    across, up = _range([x for _, x, _ in shown]), _range([y for _, _, y in shown])
    y_ticks = _powers(*up) if logarithmic else round_ticks(*up, 7)
    widest = max((len(text) for _, text in y_ticks), default=0)
    frame = _Frame(across, up, left=2.6 * _SIZE + _LETTER * _SIZE * widest)
    drawn = [_axes(frame, round_ticks(*across, 8), y_ticks), _titles(frame, x_title, y_title)]
    for (_, x, y), (colour, dashes) in zip(shown, _COLOURS, strict=False):
        drawn.append(
            f'<path d="{_path(frame.x(x), frame.y(y))}" fill="none" stroke="{colour}" '
            f'stroke-width="1.6"{dashes}/>'
        )
    if len(shown) > 1:
        drawn.append(_legend(frame, [name for name, _, _ in shown]))
    return _svg(_WIDTH, _HEIGHT, f"{y_title} over {x_title}", drawn)


def arrows(size: tuple[int, int], start: Numbers, moved: Numbers, label: str) -> Markup:
    """Draw arrows of an area (height, width): from places (N, 2) by displacements (N, 2)."""
    thick = 0.004 * size[1]
    places = zip(start.tolist(), moved.tolist(), strict=True)
    drawn = [_arrow(x, y, right, down, thick) for (x, y), (right, down) in places]
    return _svg(size[1], size[0], label, [f'<path d="{"".join(drawn)}" fill="{_COLOURS[0][0]}"/>'])


class _Frame:
    """Where values lie in a chart."""

    def __init__(self, across: Range, up: Range, left: float) -> None:
        self.left, self.right, self.top, self.bottom = left, _WIDTH - 6, 8.0, _HEIGHT - 3.9 * _SIZE
        self._across, self._up = across, up

    def x(self, values: Numbers | float) -> Numbers:
        low, high = self._across
        return np.asarray(self.left + (values - low) / (high - low) * (self.right - self.left))

    def y(self, values: Numbers | float) -> Numbers:
        low, high = self._up
        return np.asarray(self.bottom - (values - low) / (high - low) * (self.bottom - self.top))


def _range(values: Sequence[Numbers]) -> Range:
    """Return the range of finite values and its margins; never empty."""
    every = np.concatenate(values)
    every = every[np.isfinite(every)]
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    room = _MARGIN * (high - low) or 0.05 * max(1.0, abs(low))
    return low - room, high + room


def _powers(low: float, high: float) -> list[tuple[float, str]]:
    """Return the ticks of a logarithmic axis: powers of ten, with 2 and 5 where they are few.

    >>> _powers(-2.2, 0.1)
    [(-2.0, '0.01'), (-1.0, '0.1'), (0.0, '1')]
    """
    tens = range(math.floor(low), math.ceil(high) + 1)
    factors = (1, 2, 5) if high - low < 2 else (1,)
    every = 1 if high - low < 7 else math.ceil((high - low) / 6)
    ticks = [(ten + math.log10(f), f"{f * 10.0**ten:g}") for ten in tens[::every] for f in factors]
    return [(place, text) for place, text in ticks if low <= place <= high]


def _axes(frame: _Frame, x_ticks: list[tuple[float, str]], y_ticks: list[tuple[float, str]]) -> str:
    """Draw the grid, the axes and their numbers."""
    f, lines, numbers = frame, list[str](), list[str]()
    for value, text in x_ticks:
        x = float(f.x(value))
        lines.append(f"M{x:.1f} {f.top:.1f}V{f.bottom + 3:.1f}")
        numbers.append(_text(x, f.bottom + 3 + _SIZE, text, "middle", _SOFT))
    for value, text in y_ticks:
        y = float(f.y(value))
        lines.append(f"M{f.left - 3:.1f} {y:.1f}H{f.right:.1f}")
        numbers.append(_text(f.left - 6, y + 0.35 * _SIZE, text, "end", _SOFT))
    lines.append(f"M{f.left:.1f} {f.top:.1f}V{f.bottom:.1f}H{f.right:.1f}")
    return f'<path d="{"".join(lines)}" fill="none" stroke="{_LINE}"/>{"".join(numbers)}'


def _titles(frame: _Frame, x_title: str, y_title: str) -> str:
    middle, centre = (frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2
    turned = f' transform="rotate(-90 {_SIZE:.1f} {centre:.1f})"'
    return _text(middle, _HEIGHT - 0.5 * _SIZE, x_title, "middle", _INK) + _text(
        _SIZE, centre, y_title, "middle", _INK, turned
    )


def _legend(frame: _Frame, names: Sequence[str]) -> str:
    """Name the curves at the top right, each after a piece of its line."""
    left = frame.right - 30 - _LETTER * _SIZE * max(map(len, names))
    drawn = []
    for row, (name, (colour, dashes)) in enumerate(zip(names, _COLOURS, strict=False)):
        y = frame.top + (1 + 1.5 * row) * _SIZE
        line = f"M{left:.1f} {y - 0.35 * _SIZE:.1f}h20"
        drawn.append(f'<path d="{line}" stroke="{colour}" stroke-width="1.6"{dashes}/>')
        drawn.append(_text(left + 26, y, name, "start", _INK))
    return "".join(drawn)


def _text(x: float, y: float, text: str, anchor: str, colour: str, more: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{more}'
    return f"<text {place}>{escape(text.replace('-', '−') if _is_number(text) else text)}</text>"


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "").isdigit()


def _path(x: Numbers, y: Numbers) -> str:
    """Return the path of a curve, with gaps where a value is not finite."""
    pen, drawn = "M", list[str]()
    for across, down in zip(x.tolist(), y.tolist(), strict=True):
        if not math.isfinite(across) or not math.isfinite(down):
            pen = "M"
            continue
        drawn.append(f"{pen}{across:.2f} {down:.2f}")
        pen = "L"
    return "".join(drawn)


def _arrow(x: float, y: float, right: float, down: float, thick: float) -> str:
    """Return the outline of an arrow: a shaft and a tip, or a dot where nothing moves."""
    long = math.hypot(right, down)
    if long < thick:
        half = thick / 2
        return f"M{x - half:.2f} {y:.2f}a{half:.2f} {half:.2f} 0 1 0 {thick:.2f} 0" \
               f"a{half:.2f} {half:.2f} 0 1 0 {-thick:.2f} 0Z"  # fmt: skip
    tip = min(long, 5 * thick)
    wide = min(1.0, long / (5 * thick))
    outline = ((0, 0.5), (long - tip, 0.5), (long - tip, 1.5), (long, 0),
               (long - tip, -1.5), (long - tip, -0.5), (0, -0.5))  # fmt: skip
    points = [
        (x + (along * right - side * thick * wide * down) / long,
         y + (along * down + side * thick * wide * right) / long)
        for along, side in outline
    ]  # fmt: skip
    return "M" + "L".join(f"{across:.2f} {below:.2f}" for across, below in points) + "Z"


def _svg(width: float, height: float, label: str, drawn: Sequence[str]) -> Markup:
    head = (
        f'<svg class="chart" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {width:g} {height:g}" font-size="{_SIZE:g}">'
    )
    return Markup(head + "".join(drawn) + "</svg>")  # noqa: S704 (texts are escaped above)
