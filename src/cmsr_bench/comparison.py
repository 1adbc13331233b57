"""A comparison, `cmsr bench`: methods on pairs, their records, tables and figures."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cmsr.app.options import upscale_command
from cmsr.errors import OptionError
from cmsr_bench.ablations import aligned_methods
from cmsr_bench.cases import Case, at_ratios, read_cases
from cmsr_bench.figures import write_all
from cmsr_bench.learned import weight_file
from cmsr_bench.records import Record, Run, Store
from cmsr_bench.results import write_results
from cmsr_bench.runner import OnRecord, run_all
from cmsr_bench.variants import Variant, variants

if TYPE_CHECKING:
    from cmsr_bench.commands import Bench


def compare(options: Bench, on_record: OnRecord | None = None) -> list[Record]:
    """Do the runs that have no record yet, write all files, and return all records.

    results.json is also written when the user interrupts.

    Parameters
    ----------
    options : Bench
        The command's options.
    on_record : callable, optional
        Called after every record.

    Raises
    ------
    CmsrError
        If the table, a method, its weights or the folder cannot be used; nothing is run then.
    """
    if options.table is None:
        raise OptionError("bench needs a table of pairs, or --list")
    if not options.seeds or min(options.seeds) < 0 or options.workers < 0:
        raise OptionError("seeds and workers must be whole numbers from 0")
    methods = aligned_methods() if options.ablation else list(options.methods)
    chosen = variants(methods)
    cases = at_ratios(read_cases(options.table, options.dataset, options.pairs), options.ratios)
    runs = _runs(options, options.table, chosen, cases)
    store = Store(options.out / "records")
    try:
        run_all(runs, store, options.workers or os.cpu_count() or 1, on_record)
    finally:
        records = store.of(runs)
        write_results(options.out / "results.json", records)
    write_all(options.out, runs, store, sweeps_p=_sweeps_p(chosen))
    return records


def _runs(
    options: Bench, table: Path, chosen: Sequence[Variant], cases: Sequence[Case]
) -> list[Run]:
    folder = options.weights or options.out / "weights"
    weights = {
        variant.label: weight_file(variant.method.name, folder, table, options.dataset)
        for variant in chosen
        if variant.method.run is None
    }
    return [
        Run(variant, case, seed, weights.get(variant.label), _again(options, variant, case, seed))
        for index, seed in enumerate(dict.fromkeys(options.seeds))
        for variant in chosen
        if variant.method.seeded or index == 0
        for case in cases
    ]


def _again(options: Bench, variant: Variant, case: Case, seed: int) -> str | None:
    """Return the command that repeats a run, if there is to be a page on it."""
    if not options.report or not variant.method.own:
        return None
    if case.target is not None:
        out, config = Path(f"{Path(case.name).name}.tif"), case.adapted(variant.config(seed))
        return upscale_command(case.target, case.guide, out, config, threads=1)
    words = ["cmsr", "bench", options.table, "--methods", variant.label, "--pairs", case.name]
    words += ["--dataset", dataset] if (dataset := case.dataset.partition(" ×")[0]) else []
    words += ["--ratios", f"{case.scale:g}"] if options.ratios else []
    return shlex.join(map(str, [*words, "--seeds", seed, "--report", "-o", options.out]))


def _sweeps_p(chosen: Sequence[Variant]) -> bool:
    """Tell whether the methods differ in p alone."""
    others = {
        (v.method.name, *sorted((k, str(o)) for k, o in v.options.items() if k != "p"))
        for v in chosen
    }
    return len(chosen) > 2 and len(others) == 1 and all("p" in v.options for v in chosen)
