"""One upscaling of files: every page, at once or by windows, and all that is written of it.

Plotting is imported late: most runs draw nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmsr import pipeline, windows
from cmsr.app import record
from cmsr.app.options import upscale_command
from cmsr.config import Config
from cmsr.errors import OptionError
from cmsr.io import image_files, inputs, raster_io
from cmsr.io.raster import Raster
from cmsr.two_branch.train import Progress


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to upscale, and where to write what.

    Attributes
    ----------
    target, guide : Path
        ``guide`` is None where there is none, or ``target`` holds it.
    out, json, preview, report : Path
        The result, the record of the run, the picture, the page; all but the first may be None.
    colour_map : str
        Of the preview.
    overwrite : bool
        Whether files that exist are replaced.
    config : Config
        How to do it.
    previous : mapping or None
        What was found in the frame before, see `pipeline.upscale`.
    again : str or None
        What to type to do it again, for the report; `cmsr upscale` with these files if None.
    """

    target: Path
    guide: Path | None
    out: Path
    json: Path | None
    preview: Path | None
    report: Path | None
    colour_map: str
    overwrite: bool
    config: Config
    previous: Mapping[str, Any] | None = None
    again: str | None = None

    def run(self, progress: Progress | None = None) -> list[dict[str, Any]]:
        """Do it; return what is to be told of each page.

        Raises
        ------
        CmsrError
            If an input, an option or an output cannot be used; nothing is written then.
        """
        pages = inputs.pages(self.target)
        self._check_outputs(len(pages))
        if len(pages) == 1 and self._too_large():
            if self.report:
                raise OptionError("a report needs the whole image in memory; raise --max-memory")
            facts = [self._by_windows(progress)]
        else:
            facts = self._whole(pages, progress)
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
        named = (self.out, self.json, self.preview, self.report)
        outputs = [path for path in named if path is not None]
        image_files.check_distinct(outputs)
        for path in outputs:
            image_files.check_output(path, inputs=self._files(), overwrite=self.overwrite)
        if self.preview:
            from cmsr.io import preview

            preview.check(self.preview, self.colour_map)
        if self.report:
            from cmsr.app.report import page

            page.check(self.report)
        if pages > 1 and (self.preview or self.report):
            raise OptionError("a preview or a report goes with one page; name it as FILE:1")

    def _too_large(self) -> bool:
        """Tell whether the result is too large to be worked on at once."""
        if self.guide is None:
            if self.config.ratio is None or image_files.is_array(self.target):
                return False
            low = image_files.describe(self.target).grid.shape
            return windows.needed(windows.enlarged(low, self.config.ratio), 1, self.config)
        if image_files.is_array(self.guide):
            return False
        return windows.needed(image_files.describe(self.guide).grid.shape, 1, self.config)

    def _whole(self, pages: list[inputs.Source], progress: Progress | None) -> list[dict[str, Any]]:
        written, facts = [], []
        for source in pages:
            target, guide, notes = inputs.read_pair(source, self.guide, self.config)
            image_files.check_output(self.out, like=target, overwrite=True)
            result = self._upscale(target, guide, progress)
            result.info["notes"][:0] = notes
            written.append((result.image, result.valid, target))
            facts.append(record.of_run(result.info))
        image_files.write_pages(self.out, written)
        if self.report:
            from cmsr.app.report import page

            page.write(self.report, result, self.command())
        if self.preview:
            from cmsr.io import preview

            preview.write(self.preview, *written[0], self.colour_map)
        return facts

    def _upscale(
        self, target: Raster, guide: Raster | None, progress: Progress | None
    ) -> pipeline.Result:
        options = dataclasses.asdict(self.config)
        return pipeline.upscale(target, guide, progress=progress, previous=self.previous, **options)

    def _by_windows(self, progress: Progress | None) -> dict[str, Any]:
        if self.config.segments is not None:
            raise OptionError("segments goes with images worked on at once; raise --max-memory")
        notes: list[str] = []
        common = inputs.common_grid(self.target, self.guide)
        window, grid = (common.window, common.grid) if common else (None, None)
        target, _ = inputs.read_target(self.target, self.config, notes, window)
        target = inputs.prepared(target, self.config, notes)
        image_files.check_output(self.out, like=target, overwrite=True)
        if self.guide is None:
            guide, shape = None, windows.enlarged(target.shape, self.config.ratio or 1)
        else:
            guide = windows.reader(self.guide, self.config, grid)
            shape = grid.shape if grid else image_files.describe(self.guide).grid.shape
        inputs.check_pixels(str(self.guide or self.target), shape, self.config)
        info = windows.upscale_to_file(target, guide, shape, self.out, self.config, progress)
        info["notes"][:0] = notes
        if self.preview:
            from cmsr.io import preview

            shown = raster_io.thinned(str(self.out), preview.LARGEST)
            preview.write(self.preview, shown.data[0], shown.valid, target, self.colour_map)
        return record.of_run(info)
