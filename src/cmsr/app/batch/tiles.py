"""One image's tiles to workers and back; those of an interrupted run are used again."""

from __future__ import annotations

import glob
import hashlib
import json
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from distributed import Client, Future, KilledWorker, as_completed
from torch import Tensor

from cmsr import __version__
from cmsr.app.batch.clusters import Workers
from cmsr.app.batch.engine import at_once, not_lost
from cmsr.config import Config
from cmsr.errors import CmsrError, InputError, OutputError, RunError
from cmsr.guided.calibration import Calibration
from cmsr.guided.solve import TileMaker, layer_count, layers
from cmsr.guided.source import Source
from cmsr.io import image_files
from cmsr.io.atomic import replacing
from cmsr.io.digest import digest
from cmsr.operators.resampling import Box
from cmsr.parallel import pooled
from cmsr.prologue import Opened, opened

AHEAD = 2
"""Tiles handed out per worker, so that none has to wait for the next."""

RETRIES = 3
"""Further attempts at a tile that fails, or whose worker dies."""

Layers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Files:
    """A pair for workers to open.

    Attributes
    ----------
    target : Path
        The target, absolute.
    guide : Path or None
        The guide; None without one, or where the target holds it.
    config : Config
        The options that count once the calibration is made.
    sizes, times : tuple of int
        Bytes of each file, and when it was changed last.
    """

    target: Path
    guide: Path | None
    config: Config
    sizes: tuple[int, ...]
    times: tuple[int, ...]

    @classmethod
    def of(cls, pair: Opened, target: Path, guide: Path | None) -> Self:
        """Name the files of a pair that is open."""
        prior = pair.config.prior_file
        config = replace(
            pair.config,
            kernel="auto",
            segments=None,
            prior=str(Path(prior).absolute()) if prior else pair.config.prior,
            device="cuda" if pair.pair.target.is_cuda else "cpu",
        )
        guide = guide and guide.absolute()
        stats = [path.stat() for path in _paths(target, guide)]
        sizes = tuple(stat.st_size for stat in stats)
        times = tuple(stat.st_mtime_ns for stat in stats)
        return cls(target.absolute(), guide, config, sizes, times)

    def digest(self, calibration: str) -> str:
        """Return a name for all that decides the bytes of the tiles."""
        whole = hashlib.sha256(f"{__version__} {self.config} {calibration}".encode())
        for named, path in zip((self.target, self.guide), self.paths, strict=False):
            whole.update(digest(path) + str(named).removeprefix(str(path)).encode() + b" ")
        return whole.hexdigest()[:16]

    @property
    def paths(self) -> list[Path]:
        """The files, without what is named inside them."""
        return _paths(self.target, self.guide)


def _paths(target: Path, guide: Path | None) -> list[Path]:
    return [image_files.locate(path)[0] for path in (target, guide) if path is not None]


@lru_cache(maxsize=1)
def _source(files: Files) -> Source:
    """Open a pair, once a process.

    Raises
    ------
    InputError
        If a file is not what it was where the work began.
    """
    for path, size in zip(files.paths, files.sizes, strict=True):
        if not path.exists() or path.stat().st_size != size:
            raise InputError(f"{path}: a worker does not find this file, or finds a different one")
    return opened(files.target, files.guide, files.config, lazily=True).source


@lru_cache(maxsize=1)
def _calibration(text: str) -> Calibration:
    return Calibration.of_json(json.loads(text))


def make(files: Files, calibration: str, box: Box) -> Layers:
    """Make one tile in a worker, by one thread: the bytes are those of a run without workers.

    Parameters
    ----------
    files : Files
        The pair.
    calibration : str
        As JSON.
    box : Box
        The part of the target that the tile is computed from.

    Returns
    -------
    array of float32, shape (2 C + 1, H, W)
        Image, expected error and weight, see `cmsr.guided.solve.layers`.
    """
    torch.set_num_threads(1)
    source, found = _source(files), _calibration(calibration)
    made: Layers = pooled(lambda: layers(source, box, found)).cpu().numpy()
    return made


@contextmanager
def on_workers(
    workers: Workers, pair: Opened, target: Path, guide: Path | None, out: Path
) -> Iterator[TileMaker]:
    """Start or reach workers, and provide what makes a pair's tiles on them.

    Finished tiles are kept in a folder beside ``out`` until all is done: a later run with the same
    files, options and calibration begins with them.

    Raises
    ------
    OptionError
        If the scheduler or the cluster cannot be used.
    """
    files = Files.of(pair, target, guide)
    gpus = torch.cuda.device_count() if files.config.device == "cuda" else 0
    with replace(workers, gpus=gpus).client(len(pair.source.plan)) as client:

        def made(source: Source, calibration: Calibration) -> Iterator[Tensor]:
            text = json.dumps(calibration.to_json())
            folder = _folder(out, files.digest(text))
            return _Tiles(client, files, text, folder, source, workers.retries).in_order()

        yield made
    for folder in out.parent.glob(f"{glob.escape(_folder(out, '').name)}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _folder(out: Path, name: str) -> Path:
    return out.with_name(f".{out.name}.tiles-{name}")


@dataclass
class _Tiles:
    """Tiles of one image under work, and in their folder."""

    client: Client
    files: Files
    calibration: str
    folder: Path
    source: Source
    retries: int
    under_way: dict[object, int] = field(default_factory=dict)

    def in_order(self) -> Iterator[Tensor]:
        """Make all tiles that are not there yet, and yield each in its turn."""
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written ({error.strerror})") from error
        boxes = [tile.outer for band in self.source.plan.bands() for tile in band]
        there = {index for index, box in enumerate(boxes) if self._stored(index, box) is not None}
        waiting = deque(index for index in range(len(boxes)) if index not in there)
        finished = as_completed(loop=self.client.loop)
        for index, box in enumerate(boxes):
            while index not in there or (self.under_way and finished.has_ready()):
                with not_lost(self.client, "tiles"):
                    self._submit(waiting, boxes, finished)
                    future = next(finished)
                    tile, result = self.under_way.pop(future.key), _result(future)
                with replacing(self._file(tile)) as temporary:
                    np.save(temporary, result)
                there.add(tile)
            stored = self._stored(index, box)
            if stored is None:
                raise OutputError(f"{self._file(index)}: cannot be read again")
            yield torch.from_numpy(stored)

    def _submit(self, waiting: deque[int], boxes: list[Box], finished: as_completed) -> None:
        """Hand out tiles, a few for each worker."""
        while waiting and len(self.under_way) < AHEAD * max(1, at_once(self.client)):
            index = waiting.popleft()
            future = self.client.submit(
                make, self.files, self.calibration, boxes[index], pure=False, retries=self.retries
            )
            self.under_way[future.key] = index
            finished.add(future)

    def _file(self, index: int) -> Path:
        return self.folder / f"{index}.npy"

    def _stored(self, index: int, box: Box) -> Layers | None:
        """Return a tile from the folder; None where it is missing or damaged."""
        try:
            stored = np.load(self._file(index), mmap_mode="c", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        top, left, bottom, right = self.source.plan.fine(box)
        count = layer_count(self.source.pair.target.shape[1])
        shape = count, bottom - top, right - left
        return stored if stored.dtype == np.float32 and stored.shape == shape else None


def _result(future: Future[Layers]) -> Layers:
    """Return a tile.

    Raises
    ------
    CmsrError
        If an input cannot be used.
    RunError
        If it cannot be made for another reason.
    """
    if future.status != "error":
        return future.result()
    error = future.exception()
    if isinstance(error, CmsrError):
        raise error
    if isinstance(error, KilledWorker):
        raise RunError(
            "workers died repeatedly on one tile; there may not be enough memory"
        ) from error
    raise RunError(f"a tile failed: {type(error).__name__}: {error}") from error
