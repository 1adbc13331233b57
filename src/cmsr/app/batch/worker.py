"""One pair, from its files to its published result; independent of any scheduler."""

from __future__ import annotations

import errno
import hashlib
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import torch
from markupsafe import escape

from cmsr.app import record
from cmsr.app.batch.receipt import Receipt
from cmsr.app.batch.results import Results
from cmsr.app.batch.storage import fetch, is_remote, named
from cmsr.app.batch.task import ERRORS, PAGE, PICTURE, Outcome, Settings, Start, Task
from cmsr.app.job import Job
from cmsr.app.options import upscale_command
from cmsr.errors import CmsrError
from cmsr.io.digest import digest

_FOUND = ("kernel", "alignment", "series")
"""Entries of a frame's record that the next frame of a series starts from."""

_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
"""Errors of writing that every other pair would meet as well."""


def process(task: Task, settings: Settings, previous: Start | None = None) -> Outcome:
    """Work on one pair; errors are returned in the outcome, not raised.

    Parameters
    ----------
    task : Task
        The pair.
    settings : Settings
        Common to all pairs.
    previous : Start, optional
        State of the frame before, in a series.
    """
    started = time.perf_counter()
    torch.set_num_threads(settings.threads)
    try:
        with tempfile.TemporaryDirectory(prefix="cmsr-") as scratch:
            outcome = _publish(task, settings, previous, Path(scratch))
    except CmsrError as error:
        fatal = getattr(error.__cause__, "errno", None) in _FATAL
        outcome = Outcome(task.name, "failed", error=str(error), fatal=fatal)
    except Exception as error:
        message = f"{task.target.file}: {type(error).__name__}: {error}"
        outcome = Outcome(task.name, "failed", error=message)
    this = psutil.Process()
    return replace(
        outcome,
        seconds=time.perf_counter() - started,
        worker=f"{platform.node()}:{this.pid}",
        memory_mb=this.memory_info().rss / 2**20,
        error=" ".join(outcome.error.split()),
    )


def _publish(task: Task, settings: Settings, previous: Start | None, scratch: Path) -> Outcome:
    """Compute and publish a result, unless an earlier run has made this very one."""
    results = Results(settings.out, settings.run)
    files = [fetch(source.file, scratch) for source in task.sources]
    key = _key(task, files, settings, previous)
    earlier = _earlier(results, task.name)
    unchanged = earlier is not None and _holds(earlier[1], key, results, task, settings)
    with results.workspace(scratch) as folder:
        plain, outputs = Path(task.name).name, []
        names = {str(file): source.file for file, source in zip(files, task.sources, strict=True)}
        names[str(folder)] = str(Path(f"{settings.out}/{task.name}").parent)
        if earlier is not None and unchanged:
            facts, receipt = earlier
            receipt = replace(receipt, stamps=task.stamps)
        else:
            outputs = [folder / f"{plain}.{ending}" for ending in settings.endings]
            with _renamed(names):
                facts = _computed(task, files, outputs, settings, names, previous)
            receipt = _receipt(key, task, outputs, facts, settings, previous)
        note = folder / f"{plain}.json"
        with _renamed(names):
            record.write_json(note, receipt.added_to(facts))
        sizes = earlier[1].sizes if earlier is not None else {}
        outdated = [f".{ending}" for ending, size in sizes.items() if size is not None]
        results.publish(task.name, note, outputs, outdated)
    start = Start(key, receipt.found) if settings.series else None
    photo = (facts.get("guide_used") or {}).get("weight")
    return Outcome(task.name, "unchanged" if unchanged else "done", start=start, photo=photo)


def _receipt(
    key: str,
    task: Task,
    outputs: list[Path],
    facts: dict[str, Any],
    settings: Settings,
    previous: Start | None,
) -> Receipt:
    """Return the receipt of a result in the workspace."""
    output, *more = outputs
    sizes = dict(zip(settings.endings[1:], (file.stat().st_size for file in more), strict=True))
    return Receipt(
        key=key,
        settings=task.key(settings),
        stamps=task.stamps,
        size=output.stat().st_size,
        sha256=digest(output).hex(),
        previous=previous.key if previous else None,
        found={name: facts.get(name) for name in _FOUND} if settings.series else {},
        report=sizes.get(PAGE),
        preview=sizes.get(PICTURE),
        errors=sizes.get(ERRORS),
    )


def _key(task: Task, files: list[Path], settings: Settings, previous: Start | None) -> str:
    """Digest all that decides a result."""
    whole = hashlib.sha256(f"{task.key(settings)} {previous.key if previous else ''}".encode())
    for source, file in zip(task.sources, files, strict=True):
        with named(str(file)):
            whole.update(f" {source.part} ".encode() + digest(file))
    return whole.hexdigest()


def _earlier(results: Results, name: str) -> tuple[dict[str, Any], Receipt] | None:
    """Return record and receipt of an earlier run's result."""
    content = results.record(name)
    receipt = Receipt.of(content) if content is not None else None
    return None if content is None or receipt is None else (json.loads(content), receipt)


def _holds(receipt: Receipt, key: str, results: Results, task: Task, settings: Settings) -> bool:
    """Tell whether an earlier run made this very result, and it still exists in full."""
    sizes = {settings.ending: receipt.size, **receipt.sizes}
    return receipt.key == key and all(
        sizes[ending] is not None and results.size(f"{task.name}.{ending}") == sizes[ending]
        for ending in settings.endings
    )


def _computed(
    task: Task,
    files: list[Path],
    outputs: list[Path],
    settings: Settings,
    names: dict[str, str],
    previous: Start | None,
) -> dict[str, Any]:
    """Upscale, and return the record, in the user's names for the files."""
    paths = [
        Path(f"{file}:{source.part}" if source.part else file)
        for source, file in zip(task.sources, files, strict=True)
    ]
    target, guide = paths[0], None if task.guide is None else paths[1]
    output, *more = outputs
    beside = dict(zip(settings.endings[1:], more, strict=True))
    job = Job(
        target=target,
        guide=guide,
        out=output,
        report=beside.get(PAGE),
        preview=beside.get(PICTURE),
        error_map=beside.get(ERRORS),
        config=task.config(settings),
        previous=_found_before(previous, settings),
        frames=tuple(paths[len(paths) - len(task.frames) :]),
        again=_again(target, guide, output, task, settings),
    )
    facts = job.run()
    if settings.report:
        _rename_in_page(beside[PAGE], names)
    for page in facts:
        page |= {
            kind: [_in_names(text, names) for text in page[kind]] for kind in ("notes", "warnings")
        }
        for frame in page.get("fused", {}).get("used", []):
            frame["frame"] = _in_names(frame["frame"], names)
    return record.of_pages(facts)


def _found_before(previous: Start | None, settings: Settings) -> dict[str, Any] | None:
    """Return the state of the frame before; an empty one for the first of a series."""
    if not settings.series:
        return None
    return previous.found if previous else {}


def _again(target: Path, guide: Path | None, output: Path, task: Task, settings: Settings) -> str:
    """Return the command that repeats this result: of the pair alone where that suffices."""
    if settings.series or any(is_remote(source.file) for source in task.sources):
        return settings.again
    out = Path(output.name)
    return upscale_command(target, guide, out, task.config(settings), settings.threads)


def _rename_in_page(page: Path, names: dict[str, str]) -> None:
    """Put the user's names for the files into a page."""
    escaped = {str(escape(path)): str(escape(name)) for path, name in names.items()}
    page.write_text(_in_names(page.read_text("utf-8"), escaped), "utf-8")


@contextmanager
def _renamed(names: dict[str, str]) -> Iterator[None]:
    """Put the user's names for the files into errors."""
    try:
        yield
    except CmsrError as error:
        raise type(error)(_in_names(str(error), names)) from error.__cause__


def _in_names(text: str, names: dict[str, str]) -> str:
    for path, name in names.items():
        text = text.replace(path, name)
    return text
