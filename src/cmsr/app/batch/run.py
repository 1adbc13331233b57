"""A whole batch: find the work, hand it out, show the progress, write the contact sheet."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from cmsr.app.batch import engine, index, lock, pairs, rig, sheet, storage
from cmsr.app.batch.clusters import Workers
from cmsr.app.batch.journal import Journal, opened
from cmsr.app.batch.progress import Display, Tally
from cmsr.app.batch.table import SHEET
from cmsr.app.batch.task import Settings
from cmsr.app.batch.worklist import JOURNAL, Worklist, check_ownership, find_work
from cmsr.app.options import words
from cmsr.config import Config

if TYPE_CHECKING:
    from cmsr.app.batch.command import Batch


def run_batch(options: Batch, display: Display, *, in_process: bool = False) -> Tally:
    """Run a batch; return its counts.

    Parameters
    ----------
    options : Batch
        The command's options.
    display : Display
        Shows the progress.
    in_process : bool
        Whether the one worker is a thread of this process.

    Raises
    ------
    CmsrError
        If the table, the options or the folder cannot be used; nothing is done then.
    RunError
        If the work was cut short; finished pairs are kept.
    """
    out = storage.absolute(options.out)
    config = _checked(options.config, series=options.series)
    workers = Workers(
        count=options.workers,
        threads=options.threads,
        scheduler=options.scheduler,
        cluster=options.cluster,
        gpus=_gpus(config),
        retries=options.retries,
        in_process=in_process or out.startswith("memory://"),
    )
    table, rows, alone = pairs.given(options, display)
    with lock.held(out) as run, opened(f"{out}/{JOURNAL}") as journal:
        settings = Settings(
            out,
            options.format,
            run,
            options.threads,
            options.series,
            config,
            report=options.report,
            preview=options.preview,
            error_map=options.error_map,
        )
        if not options.overwrite:
            check_ownership(rows, settings)
        config = rig.with_rig(config, table, rows, out, display, journal)
        again = _again(options, table, out, config)
        settings = dataclasses.replace(settings, config=config, again=again)
        worklist = find_work(table, rows, settings)
        tally = _begun(len(rows), worklist, journal, display)
        for path, reason in alone:
            journal.add("alone", file=path, reason=reason)
        if worklist.queues:
            _work(workers, worklist, settings, tally, journal, display)
            sheet.write(f"{out}/{SHEET}.png", out, [row.name for row in rows], options.format)
        if options.report and (worklist.queues or worklist.missing):
            index.write(out, rows, settings, dict(tally.failed))
        journal.add("end", done=tally.done, unchanged=tally.unchanged, failed=len(tally.failed))
    return tally


def show_pairs(options: Batch) -> str:
    """Return the pairs of a table or a folder as a person reads them; nothing is computed."""
    shown = _Kept()
    _, rows, _ = pairs.given(options, shown)
    return shown.text or "\n".join(f"{row.name}  {row.target}  {row.guide}" for row in rows)


class _Kept(Display):
    """Keeps the last message."""

    text = ""

    def say(self, text: str) -> None:
        """Keep a message."""
        self.text = text


def _again(options: Batch, table: str, out: str, config: Config) -> str:
    """Return the command that repeats the batch."""
    line = ["cmsr", "batch", table, "-o", out, "--format", options.format, "--report"]
    line += ["--threads", str(options.threads), *(["--series"] if options.series else [])]
    line += ["--preview"] if options.preview else []
    line += ["--error-map"] if options.error_map else []
    return shlex.join([*line, *words(config)])


def _work(
    workers: Workers,
    worklist: Worklist,
    settings: Settings,
    tally: Tally,
    journal: Journal,
    display: Display,
) -> None:
    with workers.client(len(worklist.queues)) as client:
        if not workers.in_process:
            display.say(f"dashboard: {client.dashboard_link}")
        for finished in engine.work(client, worklist.queues, settings, workers.retries):
            outcome = finished.outcome
            tally.running, tally.workers = finished.running, finished.workers
            if outcome.status == "failed":
                tally.failed.append((outcome.name, outcome.error))
            else:
                tally.done += outcome.status == "done"
                tally.unchanged += outcome.status == "unchanged"
                tally.photos += [] if outcome.photo is None else [outcome.photo]
            journal.add("pair", tries=finished.tries, **dataclasses.asdict(outcome))
            display.show(tally)


def _begun(total: int, worklist: Worklist, journal: Journal, display: Display) -> Tally:
    """Show and record the work ahead, and the pairs that lack their files."""
    lost = len(worklist.missing)
    tally = Tally(total, worklist.done, worklist.changed, worklist.new, lost)
    journal.add(
        "start", pairs=total, done=worklist.done, changed=worklist.changed, new=worklist.new,
        missing=lost,
    )  # fmt: skip
    display.say(tally.planned())
    for name, error in worklist.missing:
        tally.failed.append((name, error))
        journal.add("pair", name=name, status="failed", error=error)
    return tally


def _checked(config: Config, *, series: bool) -> Config:
    """Check the options before any work, and make their files' paths absolute for the workers."""
    from cmsr.priors.learned import named_prior
    from cmsr.registration.rig import read_rig
    from cmsr.sensor.imaging import named_kernel
    from cmsr.sensor.kernel_file import is_kernel_file

    if not series:
        config.refuse(["fuse"], "requires --series")
    named_kernel(config.kernel)
    named_prior(config.prior)
    if config.prior_file is not None:
        config = dataclasses.replace(config, prior=str(Path(config.prior).absolute()))
    if is_kernel_file(config.kernel):
        config = dataclasses.replace(config, kernel=str(Path(config.kernel).absolute()))
    if config.ignore is not None and Path(config.ignore).is_file():
        config = dataclasses.replace(config, ignore=str(Path(config.ignore).absolute()))
    if config.points is not None:
        config = dataclasses.replace(config, points=str(Path(config.points).absolute()))
    if config.rig_file is not None:
        read_rig(config.rig)
        config = dataclasses.replace(config, rig=str(Path(config.rig).absolute()))
    return config


def _gpus(config: Config) -> int:
    """Return the number of GPUs that the options allow."""
    if config.device == "cpu":
        return 0
    import torch

    return torch.cuda.device_count()
