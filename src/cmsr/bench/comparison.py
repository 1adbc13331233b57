"""The command `cmsr bench`: methods on pairs, their records, tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cmsr.bench.cases import Case, read_cases
from cmsr.bench.results import write_results
from cmsr.bench.runner import Told, run_all
from cmsr.bench.store import Record, Run, Store
from cmsr.bench.variants import Variant, variants


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What to compare on what, and where everything goes.

    Attributes
    ----------
    table : Path
        PAIRS.csv.
    methods : sequence of str
        As `Variant.of` reads them.
    out : Path
        Folder; its ``records`` make the command resumable.
    datasets, pairs : sequence of str
        Which to keep of the table; empty for all.
    seeds : sequence of int
        Methods without chance run with the first only.
    workers : int
        Processes at a time, one core each.
    """

    table: Path
    methods: Sequence[str]
    out: Path
    datasets: Sequence[str] = ()
    pairs: Sequence[str] = ()
    seeds: Sequence[int] = (0,)
    workers: int = 1

    def run(self, told: Told | None = None) -> list[Record]:
        """Do what is not done yet; return every record asked for, and write all that is made.

        Raises
        ------
        CmsrError
            If the table, a method or the folder cannot be used; nothing is run then.
        """
        chosen = variants(list(self.methods))
        cases = read_cases(self.table, self.datasets, self.pairs)
        store = Store(self.out / "records")
        runs = self._runs(chosen, cases)
        try:
            run_all(runs, store, self.workers, told)
        finally:
            records = [record for run in runs if (record := store.record(run.key))]
            write_results(self.out / "results.json", records)
        return records

    def _runs(self, chosen: Sequence[Variant], cases: Sequence[Case]) -> list[Run]:
        return [
            Run(variant, case, seed)
            for index, seed in enumerate(self.seeds)
            for variant in chosen
            if variant.method.seeded or index == 0
            for case in cases
        ]
