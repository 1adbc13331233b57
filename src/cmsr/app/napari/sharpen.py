"""Sharpen a layer with another one, in Python or in the widget's thread."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Points

import cmsr
from cmsr.app.napari import points
from cmsr.app.napari.layers import FILE, layers_of, raster_of
from cmsr.config import Config
from cmsr.errors import CmsrError
from cmsr.io.inputs import prepared
from cmsr.progress import Progress
from cmsr.result import Result


@dataclass(frozen=True)
class Task:
    """What is to be sharpened, with what.

    Attributes
    ----------
    target, guide : Image
        The layers; the guide may be missing.
    rows : array (n, 4), optional
        Points set by hand, as `cmsr.app.napari.points.rows_of` gives them.
    options : dict
        Of `cmsr.upscale`.
    """

    target: Image
    guide: Image | None = None
    rows: npt.NDArray[np.float64] | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def result(self, progress: Progress | None = None) -> Result:
        """Upscale; ``progress`` is told the stages, and may end the run by an exception.

        Raises
        ------
        CmsrError
            If a layer or an option cannot be used.
        """
        if self.rows is None:
            return self._upscaled(self.options, progress)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "points.csv"
            points.write(path, self.rows)
            try:
                made = self._upscaled({**self.options, "points": str(path)}, progress)
            except CmsrError as error:
                raise type(error)(_named(str(error), path)) from error
        made.info["notes"] = [_named(note, path) for note in made.info["notes"]]
        return made

    def _upscaled(self, options: dict[str, Any], progress: Progress | None) -> Result:
        """Upscale a thermal camera's file as it is, with the photo in it; else the layers."""
        if (path := self._shared_file()) is not None:
            return cmsr.upscale(path, progress=progress, **options)
        notes: list[str] = []
        config = Config.of(**options)
        target = prepared(raster_of(self.target), config, notes)
        guide = None if self.guide is None else raster_of(self.guide)
        made = cmsr.upscale(target, guide, progress=progress, **options)
        made.info["notes"] = [*notes, *made.info["notes"]]
        return made

    def _shared_file(self) -> str | None:
        """Return the file that both layers come from, if it settles the result's size, too."""
        if self.guide is None or self.options.get("ratio") is not None:
            return None
        here, there = (layer.metadata.get(FILE) for layer in (self.target, self.guide))
        return here if here == there else None


def sharpen(
    target: Image,
    guide: Image | None = None,
    *,
    points_on_both: tuple[Points, Points] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> list[Image]:
    """Sharpen a layer with a photo's; return new layers that lie over the first.

    Parameters
    ----------
    target, guide : Image
        Layers; without a guide, ``ratio=`` says how much to enlarge.
    points_on_both : (Points, Points), optional
        The same places, in the same order, on the target and on the guide.
    progress : callable, optional
        Told the stage, step, number of steps and loss.
    **options
        Of `cmsr.upscale`.

    Returns
    -------
    list of Image
        With a guide, the moved guide and its weight; the expected error; last the sharpened image.

    Raises
    ------
    CmsrError
        If a layer or an option cannot be used.
    """
    rows = None
    if guide is not None and points_on_both is not None:
        rows = points.rows_of(target, guide, *points_on_both)
    return layers_of(Task(target, guide, rows, options).result(progress), target)


def _named(text: str, path: Path) -> str:
    """Return what is said of a file of points as said of the points."""
    return text.replace(str(path), "points")
