"""The style of all charts, and charts as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
