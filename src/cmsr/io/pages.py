"""Files of several images: pages of a TIFF, frames of a recording, variables, arrays."""

from __future__ import annotations

import os
from typing import Any, TypeGuard

from cmsr.io import image_files, text_table
from cmsr.thermal import radiometric

PathLike = str | os.PathLike[str]


def has_header(source: Any) -> TypeGuard[PathLike]:
    """Tell whether `image_files.describe` reads its header: no array, no thermal camera's file."""
    if not isinstance(source, str | os.PathLike) or image_files.is_array(source):
        return False
    return not radiometric.holds(image_files.locate(source)[0])


def parts(path: PathLike) -> tuple[str, ...]:
    """Return the names of what a file of several images holds, for FILE:NAME."""
    file, member = image_files.locate(path)
    if radiometric.holds(file):
        count = 1 if member else radiometric.frames(file, str(path))
        return tuple(str(number + 1) for number in range(count)) if count > 1 else ()
    return image_files.parts(path)


def pages(target: Any) -> list[Any]:
    """Return the pages of a target: FILE:1, FILE:2, … of a TIFF or a recording, else itself."""
    if not isinstance(target, str | os.PathLike):
        return [target]
    file, member = image_files.locate(target)
    if member:
        count = 0
    elif text_table.holds(file):
        count = text_table.frames(file, os.fspath(target))
    elif has_header(target):
        count = len(image_files.describe(target).pages)
    else:
        count = radiometric.frames(file, os.fspath(target))
    if count < 2:
        return [target]
    return [f"{os.fspath(target)}:{page}" for page in range(1, count + 1)]


def nearest(place: int, count: int, most: int) -> list[int]:
    """Return the places of the nearest frames of a series, the nearest first, at most so many.

    >>> nearest(1, 5, 3)
    [0, 2, 3]
    """
    others = [other for other in range(count) if other != place]
    return sorted(others, key=lambda other: (abs(other - place), other))[:most]
