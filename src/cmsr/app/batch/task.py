"""What is handed to a worker, and what comes back; all of it small enough to travel."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from cmsr import __version__
from cmsr.config import Config


@dataclass(frozen=True)
class Start:
    """What a frame of a series takes over from the frame before.

    Attributes
    ----------
    key : str
        Of the frame before.
    found : dict
        What was found in it, as its record holds it.
    """

    key: str
    found: dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A file to read.

    Attributes
    ----------
    file : str
        Absolute path or URL.
    part : str
        Page or variable of the file; "" where none is named.
    stamp : str or None
        Tells without reading whether the file is the same as before; None where nothing does.
    """

    file: str
    part: str = ""
    stamp: str | None = None


@dataclass(frozen=True)
class Task:
    """One pair.

    Attributes
    ----------
    name : str
        Names the output and the record; "/" makes folders.
    target, guide : Source
        ``guide`` is None where there is none.
    """

    name: str
    target: Source
    guide: Source | None

    @property
    def sources(self) -> list[Source]:
        """Files to read."""
        return [self.target] if self.guide is None else [self.target, self.guide]

    @property
    def stamps(self) -> list[str | None]:
        """Stamps of the files to read."""
        return [source.stamp for source in self.sources]


@dataclass(frozen=True)
class Settings:
    """What all pairs of a run have in common.

    Attributes
    ----------
    out : str
        Absolute path or URL of the folder of results.
    ending : str
        Of the outputs, without the dot.
    run : str
        Names this run: only the run that holds the folder may publish.
    threads : int
        Torch's threads in each worker.
    series : bool
        Whether a frame starts from the one before.
    config : Config
        How to do it.
    report : bool
        Whether each pair gets a page, too.
    again : str
        What to type to do the whole batch again.
    """

    out: str
    ending: str
    run: str
    threads: int
    series: bool
    config: Config
    report: bool = False
    again: str = ""

    @property
    def endings(self) -> list[str]:
        """Endings of what is made of a pair besides its record, without the dot."""
        return [self.ending, "html"] if self.report else [self.ending]

    @cached_property
    def key(self) -> str:
        """Digest of all that decides a result besides the pair: options, version, kernel file."""
        options = {**dataclasses.asdict(self.config), "series": self.series, "ending": self.ending}
        digest = hashlib.sha256(json.dumps([__version__, options], sort_keys=True).encode())
        kernel = Path(self.config.kernel)
        if kernel.is_absolute() and kernel.is_file():
            digest.update(kernel.read_bytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What became of a pair.

    Attributes
    ----------
    name : str
        Of the pair.
    status : {"done", "unchanged", "failed"}
        ``unchanged`` where the result was there already.
    seconds : float
        Spent on it by the worker.
    worker : str
        Host and process.
    memory_mb : float
        Resident size of the worker's process afterwards.
    error : str
        One line, where it failed.
    fatal : bool
        Whether every other pair would fail as well.
    start : Start or None
        What the next frame takes over.
    """

    name: str
    status: Literal["done", "unchanged", "failed"]
    seconds: float = 0.0
    worker: str = ""
    memory_mb: float = 0.0
    error: str = ""
    fatal: bool = False
    start: Start | None = None
