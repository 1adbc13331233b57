"""Progress of a batch on the terminal, and its summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cmsr.app.progress import as_lines, duration, print_line
from cmsr.app.terminal_line import TerminalLine, bar, terminal_line
from cmsr.result import NEARLY

EVERY = 60.0
"""Seconds between two lines of progress where there is no terminal for a bar."""

SHOWN = 10
"""Failures in the summary, at most."""


@dataclass
class Tally:
    """Counts of a run.

    Attributes
    ----------
    total : int
        Pairs of the table.
    before : int
        Pairs that were done before.
    changed, new, missing : int
        Pairs to be done again, for the first time, and not at all because they lack a file.
    done, unchanged : int
        Pairs computed in this run, and found to be the same as before.
    failed : list of (str, str)
        Names of the pairs that failed, and why.
    photos : list of float
        How far the photo counted in each pair of this run that has one, 0 to 1.
    running, workers : int
        Pairs under way, and how many could be.
    """

    total: int
    before: int = 0
    changed: int = 0
    new: int = 0
    missing: int = 0
    done: int = 0
    unchanged: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    photos: list[float] = field(default_factory=list)
    running: int = 0
    workers: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> int:
        """Pairs that are finished, in this run or before, or failed."""
        return self.before + self.done + self.unchanged + len(self.failed)

    @property
    def seconds(self) -> float:
        """Time since the work began."""
        return time.monotonic() - self.started

    @property
    def pairs_per_hour(self) -> float:
        """Pairs computed per hour of this run."""
        return 3600 * self.done / self.seconds if self.seconds else 0.0

    def planned(self) -> str:
        """Return a line on the work ahead."""
        lost = f", {self.missing} without a file" if self.missing else ""
        return (
            f"{_pairs(self.total)}: {self.before} done before, {self.changed} changed, "
            f"{self.new} new{lost}"
        )

    def line(self) -> str:
        """Return a line on the progress."""
        left = "–"
        if self.done:
            seconds = (self.total - self.over) * self.seconds / (self.done + self.unchanged)
            left = duration(seconds)
        return (
            f"{self.over}/{self.total}, {len(self.failed)} failed, {self.running} running, "
            f"{self.pairs_per_hour:.0f} pairs/h, {left} left"
        )

    def summary(self, out: str) -> str:
        """Return a line on the finished run, and one for each of the first failures."""
        same = f", {self.unchanged} found unchanged" if self.unchanged else ""
        left = f", {self.total - self.over} not done" if self.total > self.over else ""
        lines = [
            f"{out}: {_pairs(self.total)}, {self.before} done before, {self.done} done now{same}, "
            f"{len(self.failed)} failed{left}; {duration(self.seconds)}, "
            f"{self.pairs_per_hour:.0f} pairs/h"
        ]
        if self.photos:
            mean = sum(self.photos) / len(self.photos)
            without = sum(share < NEARLY for share in self.photos)
            lines.append(
                f"  photos used for {mean:.0%} on average; "
                f"{without} of {len(self.photos)} results made without the photo"
            )
        lines += [f"  failed: {name}: {error}" for name, error in self.failed[:SHOWN]]
        if len(self.failed) > SHOWN:
            lines.append(f"  and {len(self.failed) - SHOWN} more, in batch.jsonl")
        return "\n".join(lines)


class Display:
    """Shows nothing; base class of the displays of a batch's progress."""

    def say(self, text: str) -> None:
        """Show a message."""

    def show(self, tally: Tally) -> None:
        """Show the progress."""


class LineDisplay(Display):
    """Prints the progress in a line now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def say(self, text: str) -> None:
        """Print a message."""
        print(text, file=sys.stderr)

    def show(self, tally: Tally) -> None:
        """Print the progress, unless it was printed less than `EVERY` seconds ago."""
        if time.monotonic() - self._last > EVERY:
            self._last = time.monotonic()
            self.say(tally.line())


class ProgramDisplay(LineDisplay):
    """Prints the progress in lines for a program, whenever it changes."""

    def show(self, tally: Tally) -> None:
        """Print the progress."""
        print_line(tally.over / max(1, tally.total), tally.line())


class BarDisplay(Display):
    """Shows the progress in a bar."""

    def __init__(self, line: TerminalLine) -> None:
        self._line = line

    def say(self, text: str) -> None:
        """Print a message above the bar."""
        self._line.say(text)

    def show(self, tally: Tally) -> None:
        """Move the bar."""
        drawn = bar(tally.over / max(1, tally.total), sys.stderr.encoding)
        self._line.show(f"{drawn} {tally.line()}")


@contextmanager
def display(*, quiet: bool) -> Iterator[Display]:
    """Open the display that fits the terminal, or the program that reads the progress."""
    if not quiet and as_lines():
        yield ProgramDisplay()
        return
    if quiet or not sys.stderr.isatty():
        yield Display() if quiet else LineDisplay()
        return
    with terminal_line() as line:
        yield BarDisplay(line)


def _pairs(count: int) -> str:
    return f"{count} pair" if count == 1 else f"{count} pairs"
