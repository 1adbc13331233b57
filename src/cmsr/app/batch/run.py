"""The whole batch in a page: plan, hand out, watch, sum up."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cmsr.app.batch import clusters, engine, lock, sheet, storage
from cmsr.app.batch.journal import Journal, kept
from cmsr.app.batch.plan import JOURNAL, SHEET, Plan, plan, read_table
from cmsr.app.batch.task import Settings
from cmsr.app.batch.watch import Tally, Watch
from cmsr.app.report.command import option_words
from cmsr.config import Config

Ending = Literal["tif", "png", "npy", "exr"]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What to do with which pairs, and who does it.

    Attributes
    ----------
    pairs, out : str
        Table and folder of results; paths or URLs.
    ending : {"tif", "png", "npy", "exr"}
        Of the results.
    series : bool
        Whether each frame of a series starts from the one before.
    report : bool
        Whether each pair gets a page, too.
    overwrite : bool
        Whether files that no batch has made are replaced.
    crew : Crew
        Who does it.
    config : Config
        How to do it.
    """

    pairs: str
    out: str
    ending: Ending = "tif"
    series: bool = False
    report: bool = False
    overwrite: bool = False
    crew: clusters.Crew
    config: Config

    def run(self, watch: Watch) -> Tally:
        """Do it; return how it went.

        Raises
        ------
        CmsrError
            If the table, the options or the folder cannot be used; nothing is done then.
        RunError
            If the work was cut short; what is done is kept.
        """
        table, out = storage.absolute(self.pairs), storage.absolute(self.out)
        config = _checked(self.config)
        rows = read_table(table)
        with lock.held(out) as run:
            settings = Settings(
                out,
                self.ending,
                run,
                self.crew.threads,
                self.series,
                config,
                report=self.report,
                again=self._again(table, out, config),
            )
            planned = plan(table, rows, settings, overwrite=self.overwrite)
            with kept(f"{out}/{JOURNAL}") as journal:
                tally = _begun(len(rows), planned, journal, watch)
                if planned.chains:
                    self._work(planned, settings, tally, journal, watch)
                    sheet.write(f"{out}/{SHEET}.png", out, [row.name for row in rows], self.ending)
                journal.add(
                    "end", done=tally.done, unchanged=tally.unchanged, failed=len(tally.failed)
                )
        return tally

    def _again(self, table: str, out: str, config: Config) -> str:
        """Return what to type to do it all again."""
        words = ["cmsr", "batch", table, "-o", out, "--format", self.ending, "--report"]
        words += ["--threads", str(self.crew.threads), *(["--series"] if self.series else [])]
        return shlex.join([*words, *option_words(config)])

    def _work(
        self, planned: Plan, settings: Settings, tally: Tally, journal: Journal, watch: Watch
    ) -> None:
        crew = dataclasses.replace(
            self.crew,
            gpus=_gpus(settings.config),
            in_process=self.crew.in_process or settings.out.startswith("memory://"),
        )
        with crew.client(len(planned.chains)) as client:
            if not crew.in_process:
                watch.say(f"dashboard: {client.dashboard_link}")
            for report in engine.work(client, planned.chains, settings, self.crew.retries):
                outcome = report.outcome
                tally.running, tally.workers = report.running, report.workers
                if outcome.status == "failed":
                    tally.failed.append((outcome.name, outcome.error))
                else:
                    tally.done += outcome.status == "done"
                    tally.unchanged += outcome.status == "unchanged"
                facts = dataclasses.asdict(outcome)
                journal.add("pair", tries=report.tries, **facts)
                watch.show(tally)


def _begun(total: int, planned: Plan, journal: Journal, watch: Watch) -> Tally:
    """Tell what is to be done, and which pairs lack their files."""
    tally = Tally(total, planned.done, planned.changed, planned.new)
    journal.add("start", pairs=total, done=planned.done, changed=planned.changed, new=planned.new)
    watch.say(tally.planned())
    for name, error in planned.missing:
        tally.failed.append((name, error))
        journal.add("pair", name=name, status="failed", error=error)
    return tally


def _checked(config: Config) -> Config:
    """Find out before any work what is wrong with the options; name files as workers can."""
    from cmsr.sensor.imaging import named_kernel
    from cmsr.sensor.kernel_file import is_kernel_file

    named_kernel(config.kernel)
    if is_kernel_file(config.kernel):
        config = dataclasses.replace(config, kernel=str(Path(config.kernel).absolute()))
    return config


def _gpus(config: Config) -> int:
    """Count the GPUs that the options let us use."""
    if config.device == "cpu":
        return 0
    import torch

    return torch.cuda.device_count()
