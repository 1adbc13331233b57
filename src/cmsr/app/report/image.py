"""Arrays as pictures inside a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cmsr.app.report.packed import packed
from cmsr.app.report.scale import LEVELS, Scale, Values
from cmsr.pictures import thinned

LARGEST = 1600
"""Longest side of a photo in a page, in pixels; larger ones are thinned out."""

PAINTED = 720
"""The same for painted values: a page's script paints the values themselves over them."""

_JPEG_QUALITY = 85


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Attributes
    ----------
    uri : str
        The picture as a data URI.
    scale : Scale or None
        Values of its colours; None for a photo.
    """

    uri: str
    scale: Scale | None = None
    values: dict[str, Any] | None = None


def painted(
    values: Values, scale: Scale, quantum: float = 0.0, budget: int | None = None
) -> Picture:
    """Paint values (H, W) in the colours of a scale; NaN and infinities are transparent.

    ``quantum`` is the distance of two values that the file can hold, 0 for floating-point numbers;
    ``budget`` how many bytes they may take.
    """
    picture = painted_only(thinned(values, PAINTED), scale)
    return Picture(picture.uri, scale, packed(values, scale, quantum, budget))


def painted_only(values: Values, scale: Scale) -> Picture:
    """Paint values as `painted` does, without the values themselves, at their size."""
    picture = Image.fromarray(scale.levels(values))
    picture.putpalette([*scale.palette.ravel().tolist(), 128, 128, 128])
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True, transparency=LEVELS)
    return Picture(_uri("image/png", content), scale)


def photo(values: npt.NDArray[np.floating]) -> Picture:
    """Return a photo (H, W) or (H, W, 3) in [0, 1] as a picture."""
    pixels = np.rint(np.clip(thinned(values, LARGEST), 0, 1) * 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=_JPEG_QUALITY)
    return Picture(_uri("image/jpeg", content))


def _uri(kind: str, content: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
