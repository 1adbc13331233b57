"""Messages to and from workers: a pair, settings common to all pairs, and the outcome."""

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

PAGE, PICTURE, ERRORS = "html", "preview.png", "error.tif"
"""Endings of the page, picture and expected errors that a pair may have, without the dot."""


@dataclass(frozen=True)
class Start:
    """State of a frame of a series that the next frame starts from.

    Attributes
    ----------
    key : str
        Digest of the frame's inputs and options.
    found : dict
        Entries of its record.
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
        Size and version or time; changes with the file. None where the storage gives none.
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
        Of the output and the record; "/" makes folders.
    target, guide : Source
        ``guide`` is None where there is none.
    ratio : float or (float, float) or None
        Of this pair, instead of the options'.
    frames : tuple of Source
        Other frames of the series that take part.
    """

    name: str
    target: Source
    guide: Source | None
    ratio: float | tuple[float, float] | None = None
    frames: tuple[Source, ...] = ()

    def config(self, settings: Settings) -> Config:
        """Return the options of this pair."""
        config = settings.config
        return config if self.ratio is None else dataclasses.replace(config, ratio=self.ratio)

    def key(self, settings: Settings) -> str:
        """Digest of the options of this pair."""
        return settings.key if self.ratio is None else f"{settings.key} ratio {self.ratio}"

    @property
    def sources(self) -> list[Source]:
        """Files to read."""
        pair = [self.target] if self.guide is None else [self.target, self.guide]
        return [*pair, *self.frames]

    @property
    def stamps(self) -> list[str | None]:
        """Stamps of the files to read."""
        return [source.stamp for source in self.sources]


@dataclass(frozen=True)
class Settings:
    """Settings common to all pairs of a run.

    Attributes
    ----------
    out : str
        Absolute path or URL of the folder of results.
    ending : str
        Of the outputs, without the dot.
    run : str
        Name of this run; only the run that has locked the folder may publish.
    threads : int
        Torch's threads in each worker.
    series : bool
        Whether a frame starts from the one before.
    config : Config
        Options of the upscaling.
    report, preview, error_map : bool
        Whether each pair gets a page, a picture, and its expected errors, as well.
    again : str
        Command that repeats the whole batch.
    """

    out: str
    ending: str
    run: str
    threads: int
    series: bool
    config: Config
    report: bool = False
    preview: bool = False
    error_map: bool = False
    again: str = ""

    @property
    def endings(self) -> list[str]:
        """Endings of a pair's outputs besides its record, without the dot."""
        wanted = {PAGE: self.report, PICTURE: self.preview, ERRORS: self.error_map}
        return [self.ending, *(ending for ending, given in wanted.items() if given)]

    @cached_property
    def key(self) -> str:
        """Digest of all that decides a result besides the pair: options, their files, version."""
        options = {**dataclasses.asdict(self.config), "series": self.series, "ending": self.ending}
        digest = hashlib.sha256(json.dumps([__version__, options], sort_keys=True).encode())
        for file in map(Path, (self.config.kernel, self.config.rig, self.config.prior)):
            if file.is_absolute() and file.is_file():
                digest.update(file.read_bytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Outcome:
    """Outcome of a pair.

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
        State for the next frame of a series.
    photo : float or None
        How far the photo counted, 0 to 1; None without one.
    """

    name: str
    status: Literal["done", "unchanged", "failed"]
    seconds: float = 0.0
    worker: str = ""
    memory_mb: float = 0.0
    error: str = ""
    fatal: bool = False
    start: Start | None = None
    photo: float | None = None
