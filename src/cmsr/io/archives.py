"""Images in a ZIP: ``photos.zip``, ``photos.zip:a/b.tif``, ``/vsizip/photos.zip/a/b.tif``.

The one that is meant is unpacked, with what stands beside it, into a folder of the process's own;
the latest are kept.
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
import threading
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path, PurePosixPath

from cmsr.errors import InputError

_LARGEST = 2**31
"""Bytes, unpacked, of an image in a ZIP."""

_MOST_PACKED = 500
"""How many times smaller than an image its packed form may be, beyond `_SMALL` bytes."""

_SMALL = 2**24

_BESIDE = (".aux.xml", ".msk", ".hdr", ".tfw", ".tifw", ".pgw", ".jgw", ".wld", ".prj", ".ovr")
"""Endings of what stands beside an image: appended to its name, or in place of its own."""

_NO_IMAGE = (*_BESIDE, ".xml", ".md", ".html", ".pdf", ".json", ".log", ".zip", ".py", ".ini")

_MOST_KEPT = 32
"""Unpacked images that are kept, at most: more than a pair and its mask need at a time."""

_kept: OrderedDict[tuple[str, int, int, str], Path] = OrderedDict()
_lock = threading.Lock()


@atexit.register
def _clear() -> None:
    """Remove what was unpacked."""
    for file in _kept.values():
        shutil.rmtree(file.parent, ignore_errors=True)
    _kept.clear()


_BROKEN = (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError,
           ValueError)  # fmt: skip


def split(text: str) -> tuple[Path, str] | None:
    """Split the name of an image in a ZIP into the ZIP and the rest; None for any other name."""
    named = text.removeprefix("/vsizip/")
    for end in (match.end() for match in re.finditer(r"\.zip(?=$|[:/!])", named, re.IGNORECASE)):
        for path in [Path(named[:end]), *([] if named == text else [Path("/", named[:end])])]:
            if path.is_file() and zipfile.is_zipfile(path):
                return path, named[end + 1 :].lstrip("/")
    return None


def images(path: Path) -> list[str]:
    """Return the names of what may be images in a ZIP.

    Raises
    ------
    InputError
        If it is broken.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [one.filename for one in archive.infolist() if _may_be_image(one)]
    except _BROKEN as error:
        raise InputError(f"{path}: not a ZIP that can be read ({error})") from error


def _may_be_image(one: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(one.filename).parts
    hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in parts)
    return not (one.is_dir() or hidden or one.filename.lower().endswith(_NO_IMAGE))


def unpacked(path: Path, inner: str) -> tuple[Path, str]:
    """Return where an image of a ZIP was unpacked to, and the variable or page in it.

    Raises
    ------
    InputError
        If there is none of that name, none of several is named, or it is too large.
    """
    known = images(path)
    listed = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    if not inner:
        if len(known) != 1:
            holds = f"several files; name one as {path}:NAME ({listed})" if known else "no image"
            raise InputError(f"{path}: holds {holds}")
        inner = known[0]
    file, _, member = (inner, "", "") if inner in known else inner.rpartition(":")
    if file not in known:
        raise InputError(f"{path}: holds no {inner}" + (f", but {listed}" if known else ""))
    status = path.stat()
    wanted = str(path.absolute()), status.st_mtime_ns, status.st_size, file
    with _lock:
        if wanted not in _kept:
            _kept[wanted] = _unpacked(path.absolute(), file)
        _kept.move_to_end(wanted)
        while len(_kept) > _MOST_KEPT:
            shutil.rmtree(_kept.popitem(last=False)[1].parent, ignore_errors=True)
        return _kept[wanted], member


def _unpacked(path: Path, inner: str) -> Path:
    """Unpack an image and what stands beside it into a new folder, under its last name alone."""
    folder = Path(tempfile.mkdtemp(prefix="cmsr-zip-"))
    stem = inner.rpartition(".")[0]
    beside = {f"{start}{ending}" for start in (inner, stem) for ending in _BESIDE}
    try:
        with zipfile.ZipFile(path) as archive:
            for one in archive.infolist():
                if one.filename == inner or one.filename in beside:
                    _unpack(archive, one, folder / PurePosixPath(one.filename).name, path)
    except (InputError, *_BROKEN) as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}:{inner}: cannot be unpacked ({error})") from error
    return folder / PurePosixPath(inner).name


def _unpack(archive: zipfile.ZipFile, one: zipfile.ZipInfo, target: Path, path: Path) -> None:
    """Unpack one file, no more of it than it says, and nothing that is suspiciously well packed."""
    name, size = f"{path}:{one.filename}", one.file_size
    if one.flag_bits & 1:
        raise InputError(f"{name}: is encrypted; unpack it first")
    if size > _LARGEST:
        raise InputError(f"{name}: is {size / 2**30:.1f} GB unpacked; unpack it first")
    if size > _SMALL and size > _MOST_PACKED * max(1, one.compress_size):
        raise InputError(f"{name}: is packed {size // max(1, one.compress_size)} times, as no "
                         "image is; unpack it first if you trust it")  # fmt: skip
    with archive.open(one) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
