"""One upscaling of files: every page, at once or row by row, and all that is written of it.

Plotting is imported late: most runs draw nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from cmsr.app import record
from cmsr.app.options import upscale_command
from cmsr.config import Config
from cmsr.errors import OptionError, OutputError
from cmsr.guided.solve import TileMaker
from cmsr.io import carried, error_map, image_files, inputs, raster_io, raster_output
from cmsr.io.atomic import replacing
from cmsr.io.pages import nearest
from cmsr.io.pages import pages as pages_of
from cmsr.io.raster import Raster
from cmsr.io.result_size import held_gigabytes
from cmsr.pair import asked_shape
from cmsr.progress import WRITING, Progress, begin
from cmsr.prologue import Opened, opened, with_frames
from cmsr.result import Result
from cmsr.run import Run

TIFF = (".tif", ".tiff")

Cluster = Callable[[Opened, Path, Path | None, Path], AbstractContextManager[TileMaker]]
"""Provides what makes the tiles of a pair, from the pair, its files and that of the result."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One upscaling: its inputs, outputs and options.

    Attributes
    ----------
    target, guide : Path
        ``guide`` is None where there is none, or ``target`` holds it.
    out, json, preview, report, error_map : Path
        The result, the record of the run, the picture, the page, the expected error of each pixel;
        all but the first may be None.
    colour_map, preview_range : str, (float, float) or None
        Of the preview.
    overwrite : bool
        Whether files that exist are replaced.
    config : Config
        How to do it.
    previous : mapping or None
        `Result.info` of the frame before, see `cmsr.upscale`.
    frames : tuple of Path
        Other frames of the series; a target of several pages has its own.
    again : str or None
        What to type to do it again, for the report; `cmsr upscale` with these files if None.
    cluster : callable or None
        Where tiles are made, if not in this process.
    cog : bool
        Whether the result is a cloud-optimised GeoTIFF, whatever the target is.
    """

    target: Path
    guide: Path | None = None
    out: Path
    json: Path | None = None
    preview: Path | None = None
    report: Path | None = None
    error_map: Path | None = None
    colour_map: str = "inferno"
    preview_range: tuple[float, float] | None = None
    overwrite: bool = False
    config: Config
    previous: Mapping[str, Any] | None = None
    frames: tuple[Path, ...] = ()
    again: str | None = None
    cluster: Cluster | None = None
    cog: bool = False

    def run(self, progress: Progress | None = None) -> list[dict[str, Any]]:
        """Do it; return the facts of each page.

        Raises
        ------
        CmsrError
            If an input, an option or an output cannot be used; nothing is written then.
        """
        pages = pages_of(self.target)
        self._check_outputs(len(pages))
        if self.cluster is not None or (len(pages) == 1 and self._too_large()):
            facts = [self._by_rows(progress)]
        else:
            facts = self._at_once(pages, progress)
        if self.json:
            record.write_json(self.json, record.of_pages(facts))
        return facts

    def command(self) -> str:
        """Return what to type to do it again."""
        return self.again or upscale_command(self.target, self.guide, self.out, self.config)

    def _files(self) -> list[Path]:
        """Input files, without what is named inside them."""
        named = [self.target] if self.guide is None else [self.target, self.guide]
        return [image_files.locate(path)[0] for path in named]

    def _check_outputs(self, pages: int) -> None:
        outputs = record.files(self.out, self.json, self.preview, self.report, self.error_map)
        image_files.check_distinct(outputs)
        for path in outputs:
            image_files.check_output(path, inputs=self._files(), overwrite=self.overwrite)
        if self.error_map and self.config.method == "two-branch":
            raise OptionError(f"--error-map: preset {self.config.preset} does not tell errors")
        if self.preview:
            from cmsr.io import preview

            preview.check(self.preview, self.colour_map, self.preview_range)
        if self.report:
            from cmsr.app.report import page

            page.check(self.report)
        if self.cog and (pages > 1 or self.out.suffix.lower() not in TIFF):
            raise OptionError("--cog requires a result of one page whose name ends in .tif")
        if pages == 1 and self.previous is None:
            self.config.refuse(
                ["fuse"], "requires a target of several pages, or a batch's --series"
            )
        if pages > 1 and (self.preview or self.report):
            raise OptionError("a preview or a report shows one page; name it as FILE:1")
        if self.cluster is not None:
            self._check_cluster(pages)

    def _check_cluster(self, pages: int) -> None:
        if pages > 1:
            raise OptionError("workers make one page at a time; name it as FILE:1")
        if self.config.method == "two-branch":
            raise OptionError(f"workers cannot make tiles with preset {self.config.preset}")
        if self.report:
            raise OptionError("--report cannot be combined with workers, a scheduler or a cluster")
        if others := self._not_by_rows():
            raise OutputError(f"{others[0]}: workers write .tif only")

    def _too_large(self) -> bool:
        """Return whether the result is too large to be kept in memory, and can be made by rows."""
        if self.config.method == "two-branch":
            return False
        shape = self._expected()
        return shape is not None and held_gigabytes(shape, 1) > self.config.max_memory / 2

    def _expected(self) -> tuple[int, int] | None:
        """Return the size of the result, as far as it is known before the photo is placed."""
        if self.config.ratio is not None:
            target = inputs.read_pair(self.target, self.guide, self.config, lazily=True).target
            return asked_shape(target.shape, self.config)
        if self.config.size is not None or self.guide is None or image_files.is_array(self.guide):
            return asked_shape((0, 0), self.config)
        return image_files.describe(self.guide).grid.shape

    def _at_once(
        self, pages: list[inputs.Source], progress: Progress | None
    ) -> list[dict[str, Any]]:
        """Make each page in memory, then write all."""
        written, errors, facts = [], [], []
        for place, source in enumerate(pages):
            others = nearest(place, len(pages), self.config.fuse)
            frames = [*self.frames, *(pages[other] for other in others)]
            pair = with_frames(self._opened(source, progress), frames)
            self._check_formats(pair.target)
            result = self._upscale(pair, progress)
            written.append((result.image, result.valid, pair.target))
            if result.error is not None:
                errors.append((result.error, result.valid, error_map.error_raster(pair.target)))
            facts.append(record.of_run(result.info))
        begin(progress, WRITING)
        image_files.write_pages(self.out, written, self._carried(written[0][2]))
        if self.error_map:
            image_files.write_pages(self.error_map, errors)
        if self.report:
            from cmsr.app.report import page

            page.write(self.report, result, self.command())
        if self.preview:
            from cmsr.io import preview

            preview.write(self.preview, *written[0], self.colour_map, self.preview_range)
        return facts

    def _opened(
        self, target: inputs.Source, progress: Progress | None, *, lazily: bool = False
    ) -> Opened:
        """Open the pair; a target is taken for a COG if the result is to be one."""
        pair = opened(target, self.guide, self.config, lazily=lazily, progress=progress)
        profile = pair.target.profile | ({"cog": True} if self.cog else {})
        return replace(pair, target=replace(pair.target, profile=profile))

    def _upscale(self, pair: Opened, progress: Progress | None) -> Result:
        return Run(pair, self.previous, progress).result()

    def _by_rows(self, progress: Progress | None) -> dict[str, Any]:
        """Make the result row by row into a GeoTIFF, whole or not at all."""
        if self.cluster is None and (self.report or self._not_by_rows()):
            self._refuse_rows()
        pair = with_frames(self._opened(self.target, progress, lazily=True), self.frames)
        self._check_formats(pair.target)
        with (
            self._maker(pair) as maker,
            replacing(self.out, fixed=self.cluster is not None) as temporary,
        ):
            run = Run(pair, self.previous, progress, maker)
            with (
                raster_output.by_rows(temporary, pair.target, pair.pair.shape) as write,
                error_map.by_rows(self.error_map, pair.target, pair.pair.shape) as write_errors,
            ):
                for rows in run.rows():
                    stored, valid = run.stored(rows)
                    write(rows.first, stored, valid)
                    write_errors(rows.first, run.expected_error(rows), valid)
            about = self._carried(pair.target).sized(pair.pair.shape, pair.target.shape)
            with temporary.open("r+b") as file:
                about.into(file, cog=bool(pair.target.profile.get("cog")))
        if self.preview:
            from cmsr.io import preview

            shown = raster_io.thinned(str(self.out), preview.LARGEST)
            image = np.moveaxis(shown.data[: len(pair.target.data)], 0, -1)
            preview.write(
                self.preview, image, shown.valid, pair.target, self.colour_map, self.preview_range
            )
        return record.of_run(run.info())

    def _check_formats(self, target: Raster) -> None:
        image_files.check_output(self.out, like=target, overwrite=True)
        if self.error_map:
            like = error_map.error_raster(target)
            image_files.check_output(self.error_map, like=like, overwrite=True)

    def _refuse_rows(self) -> NoReturn:
        height, width = self._expected() or (0, 0)
        needed = 2 * held_gigabytes((height, width), 1)
        reason = (
            f"a result of {width} × {height} pixels is too large for --max-memory and is written "
            "row by row, as .tif and without a report; "
            f"--max-memory {math.ceil(10 * needed) / 10:g} keeps it in memory"
        )
        if self.report:
            raise OptionError(reason)
        raise OutputError(f"{self._not_by_rows()[0]}: {reason}")

    def _not_by_rows(self) -> list[Path]:
        """Return the images that are to have a format which is not written row by row."""
        images = (self.out, self.error_map)
        return [path for path in images if path and path.suffix.lower() not in TIFF]

    def _carried(self, target: Raster) -> carried.Carried:
        """Return what the target's file says besides its pixels, for the result."""
        if self.config.strip_metadata:
            return carried.Carried()
        thermal = "camera" in target.profile or target.unit()[2] == "°C"
        return carried.read(image_files.locate(self.target)[0], thermal=thermal)

    def _maker(self, pair: Opened) -> AbstractContextManager[TileMaker | None]:
        """Provide what makes tiles: None for this process."""
        if self.cluster is None:
            return nullcontext()
        return self.cluster(pair, self.target, self.guide, self.out)
