"""Receipts in the records of results, by which a later run recognises what need not be redone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from cmsr.app.batch.task import ERRORS, PAGE, PICTURE


@dataclass(frozen=True)
class Receipt:
    """Entry "batch" of a record.

    Attributes
    ----------
    key : str
        Digest of the inputs' content, the options and, in a series, the key of the frame before.
    settings : str
        Digest of the options alone.
    stamps : list of str or None
        Of the inputs, when they were read.
    size : int
        Of the output, in bytes.
    sha256 : str
        Of the output.
    previous : str or None
        Key of the frame before, in a series.
    found : dict
        State that the next frame may start from.
    report, preview, errors : int or None
        Bytes of the page, the picture and the expected errors; None where none were made.
    """

    key: str
    settings: str
    stamps: list[str | None]
    size: int
    sha256: str
    previous: str | None = None
    found: dict[str, Any] = field(default_factory=dict)
    report: int | None = None
    preview: int | None = None
    errors: int | None = None

    @property
    def sizes(self) -> dict[str, int | None]:
        """Bytes of the files beside the output, by their endings."""
        return {PAGE: self.report, PICTURE: self.preview, ERRORS: self.errors}

    @classmethod
    def of(cls, content: bytes) -> Self | None:
        """Read it from a record; None if that is damaged or not a batch's."""
        try:
            return cls(**json.loads(content)["batch"])
        except (ValueError, TypeError, KeyError):
            return None

    def added_to(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the record of a run with this receipt added."""
        return {**facts, "batch": asdict(self)}
