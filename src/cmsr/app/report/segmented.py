"""The segments of a guide on a page: how far each was moved, in colours, and what is occluded."""

from __future__ import annotations

import numpy as np

from cmsr.app.report.image import Picture, photo
from cmsr.app.report.scale import WEIGHT_COLOURS, Scale
from cmsr.pictures import colour
from cmsr.registration.alignment import Alignment
from cmsr.registration.segment_map import draw_segments
from cmsr.registration.transforms import displacement

_SIDE = 900
"""Longer side of the picture, so that its lines are fine; more than the guide has, if need be."""


def segmented(alignment: Alignment) -> Picture | None:
    """Paint how far each place of the target's frame was moved; None where all was moved as one."""
    scale = _SIDE / max(alignment.size)
    size = round(alignment.size[0] * scale), round(alignment.size[1] * scale)
    if alignment.owners((2, 2)) is None:
        return None
    moved = displacement(alignment.grid(size).cpu(), alignment.size)[0].norm(dim=-1).numpy()
    colours = Scale.of(moved, "px", WEIGHT_COLOURS)
    painted = colour(moved, colours.low, colours.high, colours.colour_map)
    drawn = draw_segments(painted, alignment)
    return Picture(photo(drawn / np.float32(255)).uri, colours)
