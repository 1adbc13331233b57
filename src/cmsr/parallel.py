"""Several computations at once: the steps here are too small to be worth two cores each."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar, cast

import torch

_here = threading.local()
"""Holds the pool that a thread belongs to."""

T = TypeVar("T")
U = TypeVar("U")


def together(*tasks: Callable[[], T]) -> list[T]:
    """Run tasks at once, each with one thread of torch's, and return their results in order.

    There are never more at a time than torch may use threads, so that a worker given one core
    stays on it. A nested call runs its tasks itself, one after the other, but for those that a
    thread with nothing else to do takes over.
    """
    if (shared := _pool_here()) is not None:
        return _shared(shared, tasks)
    count = torch.get_num_threads()
    if min(len(tasks), count) < 2:
        return [task() for task in tasks]
    pool: ThreadPoolExecutor = ThreadPoolExecutor(count, initializer=lambda: _start(pool, count))
    try:
        return [future.result() for future in [pool.submit(task) for task in tasks]]
    finally:
        pool.shutdown(cancel_futures=True)


def _shared(pool: ThreadPoolExecutor, tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run tasks here, but for those that another thread of the pool has begun by then."""
    futures = [pool.submit(task) for task in tasks]
    own = {future: task() for future, task in zip(futures, tasks, strict=True) if future.cancel()}
    return [own[future] if future in own else future.result() for future in futures]


def both(first: Callable[[], T], second: Callable[[], U]) -> tuple[T, U]:
    """Run two tasks of different kinds as `together` does."""
    results = together(cast(Callable[[], Any], first), second)
    return cast(T, results[0]), cast(U, results[1])


def ahead(task: Callable[[], T]) -> Callable[[], T]:
    """Offer a task that may be needed later to a thread with nothing else to do.

    Return what waits for its result, or does it if nobody has begun by then. Never called, and
    not begun, it is never done.
    """
    if (pool := _pool_here()) is None:
        return task
    future = pool.submit(task)
    return lambda: task() if future.cancel() else future.result()


def in_order(tasks: Sequence[Callable[[], T]], at_once: int | None = None) -> Iterator[T]:
    """Run tasks at once and yield their results in order; at most ``at_once`` wait or run.

    Called on a thread of a pool, the tasks are offered to the others, and done here otherwise.
    """
    pool = _pool_here()
    if pool is None:
        yield from (task() for task in tasks)
        return
    bound = at_once or 2 * torch_threads()
    waiting: deque[tuple[Callable[[], T], Future[T]]] = deque()
    ahead_of = iter(tasks)
    while True:
        for task in islice(ahead_of, bound - len(waiting)):
            waiting.append((task, pool.submit(task)))
        if not waiting:
            return
        task, future = waiting.popleft()
        yield task() if future.cancel() else future.result()


def pooled(task: Callable[[], T]) -> T:
    """Run a task on a pool of as many threads as torch may use, one of torch's each.

    All that it runs by `together`, `both`, `ahead` and `in_order` is shared among them. As every
    computation has one thread, the bytes of its outcome do not depend on how many there are.
    """
    if _pool_here() is not None:
        return task()
    count = torch.get_num_threads()
    pool: ThreadPoolExecutor = ThreadPoolExecutor(count, initializer=lambda: _start(pool, count))
    try:
        return pool.submit(task).result()
    finally:
        pool.shutdown(cancel_futures=True)


def torch_threads() -> int:
    """Return how many tasks may run at once."""
    return getattr(_here, "count", 1)


@contextmanager
def no_denormals() -> Iterator[None]:
    """Take numbers too small to matter for zero: computing with them is ten times slower."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _pool_here() -> ThreadPoolExecutor | None:
    return getattr(_here, "pool", None)


def _start(pool: ThreadPoolExecutor, count: int) -> None:
    _here.pool, _here.count = pool, count
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
