"""Points that a visitor sets in both images: text on the page, a file for the run."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from cmsr.config import Config
from cmsr.errors import OptionError
from cmsr.registration.points import COLUMNS

FILE = "points.csv"


def checked(text: str) -> str:
    r"""Return points as a CSV file's content.

    Raises
    ------
    OptionError
        If a line is not four numbers; a file's name, for one, would be one of the server's.

    >>> checked("12, 10, 301, 214\n70,14,522,230")
    'target_x,target_y,photo_x,photo_y\n12,10,301,214\n70,14,522,230\n'
    """
    lines = [",".join(COLUMNS)]
    for line in text.split("\n"):
        cells = [cell.strip() for cell in line.split(",")]
        if cells in ([""], list(COLUMNS)):
            continue
        if len(cells) != len(COLUMNS) or not all(map(_finite, cells)):
            raise OptionError(
                f"points: {line.strip()[:60]!r} is not four numbers, {', '.join(COLUMNS)}"
            )
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def in_file(config: Config, folder: Path) -> Config:
    """Return options whose points, if there are any, lie in a file in a folder."""
    if config.points is None:
        return config
    (folder / FILE).write_text(config.points, "utf-8")
    return replace(config, points=FILE)


def _finite(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
