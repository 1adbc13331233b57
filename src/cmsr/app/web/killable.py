"""A child process that runs one task at a time and can be stopped at any moment."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from cmsr.errors import CmsrError

POLL = 0.5
"""Seconds between two messages about a task that sends none itself."""

News = tuple[str, int, int, float] | None
"""Stage, step, number of steps and loss; None if nothing has changed."""

Task = Callable[..., Any]
"""A function of a module, called with its arguments and ``progress=``."""


class StoppedError(Exception):
    """The task was stopped before it finished."""


class Worker:
    """A process, started before its first task so that nobody waits for imports."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._lock = threading.Lock()
        self._owner: str | None = None
        self._start()

    def run(self, owner: str, task: Task, *arguments: Any) -> Iterator[Any]:
        """Run a task; yield `News` at intervals, and its result in the end.

        Leaving the iterator early stops the task.

        Raises
        ------
        CmsrError
            If the task raised it.
        RuntimeError
            If the task failed.
        StoppedError
            If the task was stopped, or the process died.
        """
        with self._lock:
            self._owner = owner
            connection, done = self._connection, False
            try:
                connection.send((task, arguments))
                while not done:
                    kind, value = connection.recv() if connection.poll(POLL) else ("news", None)
                    done = kind != "news"
                    if kind == "refused":
                        raise CmsrError(value)
                    if kind == "failed":
                        raise RuntimeError(value)
                    yield value
            except (EOFError, OSError):
                raise StoppedError from None
            finally:
                self._owner = None
                if not done:
                    self._restart()

    def stop(self, owner: str) -> bool:
        """Stop the current task if it is the owner's; return whether it was."""
        if self._owner != owner:
            return False
        self._process.kill()
        return True

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        self._connection, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def _restart(self) -> None:
        self.close()
        self._connection.close()
        self._start()


def _serve(connection: Connection) -> None:
    """Run tasks one after the other until the other end is closed."""
    import cmsr.app.job  # noqa: F401 (imported before the first task, which need not wait then)

    def report(stage: str, step: int, steps: int, loss: float) -> None:
        connection.send(("news", (stage, step, steps, loss)))

    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            task, arguments = connection.recv()
            try:
                answer = ("done", task(*arguments, progress=report))
            except CmsrError as error:
                answer = ("refused", " ".join(str(error).split()))
            except Exception as error:
                answer = ("failed", f"{type(error).__name__}: {error}")
            connection.send(answer)
