"""The page itself: contents into a template, and into a file."""

from __future__ import annotations

from pathlib import Path

from cmsr.app.record import of_run
from cmsr.app.report.contents import contents_of, evidence_of
from cmsr.app.report.template import fill
from cmsr.errors import OutputError
from cmsr.io.atomic import replacing
from cmsr.result import Result


def check(path: Path) -> None:
    """Find out before any work whether a report can have that name.

    Raises
    ------
    OutputError
        If it does not end in .html.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{path}: a report is a page; give a name that ends in .html")


def write(path: Path, result: Result, command: str = "") -> None:
    """Write a report, whole or not at all.

    Parameters
    ----------
    path : Path
        Ends in .html.
    result : Result
        One with evidence: not put together from windows.
    command : str
        What to type to repeat it.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    text = render(result, command)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render(result: Result, command: str = "") -> str:
    """Return the whole report as one HTML document that needs nothing else."""
    contents = contents_of(result)
    return fill(
        title=Path(evidence_of(result).target.name).name,
        compared=contents.compared,
        contents=contents,
        command=command,
        versions=of_run(result.info)["versions"],
    )
