"""One line at the foot of a terminal that is drawn anew while work goes on, and its bar."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

WIDTH = 32
"""Characters of a bar."""

_DONE, _LEFT = ("━", "#"), ("─", "-")
"""Characters of a bar, and those for terminals whose encoding lacks them."""


class TerminalLine:
    """The line; no control characters but the carriage return, so it works on every terminal."""

    def __init__(self) -> None:
        self._shown = ""

    def show(self, text: str) -> None:
        """Draw a text in place of the last, cut to the window."""
        text = text[: shutil.get_terminal_size().columns - 1]
        if text != self._shown:
            self._put(text + " " * (len(self._shown) - len(text)))
            self._shown = text

    def say(self, text: str) -> None:
        """Print a message above the line."""
        shown = self._shown
        self.clear()
        print(text, file=sys.stderr)
        self._put(shown)
        self._shown = shown

    def clear(self) -> None:
        """Leave an empty line."""
        self._put(" " * len(self._shown))
        self._put("")
        self._shown = ""

    def _put(self, text: str) -> None:
        print(f"\r{text}", end="", file=sys.stderr, flush=True)


@contextmanager
def terminal_line() -> Iterator[TerminalLine]:
    """Provide a line, which is empty again in the end."""
    line = TerminalLine()
    try:
        yield line
    finally:
        line.clear()


def bar(share: float, encoding: str | None = "utf-8") -> str:
    """Draw how far the work is, 0 to 1.

    >>> bar(0.5), bar(0.25, "ascii")
    ('━━━━━━━━━━━━━━━━────────────────', '########------------------------')
    """
    try:
        (_DONE[0] + _LEFT[0]).encode(encoding or "ascii")
        done, left = _DONE[0], _LEFT[0]
    except UnicodeEncodeError:
        done, left = _DONE[1], _LEFT[1]
    full = round(min(max(share, 0.0), 1.0) * WIDTH)
    return done * full + left * (WIDTH - full)
