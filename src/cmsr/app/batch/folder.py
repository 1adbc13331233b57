"""The pairs in a folder: by the names that cameras give, by what is inside, by the time."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cmsr.app.batch import contents, names
from cmsr.app.batch.contents import Content
from cmsr.app.batch.found import Found, Match, natural
from cmsr.app.batch.names import Name, Role
from cmsr.app.batch.worklist import JOURNAL
from cmsr.errors import InputError

APART = 2.0
"""Seconds between the images of one shot, at most."""

MOST = 1_000_000
"""Files of a folder that are looked at, at most."""


@dataclass
class File:
    """An image in the folder: its path there, what its name says, and what is inside."""

    path: str
    name: Name
    folder: Path
    by_folder: bool = False

    @cached_property
    def content(self) -> Content:
        """Its contents; read when they are asked for."""
        return contents.look(self.folder / self.path)

    @property
    def role(self) -> Role | None:
        """Sensor's image or photo, by its name, its folder, or what is inside."""
        return self.name.role or (self.name.folder_role if self.by_folder else self.content.role)

    @property
    def time(self) -> float | None:
        """When it was taken, in seconds."""
        return self.name.time if self.content.time is None else self.content.time


def find_pairs(folder: str, out: str = "") -> Found:
    """Find the pairs in a folder and the folders in it.

    Parameters
    ----------
    folder, out : str
        Absolute paths; ``out``, and other folders of results, are not searched.

    Raises
    ------
    InputError
        If there is no pair.
    """
    found = Found(folder)
    files = _images(folder, out, found.alone)
    _trust_folders(files)
    left = [file for file in files if file.role is not None]
    found.alone += [(file.path, "cannot be read") for file in files if file.role is None]
    spare: list[File] = []
    for step in (_by_names(lambda name: name.folder), _in_one_file,
                 _by_names(lambda name: name.scene, unique=True), _by_time):  # fmt: skip
        matches, more = step(left)
        found.pairs += matches
        spare += more
        used = {path for match in matches for path in (match.target, match.photo)}
        used |= {file.path for file in more}
        left = [file for file in left if file.path not in used]
    found.pairs.sort(key=lambda pair: natural(pair.target))
    found.alone += [(file.path, "another photo of the same shot is used") for file in spare]
    found.alone += [(file.path, f"{_KINDS[file.role]} alone") for file in left if file.role]
    found.alone.sort(key=lambda alone: natural(alone[0]))
    if not found.pairs:
        raise InputError(_nothing_in(found))
    return found


_KINDS: dict[Role, str] = {"target": "a sensor's image", "photo": "a photo"}

Step = tuple[list[Match], list[File]]


def _nothing_in(found: Found) -> str:
    example = f", for example {found.alone[0][0]} ({found.alone[0][1]})" if found.alone else ""
    return (
        f"{found.folder}: holds no pairs: {len(found.alone)} images without a partner{example}; "
        "list them in a CSV file with the header name,target,guide"
    )


def _images(folder: str, out: str, alone: list[tuple[str, str]]) -> list[File]:
    """List the images in a folder; links that lead out of it go to ``alone``."""
    root, whole = Path(folder), os.path.realpath(folder)
    files: list[File] = []
    for count, path in enumerate(_walked(folder, out)):
        if count >= MOST:
            raise InputError(f"{folder}: holds more than {MOST} files; list pairs in a CSV file")
        if os.path.islink(f"{folder}/{path}"):
            real = os.path.realpath(f"{folder}/{path}")
            if os.path.commonpath([whole, real]) != whole:
                alone.append((path, "a link that leads out of the folder"))
                continue
        if (root / path).is_file() and contents.kind_of(root / path) is not None:
            files.append(File(path, names.understood(path), root))
    return files


def _walked(folder: str, out: str) -> Iterator[str]:
    """Yield the files below a folder, without hidden ones, links to folders, and results."""
    for place, folders, files in os.walk(folder):
        if JOURNAL in files and place != folder:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders
                            if not name.startswith(".") and f"{place}/{name}" != out)  # fmt: skip
        for name in sorted(files):
            if not name.startswith(".") and name.isprintable():
                yield os.path.relpath(f"{place}/{name}", folder).replace(os.sep, "/")


def _trust_folders(files: Iterable[File]) -> None:
    """Believe the name of a folder where there is one of the other kind beside it."""
    kinds = {(file.name.scene, file.name.folder_role) for file in files}
    for file in files:
        other: Role = "photo" if file.name.folder_role == "target" else "target"
        file.by_folder = file.name.folder_role is not None and (file.name.scene, other) in kinds


def _by_names(
    place: Callable[[Name], tuple[str, ...]], *, unique: bool = False
) -> Callable[[list[File]], Step]:
    """Return the step that pairs images of one shot, by name, in one place.

    ``unique``: only where the sensor's images, and the photos, lie in one folder each.
    """

    def step(files: list[File]) -> Step:
        shots: dict[object, dict[Role, list[File]]] = {}
        for file in files:
            shot = shots.setdefault((place(file.name), file.name.shot), {"target": [], "photo": []})
            shot[file.role or "photo"].append(file)
        matches: list[Match] = []
        spare: list[File] = []
        for shot in shots.values():
            if unique and any(len({os.path.dirname(file.path) for file in kind}) > 1
                              for kind in shot.values()):  # fmt: skip
                continue
            pairs = [(target, photo) for target in shot["target"]
                     if (photo := _best(target, shot["photo"])) is not None]  # fmt: skip
            matches += [Match(target.path, photo.path, "names") for target, photo in pairs]
            used = {photo.path for _, photo in pairs}
            times = [target.name.time for target, _ in pairs]
            spare += [photo for photo in shot["photo"] if photo.path not in used
                      and any(_together(time, photo.name.time) for time in times)]  # fmt: skip
        return matches, spare

    return step


def _together(one: float | None, other: float | None) -> bool:
    """Tell whether two times, where both are known, are those of one shot."""
    return one is None or other is None or abs(one - other) <= APART


def _best(target: File, photos: list[File]) -> File | None:
    """Return the photo of a target's shot that shows most, and is nearest in time."""
    near = [photo for photo in photos if _together(target.name.time, photo.name.time)]
    moment = target.name.time or 0.0
    return min(near, default=None, key=lambda photo: (
        photo.name.spare, abs((photo.name.time or moment) - moment), photo.path))  # fmt: skip


def _in_one_file(files: list[File]) -> Step:
    """Pair the files that hold both images."""
    whole = [file for file in files if file.role == "target" and file.content.complete]
    return [Match(file.path, "", "one file") for file in whole], []


def _by_time(files: list[File]) -> Step:
    """Pair images that were taken within `APART` seconds, the nearest first."""
    photos = sorted((file.time, file.path) for file in files
                    if file.role == "photo" and file.time is not None)  # fmt: skip
    times = [time for time, _ in photos]
    near = sorted(
        (abs(target.time - time), os.path.dirname(target.path) != os.path.dirname(path),
         natural(target.path), natural(path), target.path, path)
        for target in files if target.role == "target" and target.time is not None
        for time, path in photos[bisect_left(times, target.time - APART):
                                 bisect_right(times, target.time + APART)]
    )  # fmt: skip
    matches: list[Match] = []
    used: set[str] = set()
    for *_, target_path, photo_path in near:
        if not used & {target_path, photo_path}:
            used |= {target_path, photo_path}
            matches.append(Match(target_path, photo_path, "time"))
    return matches, []
