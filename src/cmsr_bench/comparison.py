"""A comparison, `cmsr bench`: methods on pairs, their records, tables and figures."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cmsr.app.options import upscale_command
from cmsr.errors import OptionError
from cmsr_bench.cases import Case, read_cases
from cmsr_bench.figures import write_all
from cmsr_bench.learned import weight_file
from cmsr_bench.records import Record, Run, Store
from cmsr_bench.results import write_results
from cmsr_bench.runner import OnRecord, run_all
from cmsr_bench.variants import Variant, variants


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Options of `cmsr bench`.

    Attributes
    ----------
    table : Path
        PAIRS.csv.
    methods : sequence of str
        As `Variant.of` reads them.
    out : Path
        Folder; its ``records`` make the command resumable.
    datasets, pairs : sequence of str
        Of the pairs to keep; all if empty.
    seeds : sequence of int
        Methods that do not depend on the seed run with the first only.
    weights : Path or None
        Folder of METHOD.safetensors; ``weights`` in ``out`` if None.
    report : bool
        Whether to write a page for each run of this package's own methods.
    workers : int
        Processes at a time, one core each.
    """

    table: Path
    methods: Sequence[str]
    out: Path
    datasets: Sequence[str] = ()
    pairs: Sequence[str] = ()
    seeds: Sequence[int] = (0,)
    weights: Path | None = None
    report: bool = False
    workers: int = 1

    def run(self, on_record: OnRecord | None = None) -> list[Record]:
        """Do the runs that have no record yet, write all files, and return all records.

        results.json is also written when the user interrupts.

        Raises
        ------
        CmsrError
            If the table, a method, its weights or the folder cannot be used; nothing is run then.
        """
        if not self.seeds or min(self.seeds) < 0 or self.workers < 1:
            raise OptionError("seeds must be whole numbers from 0, workers at least 1")
        chosen = variants(list(self.methods))
        cases = read_cases(self.table, self.datasets, self.pairs)
        runs = self._runs(chosen, cases)
        store = Store(self.out / "records")
        try:
            run_all(runs, store, self.workers, on_record)
        finally:
            records = store.of(runs)
            write_results(self.out / "results.json", records)
        write_all(self.out, runs, store, sweeps_p=_sweeps_p(chosen))
        return records

    def _runs(self, chosen: Sequence[Variant], cases: Sequence[Case]) -> list[Run]:
        folder = self.weights or self.out / "weights"
        weights = {
            variant.label: weight_file(variant.method.name, folder, self.table, self.datasets)
            for variant in chosen
            if variant.method.run is None
        }
        return [
            Run(variant, case, seed, weights.get(variant.label), self._again(variant, case, seed))
            for index, seed in enumerate(dict.fromkeys(self.seeds))
            for variant in chosen
            if variant.method.seeded or index == 0
            for case in cases
        ]

    def _again(self, variant: Variant, case: Case, seed: int) -> str | None:
        """Return the command that repeats a run, if there is to be a page on it."""
        if not self.report or not variant.method.own:
            return None
        if case.target is not None:
            out, config = Path(f"{Path(case.name).name}.tif"), case.adapted(variant.config(seed))
            return upscale_command(case.target, case.guide, out, config, threads=1)
        words = ["cmsr", "bench", self.table, "--methods", variant.label, "--pairs", case.name]
        words += ["--dataset", case.dataset] if case.dataset else []
        return shlex.join(map(str, [*words, "--seeds", seed, "--report", "-o", self.out]))


def _sweeps_p(chosen: Sequence[Variant]) -> bool:
    """Tell whether the methods differ in p alone."""
    others = {
        (v.method.name, *sorted((k, str(o)) for k, o in v.options.items() if k != "p"))
        for v in chosen
    }
    return len(chosen) > 2 and len(others) == 1 and all("p" in v.options for v in chosen)
