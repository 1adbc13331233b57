"""How a command ends before its time: Ctrl-C, once or again and again, and SIGTERM."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

INTERRUPTED, PIPE_CLOSED = 128 + 2, 128 + 13
"""Exit codes, as shells have them."""

PATIENCE = 5.0
"""Seconds for clean-up after Ctrl-C during which further ones are ignored."""


def leave() -> NoReturn:
    """End the process after a clean-up, whatever its threads and children are still doing."""
    for child in multiprocessing.active_children():
        child.terminate()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end what is within through every clean-up.

    Pressing Ctrl-C again does not disturb the clean-up, unless that takes longer than `PATIENCE`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[float] = []

    def interrupt(*_: Any) -> None:
        pressed.append(time.monotonic())
        if len(pressed) == 1:
            raise KeyboardInterrupt
        if pressed[-1] - pressed[0] > PATIENCE:
            os._exit(INTERRUPTED)

    handlers: dict[int, Any] = {signal.SIGTERM: lambda *_: sys.exit(128 + signal.SIGTERM)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        handlers[signal.SIGINT] = interrupt
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if number != signal.SIGINT or not pressed:
                signal.signal(number, handler)
