"""A whole batch: find the work, hand it out, show the progress, write the contact sheet."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cmsr.app import options
from cmsr.app.batch import clusters, engine, lock, sheet, storage
from cmsr.app.batch.journal import Journal, opened
from cmsr.app.batch.progress import Display, Tally
from cmsr.app.batch.table import SHEET, read_table
from cmsr.app.batch.task import Settings
from cmsr.app.batch.worklist import JOURNAL, Worklist, find_work
from cmsr.config import Config

Ending = Literal["tif", "png", "npy", "exr"]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Options of `cmsr batch`.

    Attributes
    ----------
    pairs, out : str
        Table and folder of results; paths or URLs.
    ending : {"tif", "png", "npy", "exr"}
        Of the results' names.
    series : bool
        Whether each frame of a series starts from the one before.
    report : bool
        Whether each pair gets a page, too.
    overwrite : bool
        Whether files that no batch has made are replaced.
    workers : Workers
        Number and place of the workers.
    config : Config
        Options of each pair's upscaling.
    """

    pairs: str
    out: str
    ending: Ending = "tif"
    series: bool = False
    report: bool = False
    overwrite: bool = False
    workers: clusters.Workers
    config: Config

    def run(self, display: Display) -> Tally:
        """Run the batch; return its counts.

        Raises
        ------
        CmsrError
            If the table, the options or the folder cannot be used; nothing is done then.
        RunError
            If the work was cut short; finished pairs are kept.
        """
        table, out = storage.absolute(self.pairs), storage.absolute(self.out)
        config = _checked(self.config)
        rows = read_table(table)
        with lock.held(out) as run:
            settings = Settings(
                out,
                self.ending,
                run,
                self.workers.threads,
                self.series,
                config,
                report=self.report,
                again=self._again(table, out, config),
            )
            worklist = find_work(table, rows, settings, overwrite=self.overwrite)
            with opened(f"{out}/{JOURNAL}") as journal:
                tally = _begun(len(rows), worklist, journal, display)
                if worklist.queues:
                    self._work(worklist, settings, tally, journal, display)
                    sheet.write(f"{out}/{SHEET}.png", out, [row.name for row in rows], self.ending)
                journal.add(
                    "end", done=tally.done, unchanged=tally.unchanged, failed=len(tally.failed)
                )
        return tally

    def _again(self, table: str, out: str, config: Config) -> str:
        """Return the command that repeats the batch."""
        words = ["cmsr", "batch", table, "-o", out, "--format", self.ending, "--report"]
        words += ["--threads", str(self.workers.threads), *(["--series"] if self.series else [])]
        return shlex.join([*words, *options.words(config)])

    def _work(
        self,
        worklist: Worklist,
        settings: Settings,
        tally: Tally,
        journal: Journal,
        display: Display,
    ) -> None:
        workers = dataclasses.replace(
            self.workers,
            gpus=_gpus(settings.config),
            in_process=self.workers.in_process or settings.out.startswith("memory://"),
        )
        with workers.client(len(worklist.queues)) as client:
            if not workers.in_process:
                display.say(f"dashboard: {client.dashboard_link}")
            for finished in engine.work(client, worklist.queues, settings, self.workers.retries):
                outcome = finished.outcome
                tally.running, tally.workers = finished.running, finished.workers
                if outcome.status == "failed":
                    tally.failed.append((outcome.name, outcome.error))
                else:
                    tally.done += outcome.status == "done"
                    tally.unchanged += outcome.status == "unchanged"
                facts = dataclasses.asdict(outcome)
                journal.add("pair", tries=finished.tries, **facts)
                display.show(tally)


def _begun(total: int, worklist: Worklist, journal: Journal, display: Display) -> Tally:
    """Show and record the work ahead, and the pairs that lack their files."""
    tally = Tally(total, worklist.done, worklist.changed, worklist.new)
    journal.add(
        "start", pairs=total, done=worklist.done, changed=worklist.changed, new=worklist.new
    )
    display.say(tally.planned())
    for name, error in worklist.missing:
        tally.failed.append((name, error))
        journal.add("pair", name=name, status="failed", error=error)
    return tally


def _checked(config: Config) -> Config:
    """Check the options before any work, and make their files' paths absolute for the workers."""
    from cmsr.sensor.imaging import named_kernel
    from cmsr.sensor.kernel_file import is_kernel_file

    named_kernel(config.kernel)
    if config.ratio is not None:
        config.check_guided(False)
    if is_kernel_file(config.kernel):
        config = dataclasses.replace(config, kernel=str(Path(config.kernel).absolute()))
    return config


def _gpus(config: Config) -> int:
    """Return the number of GPUs that the options allow."""
    if config.device == "cpu":
        return 0
    import torch

    return torch.cuda.device_count()
