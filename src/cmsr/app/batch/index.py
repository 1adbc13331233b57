"""The page over the pages of a batch: every pair with its picture, its figures and its warnings."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from cmsr.app.batch import sheet, storage
from cmsr.app.batch.table import INDEX, Row
from cmsr.app.batch.task import PAGE, Settings
from cmsr.app.summary import error_text
from cmsr.errors import CmsrError

PICTURES = 200
"""Pairs that are shown with a picture, at most: each is read again, and takes some kilobytes."""


@dataclass(frozen=True)
class Line:
    """One pair on the page.

    Attributes
    ----------
    name, link, picture : str
        ``link`` is "" where there is no page; ``picture`` a data URL, or "".
    target, guide : str
        Files, as the table names them.
    size : str
        Of the result.
    used : float or None
        How far the photo counted, 0 to 1.
    error : str
        Mean expected error with its unit; "" where nobody knows.
    seconds : float or None
    remarks : list of str
        Warnings, or why it failed.
    failed : bool
    """

    name: str
    target: str
    guide: str
    link: str = ""
    picture: str = ""
    size: str = ""
    used: float | None = None
    error: str = ""
    seconds: float | None = None
    remarks: Sequence[str] = ()
    failed: bool = False


def write(out: str, rows: Sequence[Row], settings: Settings, failed: Mapping[str, str]) -> None:
    """Write the page.

    Parameters
    ----------
    out : str
        Folder of results, absolute path or URL.
    rows : sequence of Row
        All pairs.
    settings : Settings
        Of the batch.
    failed : mapping of str to str
        Why pairs failed, by name.
    """
    lines = [
        _line(row, out, settings, failed.get(row.name), pictured=number < PICTURES)
        for number, row in enumerate(rows)
    ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    done = sum(not line.failed and bool(line.size) for line in lines)
    page = environment.get_template("index.html").render(
        title=re.split(r"[/\\]", out)[-1], lines=lines, done=done,
        failed=sum(line.failed for line in lines), total=len(lines),
    )  # fmt: skip
    storage.write_bytes(f"{out}/{INDEX}.{PAGE}", page.encode())


def _line(row: Row, out: str, settings: Settings, why: str | None, *, pictured: bool) -> Line:
    if why is not None:
        return Line(row.name, row.target, row.guide, remarks=[why], failed=True)
    place = f"{out}/{row.name}"
    try:
        facts: dict[str, Any] = json.loads(storage.read_bytes(f"{place}.json"))
        height, width = facts["size"]
    except (CmsrError, ValueError, KeyError):
        return Line(row.name, row.target, row.guide, remarks=["not done"])
    return Line(
        row.name, row.target, row.guide,
        link=quote(f"{row.name}.{PAGE}"),
        picture=_picture(f"{place}.{settings.ending}") if pictured else "",
        size=f"{width} × {height}",
        used=(facts.get("guide_used") or {}).get("weight"),
        error=error_text(facts.get("expected_error")),
        seconds=facts.get("seconds"),
        remarks=facts.get("warnings", ()),
    )  # fmt: skip


def _picture(result: str) -> str:
    """Return a small picture of a result as a data URL; "" if it cannot be read."""
    try:
        picture = Image.fromarray(sheet.thumbnail(result))
    except CmsrError:
        return ""
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
