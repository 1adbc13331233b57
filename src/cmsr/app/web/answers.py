"""The page's answers: descriptions, progress and errors as HTML, and choices."""

from __future__ import annotations

import html
from typing import Any, NamedTuple

import gradio as gr

from cmsr.app.web import tasks

NO_PHOTO = ("--ratio", "or set the enlargement")
"""Error messages that mean that only the photo is missing."""


class Output(NamedTuple):
    """The outputs of a run: status and report as HTML, and three files to download."""

    status: str
    view: str
    result: Any
    picture: Any
    report: Any


def parts(names: tuple[str, ...] = ()) -> Any:
    """Return the choice of images in a file that holds several."""
    return gr.Dropdown(list(names), value=None, visible=bool(names))


def button(path: str | None) -> Any:
    """Return the button of a download; hidden without a file."""
    return gr.DownloadButton(value=path, visible=path is not None)


def working(elapsed: float, left: float, stage: str = "") -> str:
    """Return the seconds elapsed and left, and the stage, as HTML."""
    total = elapsed + left
    bar = f'<progress max="{total:.1f}" value="{elapsed:.1f}"></progress>' if left else ""
    rest = f", about {left:.0f} s left" if left >= 1 else ""
    doing = f": {html.escape(stage)}" if stage else ""
    return f"{bar}<p>Working for {elapsed:.0f} s{rest}{doing}.</p>"


def understood(found: tasks.Description) -> str:
    """Return the description of a pair, as HTML."""
    rows = "".join(
        f"<tr><th scope=row>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in found.facts
    )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in found.notes)
    return f'<table class="facts">{rows}</table>{notes}'


def refused(error: Exception) -> str:
    """Return an error as the command line prints it, as HTML."""
    line = " ".join(str(error).split())
    limited = any(option in line for option in ("--max-pixels", "--max-memory"))
    owner = "<p>That limit is the server's; who runs it can raise it.</p>" if limited else ""
    return f'<p class="refused" role="alert">cmsr: {html.escape(line)}</p>{owner}'
