"""The file results.json: all records of a comparison, see `results.schema.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cmsr.io.atomic import write_text
from cmsr_bench.records import Record

FORMAT = "cmsr-bench/1"
SCHEMA = Path(__file__).with_name("results.schema.json")
"""JSON Schema, draft 2020-12, of what `write_results` writes."""


def write_results(path: Path, records: Sequence[Record]) -> None:
    """Write records as one file, whole or not at all."""
    content: dict[str, Any] = {"format": FORMAT, "records": list(records)}
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
