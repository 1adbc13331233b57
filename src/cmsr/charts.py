"""The style of all charts, and charts as files or inside a page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from cmsr.io.atomic import replacing

_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "cmsr",
}


@contextmanager
def figure(width: float, height: float, style: Mapping[str, Any] | None = None) -> Iterator[Figure]:
    """Provide an empty figure, its size in inches; within, the charts' style is in force."""
    with mpl.rc_context(_STYLE | dict(style or {})):
        yield Figure(figsize=(width, height), layout="constrained")


def save(drawn: Figure, path: Path) -> None:
    """Write a figure, whole or not at all; the same figure gives the same bytes."""
    with replacing(path) as temporary:
        drawn.savefig(temporary, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else {})


def embedded(drawn: Figure, label: str, colours: Mapping[str, str]) -> str:
    """Return a figure as an SVG element of an HTML page.

    Parameters
    ----------
    drawn : Figure
        Drawn in the colours that are keys of ``colours``.
    label : str
        Its description for who cannot see it.
    colours : mapping
        The page's own colours, in CSS, for those in the figure (#rrggbb).
    """
    content = io.StringIO()
    drawn.savefig(content, format="svg", transparent=True)
    text = content.getvalue()
    text = re.sub(r"<(metadata|style).*?</\1>", "", text[text.index("<svg") :], flags=re.S)
    text = re.sub(r'(?<=<g) id="[^"]*"', "", text)
    for colour, of_page in colours.items():
        text = text.replace(colour, of_page)
    return text.replace("<svg", f'<svg class="chart" role="img" aria-label="{escape(label)}"', 1)
