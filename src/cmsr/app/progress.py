"""Progress of a command on the terminal: its stage and the time left."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cmsr.app.terminal_line import bar, terminal_line
from cmsr.progress import (
    ALIGNING,
    KERNEL,
    PLACING,
    READING,
    SOLVING,
    TRAINING,
    VALIDATING,
    WRITING,
)

if TYPE_CHECKING:
    from cmsr.progress import Progress

COSTS = {
    READING: 0.05, PLACING: 0.1, KERNEL: 0.1, ALIGNING: 0.4, VALIDATING: 0.25, WRITING: 0.02,
}  # fmt: skip
"""Time of each stage beside that of a tile (benchmarks/stages.py)."""

ONLY_TILE = 0.02
"""Time of a result's only tile beside that: the stages before it have made nearly all of it."""

KNOWN = 0.05
"""Share of the work from which its own time tells how much is left."""

VARIABLE = "CMSR_PROGRESS"
"""Environment variable by which a program asks for lines that it can read: ``lines``."""


class Work:
    """The stages of a run, as they are told, and the time that is left."""

    def __init__(self) -> None:
        self.stage, self.step, self.steps, self.loss = "starting", 0, 1, 0.0
        self._began = time.monotonic()
        self._tiles, self._stage_began = 1, self._began

    def told(self, stage: str, step: int, steps: int, loss: float) -> None:
        """Take note of what the work tells, as a `Progress`."""
        if stage != self.stage:
            self._stage_began = time.monotonic()
        self.stage, self.step, self.steps, self.loss = stage, step, steps, loss
        if stage == SOLVING:
            self._tiles = steps

    @property
    def share(self) -> float:
        """Share of the work that is done, 0 to 1; of a training, that of its steps."""
        if self.stage != SOLVING and self.stage not in COSTS:
            return self.step / max(1, self.steps)
        costs = {**COSTS, SOLVING: self._tiles if self._tiles > 1 else ONLY_TILE}
        order = (READING, PLACING, KERNEL, ALIGNING, VALIDATING, SOLVING, WRITING)
        done = sum(costs[stage] for stage in order[: order.index(self.stage)])
        here = costs[self.stage] * self.step / max(1, self.steps)
        return (done + here) / sum(costs.values())

    @property
    def left(self) -> float | None:
        """Seconds left, by the time that the work took so far; None while that tells nothing."""
        share = self.share
        began = self._stage_began if self.stage == TRAINING else self._began
        return (time.monotonic() - began) * (1 - share) / share if share > KNOWN else None

    def text(self) -> str:
        """Return what is being done.

        >>> work = Work()
        >>> work.told("solving", 3, 12, 0.0)
        >>> work.text()
        'solving 3 of 12 tiles'
        """
        if self.steps < 2:
            return self.stage
        what = " tiles" if self.stage == SOLVING else ""
        loss = f", loss {self.loss:.4f}" if self.loss else ""
        return f"{self.stage} {self.step} of {self.steps}{what}{loss}"


def as_lines() -> bool:
    """Return whether a program reads the progress."""
    return os.environ.get(VARIABLE) == "lines"


def print_line(share: float, text: str) -> None:
    """Print how far the work is, 0 to 1, and what is being done, for a program."""
    print(f"progress: {share:.3f} {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress_bar(quiet: bool) -> Iterator[Progress | None]:
    """Show the stage, a bar and the time left, if there is a terminal, or lines if asked for."""
    if not quiet and as_lines():
        yield _line_by_line()
        return
    if quiet or not sys.stderr.isatty():
        yield None
        return
    work = Work()
    with terminal_line() as line:
        line.show(work.text())

        def show(stage: str, step: int, steps: int, loss: float) -> None:
            work.told(stage, step, steps, loss)
            left = "" if work.left is None else f"about {duration(work.left)} left"
            line.show(f"{work.text()} {bar(work.share, sys.stderr.encoding)} {left}")

        yield show


def _line_by_line() -> Progress:
    """Return what prints a line whenever the work gets ahead."""
    work = Work()

    def show(stage: str, step: int, steps: int, loss: float) -> None:
        work.told(stage, step, steps, loss)
        if stage != SOLVING or step:  # the number of tiles is told long before the first
            print_line(work.share, work.text())

    return show


def duration(seconds: float) -> str:
    """Write a duration in two units at most.

    >>> duration(6030), duration(200), duration(12.3)
    ('1 h 40 min', '3 min 20 s', '12 s')
    """
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
