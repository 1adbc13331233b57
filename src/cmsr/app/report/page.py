"""The report as an HTML document, and as a file."""

from __future__ import annotations

from pathlib import Path

from cmsr.app.record import of_run
from cmsr.app.report.contents import contents_of, evidence_of
from cmsr.app.report.names import plain_command
from cmsr.app.report.template import fill
from cmsr.errors import OutputError
from cmsr.guided.expected_error import SHARES, TIMES
from cmsr.io.atomic import write_text
from cmsr.result import Result


def check(path: Path) -> None:
    """Check before any work that a report can have this name.

    Raises
    ------
    OutputError
        If it does not end in .html.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{path}: a report is an HTML page; use a name that ends in .html")


def write(path: Path, result: Result, command: str = "") -> None:
    """Write a report, whole or not at all.

    Parameters
    ----------
    path : Path
        Ends in .html.
    result : Result
        With evidence.
    command : str
        The command that repeats the run.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_text(path, render(result, command))


def render(result: Result, command: str = "") -> str:
    """Return the whole report as one HTML document that needs nothing else."""
    contents = contents_of(result)
    return fill(
        contents.layers,
        title=Path(evidence_of(result).target.name).name,
        compared=contents.compared,
        contents=contents,
        command=plain_command(command),
        shown=contents.shown,
        nine_of_ten=TIMES[SHARES.index(0.9)],
        versions=of_run(result.info)["versions"],
    )
