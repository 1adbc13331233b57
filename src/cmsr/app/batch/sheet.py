"""A contact sheet: results of a batch side by side, to be judged at a glance."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cmsr.app.batch import storage
from cmsr.errors import CmsrError
from cmsr.io import image_files
from cmsr.io.atomic import replacing
from cmsr.pictures import Rgb, colour

MOST = 60
"""Results shown at most, evenly chosen."""

SIDE, COLUMNS, CAPTION, GAP = 160, 6, 18, 8
_PAPER, _INK, _FAULT = (255, 255, 255), (24, 24, 28), (176, 32, 32)


def write(url: str, out: str, names: Sequence[str], ending: str) -> None:
    """Write a sheet of a folder's results; what cannot be read is left blank.

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
    shown = [(name, _thumbnail(f"{out}/{name}.{ending}")) for name in names[::every]]
    picture = _laid_out(shown)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "sheet.png")
        picture.save(file)
        if storage.is_remote(url):
            storage.write_bytes(url, file.read_bytes())
        else:
            with replacing(Path(url)) as temporary:
                temporary.write_bytes(file.read_bytes())


def _thumbnail(url: str) -> Image.Image | None:
    """Return a small picture of a result in false colours; None where there is none."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            raster = image_files.read(storage.fetch(url, Path(scratch)))
    except CmsrError:
        return None
    return _small(raster)


def _small(raster: image_files.Raster) -> Image.Image:
    every = max(1, max(raster.shape) // (2 * SIDE))
    values = np.where(raster.valid, raster.data[0], np.nan)[::every, ::every]
    seen = values[np.isfinite(values)]
    low, high = np.percentile(seen, (0.5, 99.5)) if seen.size else (0.0, 1.0)
    picture: Rgb = colour(values, float(low), float(high))
    small = Image.fromarray(picture)
    small.thumbnail((SIDE, SIDE))
    return small


def _laid_out(shown: Sequence[tuple[str, Image.Image | None]]) -> Image.Image:
    """Lay pictures in rows, each above its name; a missing one says so."""
    columns = min(COLUMNS, max(1, len(shown)))
    rows = -(-len(shown) // columns)
    wide, high = SIDE + GAP, SIDE + CAPTION + GAP
    sheet = Image.new("RGB", (columns * wide + GAP, rows * high + GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for index, (name, picture) in enumerate(shown):
        left, top = GAP + index % columns * wide, GAP + index // columns * high
        if picture is None:
            pen.text((left, top + SIDE // 2), "no result", fill=_FAULT, font=font)
        else:
            sheet.paste(picture, (left, top))
        pen.text((left, top + SIDE + 2), _fitted(name, font), fill=_INK, font=font)
    return sheet


def _fitted(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Shorten a name from the left until it fits its column."""
    while font.getlength(name) > SIDE:
        name = "…" + name.lstrip("…")[1:]
    return name
