"""Digests of file contents."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest(path: Path) -> bytes:
    """Return the SHA-256 of a file, or of all files of a folder with their relative names.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    if not path.is_dir():
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").digest()
    whole = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        whole.update(str(file.relative_to(path)).encode() + digest(file))
    return whole.digest()
