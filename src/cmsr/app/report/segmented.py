"""The displacement of a guide's segments as a picture for a page."""

from __future__ import annotations

import numpy as np

from cmsr.app.report.image import Picture, photo
from cmsr.app.report.scale import WEIGHT_COLOURS, Scale
from cmsr.pictures import colour
from cmsr.registration.alignment import Alignment
from cmsr.registration.segment_map import draw_segments
from cmsr.registration.transforms import displacement

_SIDE = 900
"""Longer side of the picture, in pixels, whatever the guide's: lines need a certain size."""


def segmented(alignment: Alignment) -> Picture | None:
    """Paint the displacement of each place in the target's frame; None without segments."""
    scale = _SIDE / max(alignment.size)
    size = round(alignment.size[0] * scale), round(alignment.size[1] * scale)
    if alignment.owners((2, 2)) is None:
        return None
    moved = displacement(alignment.grid(size).cpu(), alignment.size)[0].norm(dim=-1).numpy()
    colours = Scale.of(moved, "px", WEIGHT_COLOURS)
    painted = colour(moved, colours.low, colours.high, colours.colour_map)
    drawn = draw_segments(painted, alignment)
    return Picture(photo(drawn / np.float32(255)).uri, colours)
