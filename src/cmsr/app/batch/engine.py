"""Pairs to workers, outcomes back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass

from distributed import Client, Future, KilledWorker, as_completed

from cmsr.app.batch.task import Outcome, Settings, Start, Task
from cmsr.app.batch.worker import process
from cmsr.app.batch.worklist import Queue
from cmsr.errors import RunError

AHEAD = 4
"""Pairs handed out per worker, so that none has to wait for the next."""


@dataclass
class _Turn:
    """A queue whose current task is under way: its place, its start, and its attempts so far."""

    tasks: list[Task]
    start: Start | None
    place: int = 0
    tries: int = 1

    @property
    def task(self) -> Task:
        return self.tasks[self.place]

    def advance(self, start: Start | None) -> bool:
        """Go on to the next task; return whether there is one."""
        self.place, self.tries, self.start = self.place + 1, 1, start
        return self.place < len(self.tasks)


@dataclass(frozen=True)
class Finished:
    """A finished pair: its outcome, its attempts, pairs that still run, and the workers."""

    outcome: Outcome
    tries: int
    running: int
    workers: int


def work(
    client: Client, queues: Iterable[Queue], settings: Settings, retries: int
) -> Iterator[Finished]:
    """Hand out all pairs, and yield each as soon as it is finished.

    Parameters
    ----------
    client : Client
        Of workers that have this package.
    queues : iterable of Queue
        Each is done in order, by whichever workers.
    settings : Settings
        Common to all pairs.
    retries : int
        Further attempts at a pair that fails.

    Raises
    ------
    RunError
        If the scheduler is lost, or a pair failed in a way that all others would.
    """
    with not_lost(client, "pairs"):
        yield from _worked(client, queues, settings, retries)


@contextmanager
def not_lost(client: Client, kept: str) -> Iterator[None]:
    """Turn a broken connection to the scheduler into a `RunError`, which says what is kept."""
    address = client.scheduler.address if client.scheduler else ""
    try:
        yield
    except (OSError, CancelledError) as error:
        raise RunError(
            f"lost the scheduler {address}; finished {kept} are kept: run the same command again "
            "to continue"
        ) from error


def _worked(
    client: Client, queues: Iterable[Queue], settings: Settings, retries: int
) -> Iterator[Finished]:
    waiting = deque(_Turn(queue.tasks, queue.start) for queue in queues)
    turns: dict[object, _Turn] = {}
    finished = as_completed(loop=client.loop)

    def submit(turn: _Turn) -> None:
        future = client.submit(process, turn.task, settings, turn.start, pure=False)
        turns[future.key] = turn
        finished.add(future)

    while True:
        workers = at_once(client)
        while waiting and len(turns) < max(1, AHEAD * workers):
            submit(waiting.popleft())
        if not turns:
            return
        future = next(finished)
        turn = turns.pop(future.key)
        outcome = _outcome(future, turn.task)
        if outcome.fatal:
            raise RunError(outcome.error)
        if outcome.status == "failed" and turn.tries <= retries and outcome.worker:
            turn.tries += 1
            submit(turn)
            continue
        yield Finished(outcome, turn.tries, min(len(turns), workers), workers)
        if turn.advance(outcome.start or turn.start):
            submit(turn)


def at_once(client: Client) -> int:
    """Return the number of tasks that the workers can run at once."""
    known = client.scheduler_info(n_workers=-1)["workers"].values()
    return sum(worker["nthreads"] for worker in known)


def _outcome(future: Future[Outcome], task: Task) -> Outcome:
    """Return a worker's outcome, or a failure with the reason why there is none."""
    if future.status != "error":
        return future.result()
    error = future.exception()
    if isinstance(error, KilledWorker):
        reason = "its worker died repeatedly; there may not be enough memory"
    else:
        reason = f"{type(error).__name__}: {error}"
    return Outcome(task.name, "failed", error=f"{task.target.file}: {reason}")
