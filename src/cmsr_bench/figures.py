"""Tables, plots and pictures of a comparison, from its records."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cmsr.config import Config
from cmsr.errors import CmsrError
from cmsr.io.atomic import write_text
from cmsr_bench import crops, plots, schemes, tables
from cmsr_bench.cases import Case
from cmsr_bench.classic import bicubic, kernel_of
from cmsr_bench.records import Record, Run, Store
from cmsr_bench.summary import summaries, unique

PICTURES = "pictures"
"""Folder of pictures that show images of the data sets; git ignores it."""

ROWS = 6
"""Pairs of a data set that crops are drawn of, at most."""

P_SHOWN = (0.0, 0.3, 0.6)
"""Values of p of which crops are drawn."""


def write_all(out: Path, runs: Sequence[Run], store: Store, *, sweeps_p: bool) -> None:
    """Write tables and plots, and pictures into a folder of their own."""
    records = store.of(runs)
    write_text(out / "tables.md", tables.report(records))
    (out / PICTURES).mkdir(exist_ok=True)
    write_text(out / PICTURES / ".gitignore", "*\n")
    for run in runs:
        _page(out / PICTURES, run, store)
    found = summaries(records)
    for dataset in unique(summary.dataset for summary in found):
        ours = [summary for summary in found if summary.dataset == dataset]
        if sweeps_p:
            _sweep(out, dataset, [record for record in records if record["dataset"] == dataset])
        elif len(ours) > 2:
            plots.speed(out / _name("speed", dataset, ".svg"), ours)
    for dataset in unique(run.case.dataset for run in runs):
        here = [run for run in runs if run.case.dataset == dataset]
        if sweeps_p:
            _schemes(out, here[0].case)
            here = [run for run in here if run.variant.options.get("p") in P_SHOWN]
        strips = [strip for case in _first(here) if (strip := _strip(case, here, store))]
        if strips:
            crops.draw(out / PICTURES / _name("crops", dataset, ".png"), strips)


def _page(folder: Path, run: Run, store: Store) -> None:
    """Copy the page on a run under a name with its pair, method and seed."""
    if run.report is None or not store.done(run.key, page=True):
        return
    ending = f"-{run.case.name}-{run.variant.label}-seed-{run.seed}.html"
    write_text(
        folder / _name("report", run.case.dataset, ending),
        store.page(run.key).read_text(encoding="utf-8"),
    )


def _sweep(out: Path, dataset: str, records: Sequence[Record]) -> None:
    plots.sweep(out / _name("p", dataset, ".svg"), records, "p")
    write_text(out / _name("p", dataset, ".md"), tables.sweep(records))


def _schemes(out: Path, case: Case) -> None:
    try:
        pair = case.opened(Config()).whole.to("cpu")
    except CmsrError:
        return
    kernel = kernel_of(pair, Config())
    schemes.draw(out / PICTURES / _name("schemes", case.name, ".png"), pair, kernel)
    write_text(out / _name("schemes", case.name, ".md"), schemes.scales(pair, kernel))


def _first(runs: Sequence[Run]) -> list[Case]:
    return list({run.case.label: run.case for run in runs}.values())[:ROWS]


def _strip(case: Case, runs: Sequence[Run], store: Store) -> crops.Strip | None:
    """Collect a pair's images, the first seed of each method; None if there are none."""
    shown: dict[str, Run] = {}
    for run in runs:
        if run.case is case and store.done(run.key):
            shown.setdefault(run.variant.label, run)
    try:
        target, truth = case.opened(Config()).target, case.true_image()
    except CmsrError:
        return None
    images = []
    for label, run in shown.items():
        image, record = store.image(run.key), store.record(run.key)
        if image is not None and record is not None:
            images.append((label.replace(":", "\n"), image[0], record["psnr"]))
    if not images:
        return None
    if "bicubic" not in shown:
        images.insert(0, ("bicubic", bicubic(target, images[0][1].shape)[0], None))
    true = None if truth is None else truth.data[0]
    return crops.Strip(case.name, target.data[0], true, images)


def _name(kind: str, dataset: str, ending: str) -> str:
    """Return a valid file name for any name of a data set."""
    name = f"{kind}-{dataset}{ending}" if dataset else f"{kind}{ending}"
    return re.sub(r"[^\w.=-]", "_", name)
