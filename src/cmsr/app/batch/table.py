"""The table of a batch: its rows, checked as a whole before any work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cmsr.app import options
from cmsr.app.batch.storage import read_bytes
from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io.pair_table import COLUMNS, read_rows

SHEET, INDEX = "contact_sheet", "index"
"""Names of the contact sheet and of the page over the pages in the folder of results, without their
endings; no pair may have them."""

FAULTS = 5
"""Faults of one table that are named at most."""


@dataclass(frozen=True)
class Row:
    """One line of the table: the pair's name, its files as the table names them, its series."""

    line: int
    name: str
    target: str
    guide: str
    series: str
    ratio: str = ""

    @property
    def enlargement(self) -> float | tuple[float, float] | None:
        """The pair's own ratio; None where the column is empty or missing.

        Raises
        ------
        OptionError
            If it is not one number, or two.
        """
        words = re.sub(r"[x×;\s]+", ",", self.ratio)
        return Config.of(ratio=options.parse("ratio", words)).ratio if words else None


def read_table(url: str) -> list[Row]:
    """Read and check a table of pairs.

    Parameters
    ----------
    url : str
        Absolute path or URL of a table, see `cmsr.io.pair_table`, with a column "series" where
        frames of several cameras are in it.

    Raises
    ------
    InputError
        If it cannot be read, or a row cannot be used.
    """
    rows = [
        Row(line, *(row.get(column, "") for column in (*COLUMNS, "series", "ratio")))
        for line, row in read_rows(url, read_bytes(url))
    ]
    faults = list(_faults(rows))
    if faults:
        more = f"; and {len(faults) - FAULTS} more" if len(faults) > FAULTS else ""
        raise InputError(f"{url}: {'; '.join(faults[:FAULTS])}{more}")
    return rows


def _faults(rows: list[Row]) -> Iterator[str]:
    """Yield a message for everything that is wrong with the rows."""
    lines: dict[str, int] = {}
    for row in rows:
        where = f"line {row.line}: "
        if not row.name:
            yield f"{where}the name is empty"
            continue
        if not row.target:
            yield f"{where}the target of {row.name} is empty"
            continue
        try:
            row.enlargement  # noqa: B018 (only whether it can be read)
        except OptionError as error:
            yield f"{where}{error}"
        if problem := _problem_of_name(row.name):
            yield f"{where}the name {row.name[:80]!r} {problem}"
        first = lines.setdefault(row.name.casefold(), row.line)
        if first != row.line:
            yield f"{where}the name {row.name!r} is already used in line {first}"


def _problem_of_name(name: str) -> str | None:
    """Return why a name cannot name a file in the folder of results, or None."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or ":" in name:
        return "is not a plain relative path; outputs stay in the folder of results"
    if any(part in ("", ".", "..") for part in parts):
        return "leads out of the folder of results"
    if (
        any(part.startswith(".") for part in parts)
        or not name.isprintable()
        or name in (SHEET, INDEX)
    ):
        return "is reserved or not printable"
    if any(len(part.encode()) > 200 for part in parts) or len(name.encode()) > 800:
        return "is too long"
    return None
