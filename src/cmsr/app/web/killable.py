"""A child process that works for one visitor at a time and can be stopped at any moment."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from cmsr.errors import CmsrError

POLL = 0.5
"""Seconds between two signs of life of a task that says nothing itself."""

Told = tuple[str, int, int, float] | None
"""Stage, step, steps and loss; None where there is nothing new."""

Task = Callable[..., Any]
"""A function of a module, called with its arguments and ``progress=``."""


class StoppedError(Exception):
    """The task was stopped before it was done."""


class Worker:
    """One process, started ahead of its first task so that nobody waits for imports."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._lock = threading.Lock()
        self._owner: str | None = None
        self._start()

    def run(self, owner: str, task: Task, *arguments: Any) -> Iterator[Any]:
        """Do a task; yield `Told` every now and then, and last its result.

        Leaving the iterator early stops the task.

        Raises
        ------
        CmsrError
            What the task raised, for the user to mend.
        StoppedError
            If someone called `stop`, or the process died.
        """
        with self._lock:
            self._owner = owner
            connection, done = self._connection, False
            try:
                connection.send((task, arguments))
                while not done:
                    kind, value = connection.recv() if connection.poll(POLL) else ("told", None)
                    done = kind != "told"
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
        """Stop the owner's task, if it is the one under way; tell whether it was."""
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
    """Do tasks one after the other until the other side is gone."""
    import cmsr.app.job  # noqa: F401 (imported before the first task, which then need not wait)

    def tell(stage: str, step: int, steps: int, loss: float) -> None:
        connection.send(("told", (stage, step, steps, loss)))

    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            task, arguments = connection.recv()
            try:
                answer = ("done", task(*arguments, progress=tell))
            except CmsrError as error:
                answer = ("refused", " ".join(str(error).split()))
            except Exception as error:
                answer = ("failed", f"{type(error).__name__}: {error}")
            connection.send(answer)
