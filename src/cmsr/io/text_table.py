"""Images as text: a number for each pixel, a line for each row, as thermal cameras export them.

Separators, decimal sign, header lines, labels of rows and columns, and the unit are found.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cmsr.errors import InputError
from cmsr.io.raster import Limits, Raster, from_array

ENDINGS = (".csv", ".tsv", ".txt")

_SNIFFED = 2**16
"""Bytes at the beginning that tell whether a file is such a table."""

_LARGEST = 2**29
"""Bytes of the largest file that is read."""

_LEAST = 4
"""Fewest rows and columns of an image."""

_INDEXED = 8
"""Fewest rows or columns whose numbers 0, 1, 2, … or 1, 2, 3, … are their labels."""

_OTHER = re.compile(rb"P[1-6]\s|<|\s*ncols|\s*ENVI|%|\{|\[", re.IGNORECASE)
"""Beginnings of other formats in text."""

_NUMBER = re.compile(r"\s*([+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?)\s*(?:°?\s*[CFK])?\s*")
_NONE = ("", "nan", "-", "--", "---", "na", "n/a", "null", "none")
_UNITS = {
    "°C": re.compile(r"°\s*C\b|deg(?:ree)?s?\s*C\b|celsius", re.IGNORECASE),
    "°F": re.compile(r"°\s*F\b|deg(?:ree)?s?\s*F\b|fahrenheit", re.IGNORECASE),
    "K": re.compile(r"\bkelvin\b|[\[(]K[\])]"),
}

Row = list[float] | None
Grid = npt.NDArray[np.float32]


class _Table(NamedTuple):
    """Rows of equally many numbers, the lines before them, and whether one of fewer follows."""

    rows: list[list[float]]
    header: list[str]
    cut: bool

    @property
    def size(self) -> int:
        return len(self.rows) * len(self.rows[0]) if self.rows else 0

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), len(self.rows[0])


def holds(path: Path) -> bool:
    """Tell whether a file is text that may be such a table, by its content and by its ending."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(_SNIFFED)
    text = _decoded(start)
    if text is None or _OTHER.match(start):
        return False
    if path.suffix.lower() in ENDINGS:
        return True
    whole = text.splitlines() if len(start) < _SNIFFED else text.splitlines()[:-1]
    return any(min(table.shape) >= _LEAST for table in _best(whole))


def read(path: Path, name: str, limits: Limits, member: str = "") -> Raster:
    """Read a table as an image (H, W) of float32 in the unit that its header names.

    Parameters
    ----------
    path, name : Path, str
        The file, and its name in messages.
    limits : Limits
        Larger images are refused.
    member : str
        Which of several tables of one size, the frames of a recording; the first is "1".

    Raises
    ------
    InputError
        If the file holds no such table, several and none is named, or too large a one.
    """
    tables = _tables_in(path, name)
    if not tables or min(tables[0].shape) < _LEAST:
        raise InputError(
            f"{name}: is not a table of numbers; expected one line for each row of the image, "
            f"with equally many numbers in each, at least {_LEAST} × {_LEAST}"
        )
    table = _chosen(tables, path, member)
    rows, cols = table.shape
    if table.cut:
        raise InputError(
            f"{name}: is truncated: line {rows + 1} of the table has fewer than {cols} numbers"
        )
    limits.check(name, table.shape, 4 * table.size)
    unit = _unit(table.header, "\n".join(tables[0].header)) or _unit_in_cells(path)
    grid = _without_labels(np.array(table.rows, np.float64)).astype(np.float32)
    return from_array(grid, name, **({"units": [unit]} if unit else {}))


def frames(path: Path, name: str) -> int:
    """Return how many images of one size a file holds.

    Raises
    ------
    InputError
        If it is too large.
    """
    return sum(min(table.shape) >= _LEAST for table in _tables_in(path, name))


def _chosen(tables: list[_Table], path: Path, member: str) -> _Table:
    """Return the table of a number, or the only one."""
    rows, cols = tables[0].shape
    number = int(member) if member.isdecimal() else 0
    if (not member and len(tables) == 1) or 1 <= number <= len(tables):
        return tables[max(number, 1) - 1]
    held = f"{len(tables)} tables" if len(tables) > 1 else "one table"
    raise InputError(
        f"{path}: holds {held} of {cols} × {rows} numbers, and no part ':{member}'"
        if member
        else f"{path}: holds {held} of {cols} × {rows} numbers; name one as {path}:1 to "
        f"{path}:{len(tables)}"
    )


def _tables_in(path: Path, name: str) -> list[_Table]:
    status = path.stat()
    if status.st_size > _LARGEST:
        raise InputError(f"{name}: is larger than {_LARGEST} bytes, too large for a table in text")
    return _parsed(path.absolute(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def _parsed(path: Path, _changed: int, _size: int) -> list[_Table]:
    """Return the tables of the largest size; kept, as frames are read one after the other."""
    return _best((_decoded(path.read_bytes()) or "").splitlines())


def _unit_in_cells(path: Path) -> str | None:
    with path.open("rb") as file:
        return _unit([], (_decoded(file.read(4096)) or "")[:4096])


def _decoded(content: bytes) -> str | None:
    """Decode text of a usual encoding; None of anything else."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if b"\0" in content or not content.strip():
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    strange = sum(not char.isprintable() and not char.isspace() for char in text)
    return text if strange <= len(text) / 1000 else None


def _best(lines: list[str]) -> list[_Table]:
    """Return the tables of the largest size, by the separator that gives the most numbers."""
    if all(not line.strip() for line in lines[1::2]):
        lines = lines[::2]
    found = list[_Table]()
    for separator in (";", "\t", ",", None):
        tables = list(_tables(lines, separator))
        largest = max((table.size for table in tables), default=0)
        if largest > (found[0].size if found else 0):
            found = [table for table in tables if table.shape == _largest(tables).shape]
    return found


def _largest(tables: list[_Table]) -> _Table:
    return max(tables, key=lambda table: table.size)


def _tables(lines: list[str], separator: str | None) -> Iterator[_Table]:
    """Yield each run of lines that have equally many numbers, two at least."""
    rows, start = list[list[float]](), 0
    for at, line in enumerate([*lines, ""]):
        row = _numbers(line, separator)
        if row is not None and (not rows or len(row) == len(rows[0])):
            rows.append(row)
            continue
        if rows:
            cut = row is not None and len(row) < len(rows[0])
            yield _Table(rows, lines[start : at - len(rows)], cut)
            start = at
        rows = [] if row is None else [row]


def _numbers(line: str, separator: str | None) -> Row:
    """Return the numbers of a line, NaN for an empty cell; None if it has others, or next to none.

    The first may be a label; empty cells at the end do not count.
    """
    if separator is not None and separator not in line:
        return None
    cells = _cells(line.strip(" \r\n"), separator)
    while cells and not cells[-1].strip():
        cells.pop()
    values = [_value(cell) for cell in cells]
    if values and values[0] is None:
        values = [float("nan"), *values[1:]]
    if len(values) < 2 or any(value is None for value in values):
        return None
    numbers = [float("nan") if value is None else value for value in values]
    return numbers if sum(value == value for value in numbers) * 2 >= len(numbers) else None


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _value(cell: str) -> float | None:
    """Return the number in a cell, with a decimal point or comma; NaN for none, None for words."""
    match = _NUMBER.fullmatch(cell)
    if match:
        return float(match[1].replace(",", "."))
    return float("nan") if cell.strip().lower() in _NONE else None


def _without_labels(grid: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Leave out empty first columns, and rows and columns that number the others."""
    while grid.shape[1] > _LEAST and np.isnan(grid[:, 0]).all():
        grid = grid[:, 1:]
    if _counts(grid[0, 1:]) and (np.isnan(grid[0, 0]) or _counts(grid[1:, 0])):
        return grid[1:, 1:]
    if _counts(grid[:, 0]):
        grid = grid[:, 1:]
    return grid[1:] if _counts(grid[0]) else grid


def _counts(values: npt.NDArray[np.float64]) -> bool:
    """Tell whether numbers are 0, 1, 2, … or 1, 2, 3, …."""
    places = np.arange(len(values))
    return (
        len(values) >= _INDEXED
        and values[0] in (0, 1)
        and bool((values - values[0] == places).all())
    )


def _unit(header: list[str], text: str) -> str | None:
    """Return the unit that the lines before a table name, or else its first cells."""
    for said in ("\n".join(header), text[:4096]):
        for unit, pattern in _UNITS.items():
            if pattern.search(said):
                return unit
    return None
