"""Tables of pairs: CSV files that name a target and its guide in each row."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from cmsr.errors import InputError

COLUMNS = ("name", "target", "guide")
"""Columns that every table must have."""

LARGEST = 2**30
"""Largest table, in bytes."""


def read_rows(
    table: str, content: bytes, columns: Sequence[str] = COLUMNS
) -> list[tuple[int, dict[str, str]]]:
    r"""Parse a table, of pairs by default.

    Parameters
    ----------
    table : str
        Path or URL, for messages.
    content : bytes
        UTF-8 text with a header that names at least these columns, separated by commas,
        semicolons or tabs.
    columns : sequence of str
        What every row must have.

    Returns
    -------
    list of (line, row)
        Line number in the file, and the row's values by column, stripped of spaces.

    Raises
    ------
    InputError
        If this is no such table, or one without rows.

    Examples
    --------
    >>> read_rows("pairs.csv", b"name,target,guide\na,a.tif, a.jpg\n")
    [(2, {'name': 'a', 'target': 'a.tif', 'guide': 'a.jpg'})]
    """
    if len(content) > LARGEST:
        raise InputError(f"{table}: is a table of more than {LARGEST >> 20} MB; split it")
    try:
        text = content.decode("utf-8-sig")
        reader = csv.DictReader(
            io.StringIO(text, newline=""), strict=True, delimiter=_separator(text, columns)
        )
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise InputError(
                f"{table}: has no column {', '.join(missing)}; the header must name at least "
                f"{','.join(columns)}"
            )
        rows = [
            (reader.line_num, {name: (row[name] or "").strip() for name in row if name})
            for row in reader
        ]
    except UnicodeDecodeError as error:
        raise InputError(
            f"{table}: is not UTF-8 text (byte {error.start}); a CSV file must be"
        ) from error
    except csv.Error as error:
        raise InputError(f"{table}: line {reader.line_num + 1}: {error}") from error
    if not rows:
        raise InputError(f"{table}: lists no pairs")
    return rows


def read_file(path: Path, columns: Sequence[str] = COLUMNS) -> list[tuple[int, dict[str, str]]]:
    """Parse a table in a file, see `read_rows`; InputError also where it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    return read_rows(str(path), content, columns)


def _separator(text: str, columns: Sequence[str]) -> str:
    """Return what separates the columns: the first of comma, semicolon, tab that finds them all."""
    header = text.partition("\n")[0]

    def finds(separator: str) -> bool:
        return {*columns} <= {name.strip(' "\r') for name in header.split(separator)}

    return next(filter(finds, ",;\t"), ",")
