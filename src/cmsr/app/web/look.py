"""Views of a pair before the computation: thumbnails, and the placed photo."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cmsr.app.record import of_file
from cmsr.app.report.image import Picture, painted_only, photo
from cmsr.app.report.scale import TARGET_COLOURS, Scale
from cmsr.io.guide_reader import GuideReader
from cmsr.io.inputs import Photo
from cmsr.io.raster import Raster
from cmsr.pictures import thinned
from cmsr.registration.far_search import reduced_size

SIDE = 640
"""Longer side of a thumbnail, in pixels."""


class Thumbnail(NamedTuple):
    """A file of a pair: its picture, what it was understood as, its size in pixels."""

    role: str
    name: str
    words: str
    picture: Picture
    size: tuple[int, int]

    def html(self) -> str:
        """Return the picture with its words; a click on it sets a point."""
        height, width = self.size
        return (
            f'<figure class="thumb" data-role="{self.role}" data-width="{width}" '
            f'data-height="{height}"><div class="frame"><img alt="{escape(self.name)}" '
            f'src="{self.picture.uri}"></div>'
            f"<figcaption><strong>{escape(self.name)}</strong> {escape(self.words)}</figcaption>"
            "</figure>"
        )


def target_thumbnail(target: Raster) -> Thumbnail:
    """Return the thumbnail of a target in colours."""
    values = target.in_unit(target.data[0], target.measured[0])
    picture = painted_only(
        thinned(values, SIDE), Scale.of(values, target.unit()[2], TARGET_COLOURS)
    )
    return Thumbnail("target", target.name, described(target), picture, target.shape)


def photo_thumbnail(guide: Photo, name: str) -> Thumbnail:
    """Return the thumbnail of a photo."""
    words = f"photo, {guide.shape[1]} × {guide.shape[0]} pixels"
    return Thumbnail("photo", name, words, photo(small(GuideReader(guide))), guide.shape)


def small(guide: GuideReader) -> npt.NDArray[np.float32]:
    """Return a guide (h, w) or (h, w, 3) at a thumbnail's size."""
    bands = guide.reduced(reduced_size(guide.shape, SIDE)).cpu().numpy()
    return np.asarray(np.moveaxis(bands[:3], 0, -1) if len(bands) >= 3 else bands[0])


def overlay(target: Raster, guide: GuideReader, words: str) -> str:
    """Return the placed photo with the target over it, whose share the visitor sets."""
    values = target.in_unit(target.data[0], target.measured[0])
    over = painted_only(thinned(values, SIDE), Scale.of(values, "", TARGET_COLOURS))
    ratio = f"{target.shape[1]} / {target.shape[0]}"
    return (
        f'<figure class="overlay"><div class="frame" style="aspect-ratio: {ratio}">'
        f'<img alt="the placed photo" src="{photo(small(guide)).uri}">'
        f'<img class="over" alt="the image over it" src="{over.uri}"></div>'
        '<label>image over the photo <input type="range" min="0" max="100" value="40" '
        'data-over></label> <button type="button" data-blink aria-pressed="false">Blink</button>'
        f"<figcaption>{escape(words)}</figcaption></figure>"
    )


def described(raster: Raster) -> str:
    """Return what an image is, its size, range and holes, in a person's words."""
    about = of_file(raster)
    scale, offset, unit = raster.unit()
    kind = "thermal image" if unit in ("°C", "K", "°F") else "image"
    bands = f" of {about['channels']} bands" if about["channels"] > 1 else ""
    parts = [f"{kind}{bands}, {about['size']} pixels, {about['type']}"]
    if about["minimum"] is not None:
        low, high = (scale * about[end] + offset for end in ("minimum", "maximum"))
        parts.append(f"{low:.4g} to {high:.4g} {unit}".rstrip())
    if not raster.valid.all():
        parts.append(f"{raster.measured.mean():.2%} of the pixels valid")
    return ", ".join(parts)
