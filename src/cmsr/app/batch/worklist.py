"""Pairs of a table that are still to be done, found from the receipts of earlier runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from cmsr.app.batch.receipt import Receipt
from cmsr.app.batch.storage import Listing, is_remote, parent, read_bytes, resolved
from cmsr.app.batch.table import Row
from cmsr.app.batch.task import Settings, Start, Task
from cmsr.errors import InputError, OutputError
from cmsr.io.pages import nearest

JOURNAL = "batch.jsonl"
"""Name of the journal in the folder of results."""

RIG = "rig.json"
"""Name of the rig in the folder of results."""

FRAMES = 32
"""Frames of a series of which each starts from the one before; the next starts afresh, so that
several workers can share a long series."""

REQUESTS = 32
"""Records read from object storage at a time."""


@dataclass(frozen=True)
class Queue:
    """Pairs to be done one after the other, the first from ``start``."""

    tasks: list[Task]
    start: Start | None = None


@dataclass
class Worklist:
    """Pairs to be done, and how many need not be.

    Attributes
    ----------
    queues : list of Queue
        Queues are independent of each other.
    done, changed, new : int
        Pairs that are done, were done from other inputs or options, were never done.
    missing : list of (str, str)
        Names of pairs whose files do not exist, and why.
    """

    queues: list[Queue] = field(default_factory=list)
    done: int = 0
    changed: int = 0
    new: int = 0
    missing: list[tuple[str, str]] = field(default_factory=list)

    def add(self, block: list[Task], receipts: dict[str, Receipt], settings: Settings) -> None:
        """Add a block from its first task on whose result is missing or outdated."""
        start: Start | None = None
        for index, task in enumerate(block):
            receipt = receipts.get(task.name)
            if receipt is None or not _up_to_date(receipt, task, settings, start):
                rest = block[index:]
                changed = sum(task.name in receipts for task in rest)
                self.queues.append(Queue(rest, start))
                self.changed += changed
                self.new += len(rest) - changed
                return
            self.done += 1
            start = Start(receipt.key, receipt.found) if settings.series else None


def find_work(table: str, rows: list[Row], settings: Settings) -> Worklist:
    """Find out which pairs of a table are still to be done.

    Parameters
    ----------
    table : str
        Absolute path or URL; files are named relative to its folder.
    rows : list of Row
        The table's content.
    settings : Settings
        Common to all pairs.

    Raises
    ------
    InputError
        If not a single pair has its files.
    """
    listing, worklist = Listing(), Worklist()
    tasks = _tasks(table, rows, listing, worklist.missing)
    if not tasks:
        name, reason = worklist.missing[0]
        raise InputError(
            f"{table}: the files of every pair are missing; the first pair, {name}: {reason}"
        )
    receipts = _receipts(tasks, listing, settings)
    for block in _blocks(rows, tasks, series=settings.series, fuse=settings.config.fuse):
        worklist.add(block, receipts, settings)
    return worklist


def check_ownership(rows: list[Row], settings: Settings) -> None:
    """Refuse a folder in which files that a batch writes exist, but no batch's journal.

    Raises
    ------
    OutputError
        If there is one.
    """
    listing, out = Listing(), settings.out
    if listing.entry(f"{out}/{JOURNAL}") is not None:
        return
    named = [f"{row.name}.{ending}" for row in rows for ending in (*settings.endings, "json")]
    if settings.config.rig == "auto":
        named.append(RIG)
    for name in named:
        if listing.entry(f"{out}/{name}") is not None:
            raise OutputError(
                f"{out}/{name}: exists already and was not written by a batch; choose "
                "another folder or add --overwrite"
            )


def _tasks(
    table: str, rows: list[Row], listing: Listing, missing: list[tuple[str, str]]
) -> dict[str, Task]:
    """Find the rows' files; rows that lack one go to ``missing``."""
    folder, tasks = parent(table), {}
    for row in rows:
        files = [resolved(file, folder) for file in (row.target, row.guide) if file]
        sources = [source for file in files if (source := listing.source(file))]
        if len(sources) < len(files):
            lost = next(file for file in files if listing.source(file) is None)
            missing.append((row.name, f"{lost}: no such file"))
        else:
            tasks[row.name] = Task(
                row.name, sources[0], sources[1] if row.guide else None, row.enlargement
            )
    return tasks


def _receipts(tasks: Iterable[str], listing: Listing, settings: Settings) -> dict[str, Receipt]:
    """Read the receipts of all results that exist in full."""

    def read(name: str) -> Receipt | None:
        place = f"{settings.out}/{name}"
        output = listing.entry(f"{place}.{settings.ending}")
        if output is None or listing.entry(f"{place}.json") is None:
            return None
        receipt = Receipt.of(read_bytes(f"{place}.json"))
        if receipt is None or receipt.size != output.size:
            return None
        for ending in settings.endings[1:]:
            file = listing.entry(f"{place}.{ending}")
            if file is None or receipt.sizes[ending] != file.size:
                return None
        return receipt

    names = list(tasks)
    if is_remote(settings.out):
        with ThreadPoolExecutor(REQUESTS) as pool:
            found = list(pool.map(read, names))
    else:
        found = [read(name) for name in names]
    return {name: receipt for name, receipt in zip(names, found, strict=True) if receipt}


def _blocks(
    rows: list[Row], tasks: dict[str, Task], *, series: bool, fuse: int
) -> Iterator[list[Task]]:
    """Yield tasks that must be done in order: up to `FRAMES` of a series, or one alone."""
    if not series:
        yield from ([task] for task in tasks.values())
        return
    cameras: dict[str, list[Task]] = {}
    for row in rows:
        if row.name in tasks:
            cameras.setdefault(row.series, []).append(tasks[row.name])
    for frames in cameras.values():
        fused = [_fused(place, frames, fuse) for place in range(len(frames))]
        yield from (fused[first : first + FRAMES] for first in range(0, len(frames), FRAMES))


def _fused(place: int, frames: list[Task], most: int) -> Task:
    """Return a frame of a series with the others that may take part in its result."""
    others = nearest(place, len(frames), most)
    return replace(frames[place], frames=tuple(frames[other].target for other in others))


def _up_to_date(receipt: Receipt, task: Task, settings: Settings, start: Start | None) -> bool:
    """Tell, without reading the inputs, whether a result is that of the task."""
    return (
        receipt.settings == task.key(settings)
        and None not in task.stamps
        and receipt.stamps == task.stamps
        and receipt.previous == (start.key if start else None)
    )
