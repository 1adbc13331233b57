"""Pairs to workers, outcomes back: the only file that hands work to Dask."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass

from distributed import Client, Future, KilledWorker, as_completed

from cmsr.app.batch.plan import Chain
from cmsr.app.batch.task import Outcome, Settings, Start, Task
from cmsr.app.batch.worker import process
from cmsr.errors import RunError

AHEAD = 4
"""Chains handed out per worker, so that none has to wait for the next."""


@dataclass
class _Turn:
    """A chain at work: its place, what its frame starts from, and how often that was tried."""

    tasks: list[Task]
    start: Start | None
    place: int = 0
    tries: int = 1

    @property
    def task(self) -> Task:
        return self.tasks[self.place]

    def advance(self, start: Start | None) -> bool:
        """Go on to the next frame; tell whether there is one."""
        self.place, self.tries, self.start = self.place + 1, 1, start
        return self.place < len(self.tasks)


@dataclass(frozen=True)
class Report:
    """What became of a pair, after how many tries, and how many are under way."""

    outcome: Outcome
    tries: int
    running: int
    workers: int


def work(
    client: Client, chains: Iterable[Chain], settings: Settings, retries: int
) -> Iterator[Report]:
    """Hand out all pairs; yield what becomes of each as soon as it is known.

    Parameters
    ----------
    client : Client
        Of workers that have this package.
    chains : iterable of Chain
        Each is done in order, by whichever workers.
    settings : Settings
        What is the same for all pairs.
    retries : int
        How often a pair that fails is tried again.

    Raises
    ------
    RunError
        If the scheduler is lost, or a pair failed in a way that all others would.
    """
    with _not_lost(client):
        yield from _worked(client, chains, settings, retries)


@contextmanager
def _not_lost(client: Client) -> Iterator[None]:
    """Say so where the connection to the scheduler breaks."""
    address = client.scheduler.address if client.scheduler else ""
    try:
        yield
    except (OSError, CancelledError) as error:
        raise RunError(
            f"the scheduler {address} is lost; what is done is kept, and the same command goes on "
            "from there"
        ) from error


def _worked(
    client: Client, chains: Iterable[Chain], settings: Settings, retries: int
) -> Iterator[Report]:
    waiting = deque(_Turn(chain.tasks, chain.start) for chain in chains)
    turns: dict[object, _Turn] = {}
    finished = as_completed(loop=client.loop)

    def submit(turn: _Turn) -> None:
        future = client.submit(process, turn.task, settings, turn.start, pure=False)
        turns[future.key] = turn
        finished.add(future)

    while True:
        workers = _workers(client)
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
        yield Report(outcome, turn.tries, min(len(turns), workers), workers)
        if turn.advance(outcome.start or turn.start):
            submit(turn)


def _workers(client: Client) -> int:
    """Return how many pairs can be under way at once."""
    known = client.scheduler_info(n_workers=-1)["workers"].values()
    return sum(worker["nthreads"] for worker in known)


def _outcome(future: Future[Outcome], task: Task) -> Outcome:
    """Return what a worker told, or what Dask says of why it did not."""
    if future.status != "error":
        return future.result()
    error = future.exception()
    if isinstance(error, KilledWorker):
        told = "its worker died, again and again; it may need more memory than there is"
    else:
        told = f"{type(error).__name__}: {error}"
    return Outcome(task.name, "failed", error=f"{task.target.file}: {told}")
