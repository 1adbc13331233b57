"""What a person sees of a batch: progress while it runs, and a summary at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

EVERY = 60.0
"""Seconds between two lines where there is no terminal for a bar."""

SHOWN = 10
"""Failures named in the summary at most."""


@dataclass
class Tally:
    """How far a run is.

    Attributes
    ----------
    total : int
        Pairs of the table.
    before : int
        Pairs that were done before.
    changed, new : int
        Pairs to be done again, and for the first time.
    done, unchanged : int
        Pairs computed in this run, and found to be the same as before.
    failed : list of (str, str)
        Names of the pairs that failed, and why.
    running, workers : int
        Pairs under way, and how many could be.
    """

    total: int
    before: int = 0
    changed: int = 0
    new: int = 0
    done: int = 0
    unchanged: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    running: int = 0
    workers: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> int:
        """Pairs of which nothing more is to be expected."""
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
        """Say what is to be done."""
        return (
            f"{_pairs(self.total)}: {self.before} done before, {self.changed} changed, "
            f"{self.new} new"
        )

    def line(self) -> str:
        """Say how far it is."""
        left = "–"
        if self.done:
            seconds = (self.total - self.over) * self.seconds / (self.done + self.unchanged)
            left = _duration(seconds)
        return (
            f"{self.over}/{self.total}, {len(self.failed)} failed, {self.running} running, "
            f"{self.pairs_per_hour:.0f} pairs/h, {left} left"
        )

    def summary(self, out: str) -> str:
        """Say how it went."""
        same = f", {self.unchanged} found unchanged" if self.unchanged else ""
        lines = [
            f"{out}: {_pairs(self.total)}, {self.before} done before, {self.done} done now{same}, "
            f"{len(self.failed)} failed; {_duration(self.seconds)}, "
            f"{self.pairs_per_hour:.0f} pairs/h"
        ]
        lines += [f"  failed: {name}: {error}" for name, error in self.failed[:SHOWN]]
        if len(self.failed) > SHOWN:
            lines.append(f"  and {len(self.failed) - SHOWN} more, in batch.jsonl")
        return "\n".join(lines)


class Watch:
    """Shows nothing; a base for what does."""

    def say(self, text: str) -> None:
        """Tell something once."""

    def show(self, tally: Tally) -> None:
        """Tell how far it is."""


class Lines(Watch):
    """Tells it in lines, now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr)

    def show(self, tally: Tally) -> None:
        """Print a line if the last one is old."""
        if time.monotonic() - self._last > EVERY:
            self._last = time.monotonic()
            self.say(tally.line())


class Bar(Watch):
    """Tells it in a bar that is always true."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bar = progress.add_task("", total=None)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False)

    def show(self, tally: Tally) -> None:
        """Move the bar."""
        line = tally.line().partition(", ")[2]
        self._progress.update(self._bar, total=tally.total, completed=tally.over, description=line)


@contextmanager
def watching(*, quiet: bool) -> Iterator[Watch]:
    """Hand out what fits the terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield Watch() if quiet else Lines()
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress)


def _pairs(count: int) -> str:
    return f"{count} pair" if count == 1 else f"{count} pairs"


def _duration(seconds: float) -> str:
    """Say how long in two units: 1 h 40 min, 3 min 20 s, 12 s."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
