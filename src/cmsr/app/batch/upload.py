"""A result on its way to object storage: made in a folder of this machine, then uploaded whole."""

from __future__ import annotations

import getpass
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cmsr.app.batch import storage
from cmsr.errors import CmsrError, InputError, OutputError


@contextmanager
def uploaded(url: str, *, overwrite: bool) -> Iterator[Path]:
    """Provide a name of a local file, which is uploaded to ``url`` if nothing is raised.

    Its folder is the same each time, so that a command that was killed finds its tiles there.

    Raises
    ------
    OptionError
        If there is no such kind of storage, or the library for it is not installed.
    InputError
        If the storage refuses; it is asked before the work.
    OutputError
        If the object exists and is not to be replaced, or the upload fails.
    """
    fs, path = storage.system(url)
    _check(fs, path, url, overwrite=overwrite)
    folder = _folder(url)
    local, kept = folder / url.rpartition("/")[2], False
    try:
        yield local
        try:
            with storage.named(url):
                fs.put_file(str(local), path)
        except InputError as error:
            kept = True
            raise OutputError(f"{error}; the result is kept as {local}") from error
    except CmsrError as error:
        if kept:
            raise
        raise type(error)(str(error).replace(str(local), url)) from error
    finally:
        if not kept:
            local.unlink(missing_ok=True)
        with suppress(OSError):  # holds the tiles of a run that goes on later
            folder.rmdir()


def _check(fs: Any, path: str, url: str, *, overwrite: bool) -> None:
    """Try to write there before any work."""
    folder, _, name = path.rpartition("/")
    probe = f"{folder}/.{name}.cmsr"
    with storage.named(url):
        if fs.exists(path) and not overwrite:
            raise OutputError(f"{url}: exists already; choose another name or add --overwrite")
        fs.pipe_file(probe, b"")
        fs.rm_file(probe)


def _folder(url: str) -> Path:
    """Return this user's folder for a URL; it is made if it is not there."""
    name = hashlib.sha256(f"{getpass.getuser()} {url}".encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir(), f"cmsr-{name}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        own = not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({storage.reason(error)})") from error
    if folder.is_symlink() or not own:
        raise OutputError(f"{folder}: belongs to somebody else; set TMPDIR to another folder")
    return folder
