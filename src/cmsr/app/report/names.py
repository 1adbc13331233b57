"""Names of files without their folders: a report is passed on, the folders of a disk are not."""

from __future__ import annotations

import re
import shlex

_FOLDERS = re.compile(r"(?<![\w/\\.:])(?:[A-Za-z]:)?[/\\](?:[^\s/\\:'\"]+[/\\])+")


def plain_text(text: str, *known: str) -> str:
    """Return text without the folders of absolute paths; ``known`` are paths that may have spaces.

    >>> plain_text("/home/me/a.tif: holds no photo; 1/2 of it")
    'a.tif: holds no photo; 1/2 of it'
    """
    for path in known:
        text = text.replace(path, _name(path))
    return _FOLDERS.sub("", text)


def plain_command(command: str) -> str:
    """Return a command without the folders of its files.

    >>> plain_command("cmsr upscale '/home/my pair/a.tif' b.jpg -o out/c.tif --points=/d/e.csv")
    'cmsr upscale a.tif b.jpg -o c.tif --points=e.csv'

    URLs, which are no places of a disk, stay as they are.
    """
    parts = []
    for word in shlex.split(command):
        option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        parts.append(f"{option}{equals}{_name(value)}")
    return shlex.join(parts)


def _name(path: str) -> str:
    if "://" in path:
        return path
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1] or path
