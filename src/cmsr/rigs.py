"""Rigs: the geometry of two cameras from many of their pairs, kernel and noise of the sensor."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from cmsr.config import Config
from cmsr.errors import CmsrError, InputError
from cmsr.guided.calibrate import find_imaging
from cmsr.guided.source import Source
from cmsr.io import inputs
from cmsr.io.guide_reader import GuideReader
from cmsr.io.inputs import Photo
from cmsr.io.raster import Raster
from cmsr.operators.resampling import shape_of
from cmsr.pair import Pair
from cmsr.parallel import pooled
from cmsr.pictures import Panel, checkerboard, sheet
from cmsr.registration.framing import large, looked_at, placed_on, shows_same
from cmsr.registration.known_fields import known_field
from cmsr.registration.placement import Placement, Prior
from cmsr.registration.rig import Rig, placed_by_rig
from cmsr.registration.rig_search import Seen, shared

MOST_PAIRS = 30
"""Pairs that are looked at, evenly spaced: more hardly move the geometry."""

PROBED = 3
"""Pairs of which most must show another field, or no rig is needed."""

IMAGED = 5
"""Pairs that kernel and noise are measured on."""


class Files(NamedTuple):
    """A pair by its name, its target and its photo."""

    name: str
    target: inputs.Source
    guide: inputs.Source


def rig(pairs: Iterable[tuple[inputs.Source, inputs.Source]], **options: Any) -> Rig:
    """Find where the photos of two cameras fixed to each other show their targets.

    Parameters
    ----------
    pairs : iterable of (target, photo)
        Paths or arrays, as for `cmsr.upscale`; two pairs or more, of a scene each. Five do, of more
        than 30 some are used.
    **options
        ``field_of_view``, or any other field of `Config` that says how files are read.

    Returns
    -------
    Rig
        `Rig.write` gives the file that ``cmsr.upscale(target, photo, rig="rig.json")`` takes.

    Raises
    ------
    InputError
        If an image cannot be used, or the pairs agree on no geometry.
    OptionError
        If an option has no such value.

    Examples
    --------
    >>> import cmsr
    >>> cmsr.rig([("thermal_1.tif", "photo_1.jpg")])
    Traceback (most recent call last):
    cmsr.errors.InputError: a rig needs two pairs or more
    """
    named = ((_name(target, number), target, photo)
             for number, (target, photo) in enumerate(pairs, 1))  # fmt: skip
    return find_rig(named, Config(**options))


def find_rig(pairs: Iterable[tuple[str, inputs.Source, inputs.Source]], config: Config) -> Rig:
    """Find the geometry that the pairs of two cameras share, kernel and noise.

    Parameters
    ----------
    pairs : iterable of (name, target, photo)
        Two or more, of one scene each.
    config : Config
        How files are read.

    Raises
    ------
    InputError
        If a file cannot be read, or the pairs agree on no geometry.
    """
    some = evenly([Files(*pair) for pair in pairs], MOST_PAIRS)
    if len(some) < 2:
        raise InputError("a rig needs two pairs or more")
    seen = [_seen(files, config) for files in some]
    first = seen[0]
    field = known_field(config, shape_of(first.target), shape_of(first.photo))
    rig = pooled(lambda: shared(seen, Prior.of(field)))
    if rig is None:
        raise InputError("the pairs do not agree on where the photo shows the target")
    return _imaged(rig, some, config)


def rig_needed(
    pairs: Sequence[tuple[str, inputs.Source, inputs.Source]], config: Config
) -> Rig | None:
    """Return the rig of pairs whose photos show another field; None where there is none."""
    some = evenly([Files(*pair) for pair in pairs], MOST_PAIRS // 2)
    try:
        probed = [_seen(files, config) for files in evenly(some, PROBED)]
        if not all(large(shape_of(one.target), shape_of(one.photo)) for one in probed):
            return None
        same = sum(pooled(partial(shows_same, *one[1:])) for one in probed)
        return None if 2 * same > len(probed) else find_rig(some, config)
    except CmsrError:
        return None


def _name(target: inputs.Source, number: int) -> str:
    """Return what a pair is called in a rig's votes: its target's name, or its number."""
    return Path(target).stem if isinstance(target, str | os.PathLike) else f"pair {number}"


def evenly(some: Sequence[Files], most: int) -> list[Files]:
    """Return so many of a sequence at most, evenly spaced."""
    count = min(len(some), most)
    return [some[round(i * (len(some) - 1) / max(1, count - 1))] for i in range(count)]


def _read(files: Files, config: Config) -> tuple[Raster, Photo]:
    raster, photo, _ = inputs.read_pair(files.target, files.guide, config)
    if photo is None or photo.placed:
        raise InputError(f"{raster.name}: the files themselves already place the photo")
    return raster, photo


def _seen(files: Files, config: Config) -> Seen:
    raster, photo = _read(files, config)
    return Seen(files.name, *looked_at(raster, photo))


def _placed(rig: Rig, files: Files, config: Config) -> Source:
    """Return a pair with its photo placed by the rig, at the whole ratio that it gives."""
    raster, photo = _read(files, config)
    found: Placement = pooled(lambda: placed_by_rig(rig, *looked_at(raster, photo)))
    own = replace(rig, centre=_centre(found)).placement(raster.shape, photo.shape)
    ratio = max(1, round(math.sqrt(own.fineness[0] * own.fineness[1])))
    shape = ratio * raster.shape[0], ratio * raster.shape[1]
    reader = GuideReader(Photo.of(placed_on(photo.whole, own, shape)))
    return Source.of(Pair.of(raster, shape), reader, config)


def _centre(found: Placement) -> tuple[float, float]:
    return found.matrix[0][2] / found.photo[1], found.matrix[1][2] / found.photo[0]


def _imaged(rig: Rig, some: Sequence[Files], config: Config) -> Rig:
    """Add kernel and noise, from a few pairs that agree."""
    agreeing = {vote.name for vote in rig.votes if vote.verdict == "agrees"}
    kernels: Counter[str] = Counter()
    noises, ratios = [], []
    for files in evenly([each for each in some if each.name in agreeing], IMAGED):
        source = _placed(rig, files, config)
        imaging = pooled(partial(find_imaging, source, None))
        kernels[str(imaging.kernel)] += imaging.confidence  # type: ignore[assignment]
        noises.append(imaging.noise[0] * float(source.pair.scale.ravel()[0]))
        ratios.append(source.ratio)
    kernel, weight = kernels.most_common(1)[0]
    sure = weight > sum(kernels.values()) / 2 and len(set(ratios)) == 1
    return replace(
        rig, kernel=kernel if sure else None, ratio=ratios[0], noise=float(np.median(noises))
    )


def overlays(
    rig: Rig, pairs: Iterable[tuple[str, inputs.Source, inputs.Source]], config: Config
) -> Image.Image:
    """Return checkerboards of target and photo for the best and the worst pair."""
    votes = sorted(rig.votes, key=lambda vote: (vote.verdict == "agrees", vote.similarity))
    files = {pair[0]: Files(*pair) for pair in pairs}
    panels = []
    for title, vote in (("best", votes[-1]), ("worst", votes[0])):
        source = _placed(rig, files[vote.name], config)
        photo, _ = source.registered(source.whole, None)
        board = checkerboard(source.pair.target[0, 0].numpy(), photo.numpy())
        panels.append(Panel(f"{title}: {vote.name}, {vote.verdict}", board))
    return sheet([panels])
