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
    if min(len(tasks), torch.get_num_threads()) < 2:
        return [task() for task in tasks]
    with _pool() as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]


def _shared(pool: ThreadPoolExecutor, tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run tasks here, but for those that another thread of the pool has begun by then.

    The first, best the longest, stays here: whoever waits for another thread does no work.
    """
    if not tasks:
        return []
    futures = [pool.submit(task) for task in tasks[1:]]
    first = tasks[0]()
    own = {
        future: task() for future, task in zip(futures, tasks[1:], strict=True) if future.cancel()
    }
    return [first, *(own[each] if each in own else each.result() for each in futures)]


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


def in_order(tasks: Sequence[Callable[[], T]], at_once: int) -> Iterator[T]:
    """Run tasks on a pool and yield their results in order; at most ``at_once`` wait or run."""
    with _pool() as pool:
        ahead_of, waiting = iter(tasks), deque[Future[T]]()
        while True:
            for task in islice(ahead_of, at_once - len(waiting)):
                waiting.append(pool.submit(task))
            if not waiting:
                return
            yield waiting.popleft().result()


def pooled(task: Callable[[], T]) -> T:
    """Run a task on a pool of as many threads as torch may use, one of torch's each.

    All that it runs by `together`, `both` and `ahead` is shared among them. As every computation
    has one thread, the bytes of its outcome do not depend on how many there are.
    """
    with _pool() as pool:
        return pool.submit(task).result()


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    count = torch.get_num_threads()
    pool: ThreadPoolExecutor = ThreadPoolExecutor(count, initializer=lambda: _start(pool))
    try:
        yield pool
    except (KeyboardInterrupt, SystemExit, GeneratorExit):  # nobody waits for what is under way
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


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


def _start(pool: ThreadPoolExecutor) -> None:
    _here.pool = pool
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
