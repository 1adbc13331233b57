"""Tasks of a worker: check a pair, upscale it, provide the example."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cmsr.app.demo.scene import street
from cmsr.app.job import Job
from cmsr.app.record import of_file, ratio_text
from cmsr.config import Config
from cmsr.errors import CmsrError
from cmsr.guided.calibrate import find_imaging
from cmsr.io import image_files, pages
from cmsr.io.raster import Raster
from cmsr.io.result_size import check_size
from cmsr.progress import Progress
from cmsr.prologue import opened


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
    """

    facts: list[tuple[str, str]]
    notes: list[str]
    pixels: int = 0
    parts: tuple[str, ...] = ()


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
    facts = [("Input", _described(made.target))]
    if made.guide is not None:
        facts.append(("Guide", f"{pair.shape[1]} × {pair.shape[0]} pixels"))
    facts += [
        ("Result", f"{pair.shape[1]} × {pair.shape[0]} pixels, ratio {ratio_text(*pair.ratio)}"),
        ("Kernel", f"{imaging.kernel}, confidence {imaging.confidence:.2f}"),
    ]
    every = [*made.notes, *imaging.notes]
    return Description(facts, every, pair.shape[0] * pair.shape[1])


def upscale(folder: Path, job: Job, *, progress: Progress) -> dict[str, Any]:
    """Run a job in ``folder``; return the record of the run."""
    with _inside(folder):
        return job.run(progress)[0]


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


def _described(raster: Raster) -> str:
    """Return size, type, range and share of valid pixels in one line."""
    about = of_file(raster)
    bands = f"{about['channels']} bands, " if about["channels"] > 1 else ""
    parts = [f"{about['size']} pixels", f"{bands}{about['type']}"]
    if about["minimum"] is not None:
        scale, offset, unit = raster.unit()
        low, high = (scale * about[end] + offset for end in ("minimum", "maximum"))
        parts.append(f"{low:.4g} to {high:.4g} {unit}".rstrip())
    if not raster.valid.all():
        parts.append(f"{about['valid']} valid")
    return ", ".join(parts)
