"""Tasks of a worker: check a pair, upscale it, provide the example."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cmsr.app.batch.folder import find_pairs
from cmsr.app.demo.scene import street
from cmsr.app.job import Job
from cmsr.app.record import ratio_text
from cmsr.app.web import look as look_at
from cmsr.config import Config
from cmsr.errors import CmsrError
from cmsr.guided.calibrate import find_imaging
from cmsr.io import image_files, inputs, pages
from cmsr.io.result_size import check_size
from cmsr.progress import Progress
from cmsr.prologue import Opened, opened


class Description(NamedTuple):
    """A pair before the computation.

    Attributes
    ----------
    facts : list of (name, value)
        Sizes, types, ranges with units, ratio, kernel.
    notes : list of str
        Notes for the user.
    pixels : int
        Of the result; 0 if the pair is incomplete.
    parts : tuple of str
        Variables or pages of a target that holds several.
    overlay : str
        The placed photo and the target over it, as HTML.
    """

    facts: list[tuple[str, str]]
    notes: list[str]
    pixels: int = 0
    parts: tuple[str, ...] = ()
    overlay: str = ""


def look(
    folder: Path, target: Path, guide: Path | None, config: Config, *, progress: Progress
) -> str:
    """Return thumbnails of a pair's files as HTML; "" where they cannot be read."""
    with _inside(folder):
        try:
            if image_files.parts(target):
                return ""
            raster, own, _ = inputs.read_pair(target, guide, config)
        except CmsrError:  # `check` says it
            return ""
        shown = [look_at.target_thumbnail(raster)]
        if own is not None:
            name = guide.name if guide else f"the photo in {raster.name}"
            shown.append(look_at.photo_thumbnail(own, name))
        return "".join(thumbnail.html() for thumbnail in shown)


def check(
    folder: Path, target: Path, guide: Path | None, config: Config, *, progress: Progress
) -> Description:
    """Read a pair, named relative to ``folder``, and describe it."""
    with _inside(folder):
        parts = pages.parts(target)
        if parts:
            return Description([("Input", f"holds {len(parts)} images")], ["Choose one of them."],
                              parts=parts)  # fmt: skip
        return _description(target, guide, config)


def _description(target: Path, guide: Path | None, config: Config) -> Description:
    made = opened(target, guide, config)
    pair = made.pair
    check_size(made.target, pair.shape, config)
    imaging = find_imaging(made.source, made.kernel)
    facts = [("Input", look_at.described(made.target))]
    if made.guide is not None:
        facts.append(("Guide", f"{pair.shape[1]} × {pair.shape[0]} pixels"))
    facts += [
        ("Result", f"{pair.shape[1]} × {pair.shape[0]} pixels, ratio {ratio_text(*pair.ratio)}"),
        ("Kernel", f"{imaging.kernel}, confidence {imaging.confidence:.2f}"),
    ]
    every = [*made.notes, *imaging.notes]
    return Description(facts, every, pair.shape[0] * pair.shape[1], overlay=_overlay(made, config))


def _overlay(made: Opened, config: Config) -> str:
    """Return the placed photo with the target over it; "" without a photo."""
    if made.guide is None:
        return ""
    placed = made.placement
    where = f"Placed: {placed.text()}." if placed else "The photo covers the target's field."
    later = "" if config.align == "off" else " The run refines this."
    return look_at.overlay(made.target, made.guide, where + later)


def upscale(folder: Path, job: Job, *, progress: Progress) -> dict[str, Any]:
    """Run a job in ``folder``; return the record of the run."""
    with _inside(folder):
        return job.run(progress)[0]


def pairs(
    folder: Path, *, progress: Progress
) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
    """Return the pairs in a folder, (name, target, photo), and what has no partner, and why."""
    with _inside(folder):
        found = find_pairs(str(folder))
        rows = [(row.name, row.target, row.guide) for row in found.rows()]
        return rows, [(Path(name).name, why) for name, why in found.alone]


def example(folder: Path, *, progress: Progress) -> tuple[Path, Path]:
    """Write a pair to try into ``folder``: a thermal image in °C and a photo."""
    target, guide = folder / "thermal.tif", folder / "photo.png"
    scene = street()
    celsius = {"scales": [0.01], "offsets": [-273.15], "units": ["°C"]}
    image_files.write(
        target, scene.target, like=image_files.from_array(scene.target, "thermal", **celsius)
    )
    image_files.write(guide, scene.guide)
    return target, guide


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder, whose path errors do not reveal."""
    os.chdir(folder)
    try:
        yield
    except CmsrError as error:
        text = str(error)
        for path in (folder, Path.cwd()):
            text = text.replace(f"{path}/", "")
        raise CmsrError(text) from error
