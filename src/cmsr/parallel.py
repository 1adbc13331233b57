"""Several computations at once: the steps here are too small to be worth two cores each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch

T = TypeVar("T")
U = TypeVar("U")


def together(*tasks: Callable[[], T]) -> list[T]:
    """Run tasks at once, each with one thread of torch's, and return their results in order.

    There are never more at a time than torch may use threads, so that a worker given one core
    stays on it; nested calls run their tasks one after the other.
    """
    count = min(len(tasks), torch.get_num_threads())
    if count < 2:
        return [task() for task in tasks]
    with ThreadPoolExecutor(count, initializer=_start) as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]


def both(first: Callable[[], T], second: Callable[[], U]) -> tuple[T, U]:
    """Run two tasks of different kinds as `together` does."""
    results = together(cast(Callable[[], Any], first), second)
    return cast(T, results[0]), cast(U, results[1])


@contextmanager
def no_denormals() -> Iterator[None]:
    """Take numbers too small to matter for zero: computing with them is ten times slower."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _start() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
