"""One pair, from its files to its published result; whoever calls it, it knows of no scheduler."""

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

from cmsr import record
from cmsr.batch.receipt import Receipt
from cmsr.batch.storage import Results, fetch, named
from cmsr.batch.task import Outcome, Settings, Start, Task
from cmsr.config import Config
from cmsr.errors import CmsrError
from cmsr.job import Job

_FOUND = ("kernel", "alignment")
"""What a frame of a series takes over from the record of the one before."""

_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
"""Refusals to write that every other pair would meet as well."""


def process(task: Task, settings: Settings, previous: Start | None = None) -> Outcome:
    """Work on one pair; whatever goes wrong with it is told, not raised.

    Parameters
    ----------
    task : Task
        The pair.
    settings : Settings
        What is the same for all pairs.
    previous : Start, optional
        What was found in the frame before, in a series.
    """
    started = time.perf_counter()
    torch.set_num_threads(settings.threads)
    try:
        with tempfile.TemporaryDirectory(prefix="cmsr-") as scratch:
            outcome = _publish(task, settings, previous, Path(scratch))
    except CmsrError as error:
        fatal = getattr(error.__cause__, "errno", None) in _HOPELESS
        outcome = Outcome(task.name, "failed", error=str(error), fatal=fatal)
    except Exception as error:
        told = f"{task.target.file}: {type(error).__name__}: {error}"
        outcome = Outcome(task.name, "failed", error=told)
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
    known = _known(results, task, settings, key)
    with results.workspace(scratch) as folder:
        plain = Path(task.name).name
        note, output = folder / f"{plain}.json", None
        names = {str(file): source.file for file, source in zip(files, task.sources, strict=True)}
        names[str(folder)] = str(Path(f"{settings.out}/{task.name}").parent)
        if known is not None:
            facts, receipt = known
            receipt = replace(receipt, stamps=task.stamps)
        else:
            output = folder / f"{plain}.{settings.ending}"
            with _renamed(names):
                facts = _computed(task, files, output, settings.config, names, previous)
            receipt = Receipt(
                key=key,
                settings=settings.key,
                stamps=task.stamps,
                size=output.stat().st_size,
                sha256=_digest(output).hex(),
                previous=previous.key if previous else None,
                found={name: facts.get(name) for name in _FOUND} if settings.series else {},
            )
        with _renamed(names):
            record.write_json(note, receipt.inscribed(facts))
        results.publish(task.name, note, output)
    start = Start(key, receipt.found) if settings.series else None
    return Outcome(task.name, "done" if known is None else "unchanged", start=start)


def _key(task: Task, files: list[Path], settings: Settings, previous: Start | None) -> str:
    """Digest all that decides a result."""
    digest = hashlib.sha256(f"{settings.key} {previous.key if previous else ''}".encode())
    for source, file in zip(task.sources, files, strict=True):
        digest.update(f" {source.part} ".encode() + _digest(file))
    return digest.hexdigest()


def _known(
    results: Results, task: Task, settings: Settings, key: str
) -> tuple[dict[str, Any], Receipt] | None:
    """Return facts and receipt of an earlier run if it has made this very result."""
    content = results.record(task.name)
    receipt = Receipt.of(content) if content is not None else None
    if content is None or receipt is None or receipt.key != key:
        return None
    if results.size(f"{task.name}.{settings.ending}") != receipt.size:
        return None
    return json.loads(content), receipt


def _computed(
    task: Task,
    files: list[Path],
    output: Path,
    config: Config,
    names: dict[str, str],
    previous: Start | None,
) -> dict[str, Any]:
    """Do it, and return what is to be told of it, in the user's names for the files."""
    paths = [
        Path(f"{file}:{source.part}" if source.part else file)
        for source, file in zip(task.sources, files, strict=True)
    ]
    job = Job(
        target=paths[0],
        guide=paths[1] if len(paths) > 1 else None,
        out=output,
        json=None,
        preview=None,
        report=None,
        colour_map="inferno",
        overwrite=False,
        config=config,
        previous=previous.found if previous else None,
    )
    facts = job.run()
    for page in facts:
        page |= {
            kind: [_in_names(text, names) for text in page[kind]] for kind in ("notes", "warnings")
        }
    return record.told(facts)


@contextmanager
def _renamed(names: dict[str, str]) -> Iterator[None]:
    """Tell of errors in the user's names for the files."""
    try:
        yield
    except CmsrError as error:
        raise type(error)(_in_names(str(error), names)) from error.__cause__


def _in_names(text: str, names: dict[str, str]) -> str:
    for path, name in names.items():
        text = text.replace(path, name)
    return text


def _digest(path: Path) -> bytes:
    """Digest a file, or all files of a folder with their names."""
    if not path.is_dir():
        with named(str(path)), path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").digest()
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(str(file.relative_to(path)).encode() + _digest(file))
    return digest.digest()
