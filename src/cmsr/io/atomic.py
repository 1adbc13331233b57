"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cmsr.errors import OutputError


@contextmanager
def replacing(path: Path, *, fixed: bool = False) -> Iterator[Path]:
    """Provide a name beside ``path`` whose file replaces ``path`` if nothing is raised.

    Parameters
    ----------
    path : Path
        The final name.
    fixed : bool
        Whether the other name is the same each time, so that what a killed run left is replaced.

    Raises
    ------
    OutputError
        If the system refuses to write; nothing is left behind, and an old file is unchanged.
    """
    token = hashlib.sha256(path.name.encode()).hexdigest()[:8] if fixed else secrets.token_hex(4)
    temporary = path.with_name(f".{path.stem[:40]}.{token}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = str(error.strerror or error).replace(str(temporary), str(path))
        raise OutputError(f"{path}: cannot be written ({reason})") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all; raises OutputError as `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
