"""Files in folders and in object storage, behind one interface."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec

from cmsr.app.batch.task import Source
from cmsr.errors import InputError, OptionError
from cmsr.io.atomic import replacing

OWN = ".batch"
"""Folder of a batch's own files, in the folder of results."""

_VERSIONS = ("ETag", "etag", "md5Hash", "crc32c", "LastModified", "last_modified", "created")
"""Entries of a listing that change with an object's content, best first."""


class MissingFileError(InputError):
    """A file that does not exist."""


@dataclass(frozen=True)
class Entry:
    """A file that exists; see `Source.stamp`."""

    size: int
    stamp: str | None


def is_remote(url: str) -> bool:
    """Tell whether a name is a URL rather than a path."""
    return "://" in url


def absolute(url: str | os.PathLike[str]) -> str:
    """Return a name that means the same everywhere: a URL, or an absolute path."""
    text = os.fspath(url)
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    return text.rstrip("/") if is_remote(text) else os.path.abspath(text)


def resolved(name: str, folder: str) -> str:
    """Return an absolute name for one that is relative to ``folder``."""
    if is_remote(name) or os.path.isabs(name):
        return absolute(name)
    return f"{folder}/{name}" if is_remote(folder) else os.path.abspath(os.path.join(folder, name))


def parent(url: str) -> str:
    """Return the folder that a name is in."""
    return url.rpartition("/")[0] if is_remote(url) else os.path.dirname(url)


def system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises
    ------
    OptionError
        If there is no such kind of storage, or the library for it is not installed.
    """
    try:
        return fsspec.core.url_to_fs(url)  # type: ignore[no-any-return]
    except ImportError as error:
        raise OptionError(f"{url}: {error}; for s3://: pip install 'cmsr[s3]'") from error
    except ValueError as error:
        raise OptionError(f"{url}: {error}") from error


@contextmanager
def named(url: str) -> Iterator[None]:
    """Name the URL in errors of its storage.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If the storage refuses.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise MissingFileError(f"{url}: no such file or bucket") from error
    except PermissionError as error:
        raise InputError(
            f"{url}: access denied ({reason(error)}); check the credentials"
        ) from error
    except OSError as error:
        raise InputError(f"{url}: cannot be reached ({reason(error)})") from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("botocore", "aiohttp", "google", "gcsfs"):
            raise
        raise InputError(f"{url}: {reason(error)}") from error


def reason(error: Exception) -> str:
    """Return the system's words for an error, in one line."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())


@dataclass
class Listing:
    """Existing files; a folder of object storage is listed once."""

    _folders: dict[str, dict[str, Entry]] = field(default_factory=dict)

    def entry(self, url: str) -> Entry | None:
        """Return size and stamp of a file, or None if it does not exist."""
        if not is_remote(url):
            return _local(url)
        folder, _, name = url.rpartition("/")
        if folder not in self._folders:
            self._folders[folder] = _listed(folder)
        return self._folders[folder].get(name)

    def source(self, url: str) -> Source | None:
        """Find the file of FILE or FILE:PART; None if it does not exist."""
        before, _, part = url.rpartition(":")
        for file, member in ((url, ""), (before, part)):
            entry = self.entry(file) if file else None
            if entry is not None:
                return Source(file, member, entry.stamp)
        return None


def _local(path: str) -> Entry | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    whole = not stat.S_ISDIR(status.st_mode)
    return Entry(status.st_size, f"{status.st_size} {status.st_mtime_ns}" if whole else None)


def _listed(folder: str) -> dict[str, Entry]:
    fs, path = system(folder)
    try:
        with named(folder):
            entries = fs.ls(path, detail=True, refresh=True)
    except MissingFileError:
        return {}
    return {entry["name"].rpartition("/")[2]: _entry(entry) for entry in entries}


def _entry(facts: dict[str, Any]) -> Entry:
    size = facts.get("size") or 0
    versions = (str(facts[name]) for name in _VERSIONS if facts.get(name) is not None)
    version = next(versions, None)
    return Entry(size, version and f"{size} {version}")


def read_bytes(url: str) -> bytes:
    """Read a whole file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    with named(url):
        if not is_remote(url):
            return Path(url).read_bytes()
        fs, path = system(url)
        return bytes(fs.cat_file(path))


def write_bytes(url: str, content: bytes) -> None:
    """Write a small file, whole or not at all."""
    if not is_remote(url):
        with replacing(Path(url)) as temporary:
            temporary.write_bytes(content)
        return
    fs, path = system(url)
    with named(url):
        fs.pipe_file(path, content)


def fetch(url: str, folder: Path) -> Path:
    """Return a local file with the content of ``url``: itself, or a copy in ``folder``.

    Raises
    ------
    InputError
        If it cannot be fetched.
    """
    if not is_remote(url):
        return Path(url)
    fs, path = system(url)
    copy = folder / secrets.token_hex(4) / url.rpartition("/")[2]
    copy.parent.mkdir()
    with named(url):
        fs.get_file(path, str(copy))
    return copy
