"""Where a visitor's files lie during a task, under their own names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cmsr.app.job import Job
from cmsr.app.web import texts
from cmsr.config import Config


class Place(NamedTuple):
    """A visitor's files under their own names in a folder of their own."""

    folder: Path
    target: Path
    guide: Path | None

    def job(self, config: Config, *, picture: bool = False) -> Job:
        """Return the job of upscaling here, with file names as on a command line."""
        stem = Path(str(self.target).partition(":")[0]).stem
        return Job(
            target=self.target,
            guide=self.guide,
            out=Path(f"{stem}_sharp.tif"),
            preview=Path(f"{stem}_sharp.png") if picture else None,
            report=Path(f"{stem}_report.html"),
            config=texts.in_files(config, self.folder),
        )
