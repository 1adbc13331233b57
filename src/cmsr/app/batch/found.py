"""The pairs found in a folder: as rows, as a CSV file, and as a table for people."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from cmsr.app.batch.table import Row
from cmsr.io.pair_table import COLUMNS

SHOWN = 20
"""Pairs, and files without a partner, that are shown at most."""

Why = Literal["names", "one file", "time"]


@dataclass(frozen=True)
class Match:
    """A pair, as paths in the folder, and what says so; ``photo`` is "" if the target holds it."""

    target: str
    photo: str
    why: Why


@dataclass
class Found:
    """Contents of a folder.

    Attributes
    ----------
    folder : str
        Its absolute path.
    pairs : list of Match
    alone : list of (str, str)
        Images without a partner, and why.
    """

    folder: str
    pairs: list[Match] = field(default_factory=list)
    alone: list[tuple[str, str]] = field(default_factory=list)

    def rows(self) -> list[Row]:
        """Return the pairs as rows of a table; paths are relative to the folder."""
        taken: set[str] = set()
        rows = []
        for line, pair in enumerate(self.pairs, start=2):
            name = _result_name(pair.target, taken)
            rows.append(Row(line, name, pair.target, pair.photo, os.path.dirname(pair.target)))
        return rows

    def as_table(self, place: str) -> bytes:
        """Return the pairs as a CSV file that is to lie in a folder ``place``."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*COLUMNS, "found_by"])
        for row, pair in zip(self.rows(), self.pairs, strict=True):
            files = [_seen_from(place, self.folder, file) for file in (pair.target, pair.photo)]
            writer.writerow([row.name, *files, pair.why])
        return text.getvalue().encode()

    def shown(self) -> str:
        """Return the pairs as a table for people, and what has no partner."""
        lines = [(pair.target, pair.photo or "(its own)", pair.why) for pair in self.pairs[:SHOWN]]
        table = [("target", "photo", "found by"), *lines]
        widths = [max(len(row[column]) for row in table) for column in range(2)]
        count = f"{len(self.pairs)} pair{'' if len(self.pairs) == 1 else 's'}"
        text = [f"{self.folder}: {count}, {len(self.alone)} images without a partner"]
        text += [f"  {a:{widths[0]}}  {b:{widths[1]}}  {c}".rstrip() for a, b, c in table]
        text += _more(len(self.pairs))
        text += [f"  no partner: {path} ({reason})" for path, reason in self.alone[:SHOWN]]
        return "\n".join(text + _more(len(self.alone)))


def natural(path: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts img2 before img10."""
    parts = re.findall(r"\d+|\D+", path)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def _result_name(target: str, taken: set[str]) -> str:
    """Return a name for a result that no other has: the target's without its ending."""
    stem, _, ending = target.rpartition(".")
    plain = re.sub(r'[:\\*?"<>|]', "_", stem or ending)
    name = next(name for name in _tried(plain, ending) if name.casefold() not in taken)
    taken.add(name.casefold())
    return name


def _tried(plain: str, ending: str) -> Iterator[str]:
    yield plain
    yield f"{plain}_{ending}"
    number = 2
    while True:
        yield f"{plain}_{number}"
        number += 1


def _seen_from(place: str, folder: str, file: str) -> str:
    """Return a file's path for a table in a folder: relative if it lies there, else absolute."""
    whole = os.path.join(folder, file) if file else ""
    inside = file and os.path.commonpath([place, whole]) == place
    return os.path.relpath(whole, place) if inside else whole


def _more(count: int) -> list[str]:
    return [f"  and {count - SHOWN} more"] if count > SHOWN else []
