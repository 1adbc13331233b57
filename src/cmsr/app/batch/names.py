"""File names: whether they mean the sensor's image or the photo, and of which shot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Role = Literal["target", "photo"]

_WORDS: dict[str, Role] = {
    **dict.fromkeys(("thermal", "therm", "thm", "thrm", "temperature", "radiometric"), "target"),
    **dict.fromkeys(("ir", "irx", "infrared", "nir", "swir", "mwir", "lwir", "tir"), "target"),
    **dict.fromkeys(("depth", "disparity", "disp", "target"), "target"),
    **dict.fromkeys(("rgb", "vis", "visible", "visual", "photo", "color", "colour"), "photo"),
    **dict.fromkeys(("guide", "eo", "optical", "wide", "zoom"), "photo"),
}  # fmt: skip
"""Words in the names of files and folders."""

_FIRST: dict[str, Role] = {"dc": "photo", "max": "photo", "t": "target", "v": "photo"}
"""Words that mean so only at the beginning: DC_0001 (FLIR), MAX_0001 (Autel)."""

_LAST: dict[str, Role] = {"t": "target", "w": "photo", "v": "photo", "z": "photo"}
"""Letters that mean so only at the end."""

_DJI: dict[str, Role] = {**_LAST, "r": "target", "d": "photo"}
"""Letters of DJI's names, DJI_…_0001_T_site; R is radiometric, D the colour camera of M3M."""

_BANDS = ("g", "r", "re", "nir")
"""Bands of DJI's multispectral cameras, after MS."""

_LONG = tuple(word for word in _WORDS if len(word) > 6)
"""Words that are recognised inside others: cropinfrared."""

_SPARE = ("z", "zoom")
"""Photos that show less than the others of a shot, and are taken last."""

_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_TIME = re.compile(r"(?<!\d)(20\d{6})[_-]?([0-2]\d[0-5]\d[0-5]\d)(?!\d)")


@dataclass(frozen=True)
class Name:
    """The meaning of a path relative to the folder that is searched.

    Attributes
    ----------
    role : {"target", "photo"} or None
        What the file's own name says.
    folder_role : {"target", "photo"} or None
        What its folders say.
    shot : tuple of str
        The other words of its name; equal for the images of one shot.
    folder, scene : tuple of str
        Its folders without those words, and without the folders that hold one.
    spare : bool
        Whether it is a photo that is taken only if there is no other.
    time : float or None
        In seconds, where the name has one. Of DJI's names it is not in ``shot``: the images of a
        shot may be saved in two seconds.
    """

    role: Role | None
    folder_role: Role | None
    shot: tuple[str, ...]
    folder: tuple[str, ...]
    scene: tuple[str, ...]
    spare: bool = False
    time: float | None = None


def understood(path: str) -> Name:
    """Read a path, relative to the folder that is searched, with "/" between its parts.

    >>> understood("a/DJI_20240501120000_0007_T.JPG").shot, understood("DJI_0007_W.JPG").role
    (('dji', '0007'), 'photo')
    >>> understood("rgb/0001.png").folder_role, understood("frame3Thermal.png").shot
    ('photo', ('frame', '3'))
    """
    *folders, file = path.split("/")
    stem = file.rsplit(".", 1)[0]
    found = _TIME.search(stem)
    if stem.casefold().startswith("dji") and found:
        stem = stem.replace(found[0], " ", 1)
    words = [word.casefold() for word in _PIECES.findall(stem)]
    role, shot = _read(words)
    folder_role, folder, scene = None, [], []
    for part in folders:
        inside, rest = _read([word.casefold() for word in _PIECES.findall(part)], folder=True)
        folder_role = inside or folder_role
        folder.append(" ".join(rest))
        scene.append("" if inside else " ".join(rest))
    return Name(
        role, folder_role, tuple(shot), tuple(folder), tuple(scene),
        spare=any(word in _SPARE for word in words), time=_seconds(found),
    )  # fmt: skip


def _read(words: Sequence[str], *, folder: bool = False) -> tuple[Role | None, list[str]]:
    """Return what words say, the last one first, and those that say nothing."""
    role: Role | None = None
    rest: list[str] = []
    dji = words[:1] == ["dji"]
    for place, word in enumerate(words):
        meaning = _WORDS.get(word)
        if not folder and len(words) > 1:
            first = _FIRST if place == 0 else {}
            last = _LAST if place == len(words) - 1 else {}
            meaning = meaning or first.get(word) or last.get(word)
            if dji and place:
                after_ms = words[place - 1] == "ms" and word in _BANDS
                meaning = "target" if after_ms or word == "ms" else meaning or _DJI.get(word)
        long = next((part for part in _LONG if part in word), None)
        if meaning is None and long:
            meaning = _WORDS[long]
            rest.append(word.replace(long, ""))
        elif meaning is None:
            rest.append(word)
        role = meaning or role
    return role, rest


def _seconds(found: re.Match[str] | None) -> float | None:
    if found is None:
        return None
    try:
        return datetime.strptime(found[1] + found[2], "%Y%m%d%H%M%S").timestamp()
    except (ValueError, OverflowError, OSError):
        return None
