"""A visitor's points and rig: text in a field of the page, a file for the run."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

from cmsr.config import Config
from cmsr.errors import OptionError
from cmsr.registration.points import COLUMNS
from cmsr.registration.rig import NOT_A_RIG, Rig

POINTS, RIG = "points.csv", "rig.json"
"""Names of the files."""


def points(text: str) -> str:
    r"""Return points as a CSV file's content.

    Raises
    ------
    OptionError
        If a line is not four numbers; a file's name, for one, would be one of the server's.

    >>> points("12, 10, 301, 214\n70,14,522,230")
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


def rig(text: str) -> str:
    """Return a rig's file content, without what single pairs said of it; or auto, or off.

    Raises
    ------
    OptionError
        If it is none; a file's name, for one, would be one of the server's.
    """
    if text in ("auto", "off"):
        return text
    try:
        found = Rig.of_json(json.loads(text))
    except NOT_A_RIG as error:
        raise OptionError("rig is no rig; choose the file that cmsr rig writes, or auto") from error
    return json.dumps(replace(found, votes=()).to_json())


def in_files(config: Config, folder: Path) -> Config:
    """Return options whose points and rig, if there are any, lie in files in a folder."""
    if config.points is not None:
        (folder / POINTS).write_text(config.points, "utf-8")
        config = replace(config, points=POINTS)
    if config.rig_file is not None:
        (folder / RIG).write_text(config.rig_file, "utf-8")
        config = replace(config, rig=RIG)
    return config


def _finite(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
