"""Colour maps by name, those of matplotlib; `benchmarks/assets.py` writes their table."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

_FILE = Path(__file__).parent / "assets" / "colour_maps.npz"

_REVERSED = "_r"
"""Ending of a name that turns a map round."""


@cache
def names() -> frozenset[str]:
    """Return the names of all maps, but for those turned round."""
    with np.load(_FILE, allow_pickle=False) as table:
        return frozenset(table.files)


def known(name: str) -> bool:
    """Return whether a map has that name.

    >>> known("inferno"), known("inferno_r"), known("infernal")
    (True, True, False)
    """
    return name.removesuffix(_REVERSED) in names()


@cache
def colours(name: str) -> npt.NDArray[np.uint8]:
    """Return the colours of a map, (256, 3), sRGB, from low to high.

    >>> colours("gray_r")[:2].tolist()
    [[255, 255, 255], [254, 254, 254]]
    """
    with np.load(_FILE, allow_pickle=False) as table:
        found = np.asarray(table[name.removesuffix(_REVERSED)])
    found = found[::-1] if name.endswith(_REVERSED) else found
    found.setflags(write=False)
    return found
