"""Runs in parallel, each in its own process with one core.

So each has its own peak of memory, and a crash costs one record.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.context import (
    ForkServerContext,
    ForkServerProcess,
    SpawnContext,
    SpawnProcess,
)
from typing import Any

from cmsr_bench.provenance import commit, machine
from cmsr_bench.records import Record, Run, Store

OnRecord = Callable[[int, int, Record], None]
"""Called with the number of finished runs, that of all runs, and the record."""


def run_all(
    runs: Sequence[Run], store: Store, workers: int, on_record: OnRecord | None = None
) -> None:
    """Do all runs that have no record in the store yet.

    Parameters
    ----------
    runs : sequence of Run
        In the order of their start.
    store : Store
        Receives every record as soon as it is there.
    workers : int
        Processes at a time.
    on_record : callable, optional
        Called after every record.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts; only the runs under way are lost.
    """
    open_runs = {
        run.key: run for run in runs if not store.done(run.key, page=run.report is not None)
    }
    waiting, total = list(open_runs.items())[::-1], len(open_runs)
    origin = {"commit": commit(), "machine": machine()}
    context, running = _context(), dict[Any, tuple[str, Run, ForkServerProcess | SpawnProcess]]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                key, run = waiting.pop()
                process = context.Process(target=_work, args=(key, run, store, origin))
                process.start()
                running[process.sentinel] = key, run, process
            for ready in wait(list(running)):
                key, run, process = running.pop(ready)
                process.join()
                record = _result(store, key, run, process.exitcode, origin)
                if on_record:
                    on_record(total - len(waiting) - len(running), total, record)
    finally:
        for _, _, process in running.values():
            process.kill()


def _context() -> ForkServerContext | SpawnContext:
    """Return a context whose processes have one thread each; but on Windows they share imports."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cmsr_bench.measure"])
    return context


def _work(key: str, run: Run, store: Store, origin: dict[str, Any]) -> None:
    """Do one run in this process, and store it under the key it was asked for."""
    import torch

    from cmsr_bench.measure import measure

    torch.set_num_threads(1)
    with suppress(KeyboardInterrupt):
        record, image, page = measure(run, origin)
        store.put(key, {**record, "key": key}, image, page)


def _result(
    store: Store, key: str, run: Run, exit_code: int | None, origin: dict[str, Any]
) -> Record:
    """Return the record that a process left, or one on its death.

    A record of an earlier process is not overwritten by that.
    """
    from cmsr_bench.measure import blank_record

    record = store.record(key)
    if exit_code == 0 and record is not None:
        return record
    done = store.done(key)
    cause = f"killed by signal {-exit_code}" if exit_code and exit_code < 0 else f"code {exit_code}"
    record = {**blank_record(run, origin), "error": f"the process ended without a result ({cause})"}
    if not done:
        store.put(key, record)
    return record
