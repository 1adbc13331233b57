"""The journal of a batch, batch.jsonl: events as JSON, one a line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from cmsr.app.batch import storage

RENEWED = 30.0
"""Seconds between two uploads of a journal to object storage, which cannot append."""


class Journal:
    """The journal of a folder of results; a run appends to those of earlier runs.

    Parameters
    ----------
    url : str
        Absolute path or URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._remote = storage.is_remote(url)
        self._content = b""
        if self._remote:
            with suppress(storage.MissingFileError):
                self._content = storage.read_bytes(url)
        self._written = 0.0

    def add(self, event: str, **facts: Any) -> None:
        """Add a line: the time, the event, and its facts."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **facts}) + "\n"
        if not self._remote:
            with storage.named(self.url), open(self.url, "a", encoding="utf-8") as file:
                file.write(line)
            return
        self._content += line.encode()
        if time.monotonic() - self._written > RENEWED:
            self.save()

    def save(self) -> None:
        """Upload the lines, where the journal is in object storage."""
        if self._remote and self._content:
            storage.write_bytes(self.url, self._content)
            self._written = time.monotonic()


@contextmanager
def opened(url: str) -> Iterator[Journal]:
    """Open a journal, and save it at the end, also after an error."""
    journal = Journal(url)
    try:
        yield journal
    finally:
        journal.save()
