"""From a table of pairs to what is still to be done; every fault is named before any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from cmsr.app.batch.receipt import Receipt
from cmsr.app.batch.storage import Listing, is_remote, parent, read_bytes, resolved
from cmsr.app.batch.task import Settings, Source, Start, Task
from cmsr.config import Config
from cmsr.errors import InputError, OptionError, OutputError
from cmsr.io.pair_table import COLUMNS, read_rows

RUN = 32
"""Frames of a series of which each starts from the one before; then one starts afresh, so that
several workers can share a long series."""

TOLD = 5
"""Faults told of one table at most."""

JOURNAL, SHEET = "batch.jsonl", "contact_sheet"
"""A batch's own files in the folder of results; the second is a picture."""

REQUESTS = 32
"""Records read from object storage at a time."""


@dataclass(frozen=True)
class Row:
    """One line of the table: the pair's name, its files as they were named, its series."""

    line: int
    name: str
    target: str
    guide: str
    series: str


@dataclass(frozen=True)
class Chain:
    """Pairs to be done one after the other, the first from ``start``."""

    tasks: list[Task]
    start: Start | None = None


@dataclass
class Plan:
    """What is to be done.

    Attributes
    ----------
    chains : list of Chain
        Chains are independent of each other.
    done, changed, new : int
        Pairs that are done, were done from other inputs or options, were never done.
    missing : list of (str, str)
        Names of pairs whose files do not exist, and why.
    """

    chains: list[Chain] = field(default_factory=list)
    done: int = 0
    changed: int = 0
    new: int = 0
    missing: list[tuple[str, str]] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Pairs to be done."""
        return sum(len(chain.tasks) for chain in self.chains)


def read_table(url: str) -> list[Row]:
    """Read and check a table of pairs.

    Parameters
    ----------
    url : str
        Absolute path or URL of a CSV file with a header that names `COLUMNS`, and "series" where
        frames of several cameras are in it. Other columns are ignored.

    Raises
    ------
    InputError
        If it cannot be read, a column is missing, or a row cannot be used.
    """
    rows = [
        Row(line, *(row.get(column, "") for column in (*COLUMNS, "series")))
        for line, row in read_rows(url, read_bytes(url))
    ]
    _refuse(url, _faults(rows))
    return rows


def _refuse(url: str, faults: Iterable[str]) -> None:
    """Raise InputError if there are faults; tell the first few."""
    found = list(faults)
    if found:
        more = f"; and {len(found) - TOLD} more" if len(found) > TOLD else ""
        raise InputError(f"{url}: {'; '.join(found[:TOLD])}{more}")


def _faults(rows: list[Row]) -> Iterator[str]:
    """Say what is wrong with rows."""
    lines: dict[str, int] = {}
    for row in rows:
        where = f"line {row.line}: "
        if not row.name or not row.target:
            yield (
                where + ("the name" if not row.name else f"the target of {row.name}") + " is empty"
            )
            continue
        if problem := _unfit(row.name):
            yield f"{where}the name {row.name[:80]!r} {problem}"
        first = lines.setdefault(row.name.casefold(), row.line)
        if first != row.line:
            yield f"{where}the name {row.name!r} is that of line {first} too"


def _unfit(name: str) -> str | None:
    """Say why a name cannot name a file in the folder of results."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or ":" in name:
        return "is not a plain relative one; outputs stay in the folder of results"
    if any(part in ("", ".", "..") for part in parts):
        return "leads elsewhere; outputs stay in the folder of results"
    if any(part.startswith(".") for part in parts) or not name.isprintable() or name == SHEET:
        return "is not free to use"
    if any(len(part.encode()) > 200 for part in parts) or len(name.encode()) > 800:
        return "is too long"
    return None


def plan(table: str, rows: list[Row], settings: Settings, *, overwrite: bool = False) -> Plan:
    """Find out what of a table is still to be done.

    Parameters
    ----------
    table : str
        Absolute path or URL; files are named relative to its folder.
    rows : list of Row
        The table's content.
    settings : Settings
        What is the same for all pairs.
    overwrite : bool
        Whether files that no batch has made are replaced.

    Raises
    ------
    InputError
        If not a single pair has its files.
    OptionError
        If the options do not fit the pairs.
    OutputError
        If an output exists that no batch has made.
    """
    _check_ratio(table, rows, settings.config)
    listing, found = Listing(), Plan()
    if not overwrite:
        _check_own(rows, listing, settings)
    tasks = _tasks(table, rows, listing, found.missing)
    if not tasks:
        name, reason = found.missing[0]
        raise InputError(f"{table}: no pair has its files; the first, {name}: {reason}")
    receipts = _receipts(tasks, listing, settings)
    for block in _blocks(rows, tasks, series=settings.series):
        _add(found, block, receipts, settings)
    return found


def _check_ratio(table: str, rows: list[Row], config: Config) -> None:
    guided = next((row for row in rows if row.guide), None)
    if config.ratio is not None and guided is not None:
        raise OptionError(
            f"{table}: line {guided.line} names a guide, and ratio goes without one; leave the "
            "option or the guides out"
        )


def _check_own(rows: list[Row], listing: Listing, settings: Settings) -> None:
    """Refuse a folder without a batch's journal in which outputs exist."""
    out = settings.out
    if listing.entry(f"{out}/{JOURNAL}") is not None:
        return
    for row in rows:
        for ending in (*settings.endings, "json"):
            if listing.entry(f"{out}/{row.name}.{ending}") is not None:
                raise OutputError(
                    f"{out}/{row.name}.{ending}: exists already, and not from a batch; choose "
                    "another folder or add --overwrite"
                )


def _tasks(
    table: str, rows: list[Row], listing: Listing, missing: list[tuple[str, str]]
) -> dict[str, Task]:
    """Find the rows' files; what lacks one goes to ``missing``."""
    folder, tasks = parent(table), {}
    for row in rows:
        files = [resolved(file, folder) for file in (row.target, row.guide) if file]
        sources = [listing.source(file) for file in files]
        if None in sources:
            missing.append((row.name, f"{files[sources.index(None)]}: no such file"))
        else:
            tasks[row.name] = Task(row.name, *_two([source for source in sources if source]))
    return tasks


def _two(sources: list[Source]) -> tuple[Source, Source | None]:
    return sources[0], sources[1] if len(sources) > 1 else None


def _receipts(tasks: Iterable[str], listing: Listing, settings: Settings) -> dict[str, Receipt]:
    """Read the receipts of all results that are there and whole."""

    def read(name: str) -> Receipt | None:
        place = f"{settings.out}/{name}"
        output = listing.entry(f"{place}.{settings.ending}")
        page = listing.entry(f"{place}.html") if settings.report else None
        if output is None or listing.entry(f"{place}.json") is None:
            return None
        receipt = Receipt.of(read_bytes(f"{place}.json"))
        if receipt is None or receipt.size != output.size:
            return None
        if settings.report and (page is None or receipt.report != page.size):
            return None
        return receipt

    names = list(tasks)
    if is_remote(settings.out):
        with ThreadPoolExecutor(REQUESTS) as pool:
            found = list(pool.map(read, names))
    else:
        found = [read(name) for name in names]
    return {name: receipt for name, receipt in zip(names, found, strict=True) if receipt}


def _blocks(rows: list[Row], tasks: dict[str, Task], *, series: bool) -> Iterator[list[Task]]:
    """Yield tasks that must be done one after the other: `RUN` frames of a series, or one alone."""
    if not series:
        yield from ([task] for task in tasks.values())
        return
    cameras: dict[str, list[Task]] = {}
    for row in rows:
        if row.name in tasks:
            cameras.setdefault(row.series, []).append(tasks[row.name])
    for frames in cameras.values():
        yield from (frames[first : first + RUN] for first in range(0, len(frames), RUN))


def _add(
    found: Plan,
    block: list[Task],
    receipts: dict[str, Receipt],
    settings: Settings,
) -> None:
    """Add what of a block is not done: from its first frame whose result does not hold."""
    start: Start | None = None
    for index, task in enumerate(block):
        receipt = receipts.get(task.name)
        if receipt is None or not _holds(receipt, task, settings, start):
            rest = block[index:]
            found.chains.append(Chain(rest, start))
            found.changed += sum(task.name in receipts for task in rest)
            found.new += sum(task.name not in receipts for task in rest)
            return
        found.done += 1
        start = Start(receipt.key, receipt.found) if settings.series else None


def _holds(receipt: Receipt, task: Task, settings: Settings, start: Start | None) -> bool:
    """Tell without reading the inputs whether a result is that of the task."""
    return (
        receipt.settings == settings.key
        and None not in task.stamps
        and receipt.stamps == task.stamps
        and receipt.previous == (start.key if start else None)
    )
