"""The contact sheet of a batch: small pictures of its results."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cmsr.app.batch import storage
from cmsr.errors import CmsrError
from cmsr.io import image_files
from cmsr.pictures import Panel, Rgb, colour, range_of, sheet, thinned

MOST = 60
"""Results shown at most, evenly chosen."""

SIDE, COLUMNS, LETTERS = 160, 6, 24
"""Longest side of a picture in pixels, pictures in a row, characters of a name."""


def write(url: str, out: str, names: Sequence[str], ending: str) -> None:
    """Write a sheet of a folder's results; one that cannot be read is a blank.

    Parameters
    ----------
    url : str
        Of the picture, a PNG.
    out : str
        Folder of results.
    names : sequence of str
        Of the pairs; at most `MOST` are shown.
    ending : str
        Of the results, without the dot.
    """
    every = max(1, -(-len(names) // MOST))
    panels = [_panel(name, f"{out}/{name}.{ending}") for name in names[::every]]
    content = io.BytesIO()
    sheet([panels[i : i + COLUMNS] for i in range(0, len(panels), COLUMNS)]).save(content, "PNG")
    storage.write_bytes(url, content.getvalue())


def _panel(name: str, url: str) -> Panel:
    caption = name if len(name) <= LETTERS else f"…{name[1 - LETTERS :]}"
    try:
        return Panel(caption, thumbnail(url))
    except CmsrError:
        return Panel(f"{caption}\nno result", np.full((1, 1, 3), 255, np.uint8))


def thumbnail(url: str) -> Rgb:
    """Return a small picture of a result's first channel in false colours.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    with tempfile.TemporaryDirectory() as scratch:
        raster = image_files.read(storage.fetch(url, Path(scratch)))
    values = thinned(np.where(raster.valid, raster.data[0], np.nan), SIDE)
    return colour(values, *range_of(values))
