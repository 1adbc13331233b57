"""The lock of a folder of results: one batch at a time."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from cmsr.app.batch import storage
from cmsr.errors import InputError, OutputError

RENEWED, STALE = 10.0, 60.0
"""Seconds between renewals of a lock in object storage, and after which it counts as abandoned."""


@contextmanager
def held(out: str) -> Iterator[str]:
    """Lock a folder of results; yield the run's name.

    Parameters
    ----------
    out : str
        Absolute path or URL; a folder is made if it does not exist.

    Raises
    ------
    OutputError
        If another batch has locked it, or it cannot be written to.
    """
    run = secrets.token_hex(8)
    with _held_remote(out, run) if storage.is_remote(out) else _held_local(out, run):
        yield run


@contextmanager
def _held_local(out: str, run: str) -> Iterator[None]:
    own = Path(out, storage.OWN)
    try:
        own.mkdir(parents=True, exist_ok=True)
        lock = FileLock(own / "lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise _busy(out) from None
    except OSError as error:
        raise OutputError(f"{out}: cannot write there ({error.strerror or error})") from error
    try:
        for left in own.iterdir():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
        Path(own, run).mkdir()
        yield
    finally:
        shutil.rmtree(Path(own, run), ignore_errors=True)
        lock.release()


@contextmanager
def _held_remote(out: str, run: str) -> Iterator[None]:
    lock = f"{out}/{storage.OWN}/lock"
    fs, path = storage.system(lock)
    with storage.named(out):
        if _age(lock) < STALE:
            raise _busy(out)
        with suppress(FileNotFoundError):
            fs.rm_file(path)
        try:
            fs.pipe_file(path, _content(run), mode="create")
        except FileExistsError:
            raise _busy(out) from None
    ended = threading.Event()
    keeper = threading.Thread(target=_renew, args=(lock, run, ended), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        with suppress(OSError):
            fs.rm_file(path)


def _busy(out: str) -> OutputError:
    return OutputError(
        f"{out}: another batch is running there; wait for it, or choose another folder"
    )


def _content(run: str) -> bytes:
    return f"{run} {time.time():.0f}".encode()


def _age(lock: str) -> float:
    """Return the seconds since a lock was renewed, or infinity without a lock."""
    try:
        words = storage.read_bytes(lock).decode().split()
        return time.time() - float(words[1])
    except (storage.MissingFileError, ValueError, IndexError):
        return float("inf")


def _renew(lock: str, run: str, ended: threading.Event) -> None:
    while not ended.wait(RENEWED):
        with suppress(InputError):
            storage.write_bytes(lock, _content(run))
