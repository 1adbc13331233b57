"""The commands `cmsr bench` and `cmsr bench train` with their options."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from cmsr.app.arguments import Argument, Command
from cmsr.app.extras import needing
from cmsr.app.progress import duration, progress_bar
from cmsr.errors import OptionError, RunError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench(Command):
    """Compare methods on pairs, or train one (cmsr bench train): tables, plots, crops."""

    examples: ClassVar[tuple[str, ...]] = (
        "cmsr bench pairs.csv --methods bicubic,guided-filter,cmsr -o out",
        "cmsr bench train --help",
    )

    table: Annotated[Path | None, Argument(positional=True, placeholder="PAIRS.csv")] = None
    """PAIRS.csv, with the columns name,target,guide and optionally dataset,truth,scale."""

    methods: Annotated[tuple[str, ...], Argument(placeholder="NAME,…")] = (
        "bicubic",
        "guided-filter",
        "cmsr",
    )
    """Methods to compare, or all; METHOD:OPTION=VALUE changes an option of `cmsr upscale`."""

    ablation: Literal["p", "align"] | None = None
    """Instead of methods: when Alternating Scales (p) pays in the published network; or cmsr and
    that network at each value of align, beside bicubic interpolation."""

    grid: Annotated[str, Argument(placeholder="NAME=VALUE,…:…")] = ""
    """What --ablation p varies: p, guide (pixels of shift, warped or found), rate, start, branch,
    ratio, steps, such as p=0,0.3:guide=0,2:ratio=4; several with ; between them."""

    out: Annotated[Path, Argument(short="-o", placeholder="FOLDER")] = Path("cmsr-bench")
    """Folder for records, results.json, tables, plots; the same command resumes there."""

    dataset: Annotated[tuple[str, ...], Argument(placeholder="NAME,…")] = ()
    """Data sets of the table to keep."""

    pairs: Annotated[tuple[str, ...], Argument(placeholder="NAME,…")] = ()
    """Pairs of the table to keep."""

    ratios: Annotated[tuple[float, ...], Argument(placeholder="R,…")] = ()
    """Reduce the truths by these ratios instead of using the table's targets; a table for each."""

    seeds: Annotated[tuple[int, ...], Argument(placeholder="N,…")] = (0,)
    """Seeds to run each method with, if its result depends on the seed."""

    weights: Annotated[Path | None, Argument(placeholder="FOLDER")] = None
    """Folder of METHOD.safetensors, as written by `cmsr bench train`."""

    report: bool = False
    """Also write a page for each run of cmsr's own methods, into the folder pictures."""

    workers: int = 0
    """Runs at a time, one core each; 0 for all cores."""

    list: bool = False
    """Only list the methods."""

    quiet: bool = False
    """Print errors only."""

    def run(self) -> None:
        """List, or compare and print the tables."""
        with needing("bench"):
            from cmsr_bench import methods, tables
            from cmsr_bench.comparison import compare

        if self.list:
            for method in methods.METHODS.values():
                print(f"{method.name:14} {method.summary}")
            return
        if self.ablation and self.methods != Bench.methods:
            raise OptionError("--methods cannot be combined with --ablation")
        if self.grid and self.ablation != "p":
            raise OptionError("--grid requires --ablation p")
        if self.ablation == "p":
            self._alternate()
            return
        records = compare(self, None if self.quiet else _printer())
        if not self.quiet:
            print(tables.report(records))
        failed = sum(record["error"] is not None for record in records)
        if failed:
            raise RunError(f"{failed} of {len(records)} runs failed; {self.out}/tables.md says why")

    def _alternate(self) -> None:
        """Do the ablation over p and print its tables."""
        from cmsr_bench.alternation_tables import compared

        if self.report or self.weights or self.workers:
            raise OptionError("--ablation p takes no --report, --weights or --workers")
        text = compared(self, None if self.quiet else partial(print, file=sys.stderr))
        if not self.quiet:
            print(text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchTrain(Command):
    """Train a method from the literature on pairs with truths, by cross-validation."""

    examples: ClassVar[tuple[str, ...]] = ("cmsr bench train djf pairs.csv -o djf.safetensors",)

    method: Annotated[
        Literal["djf", "vtsrcnn", "vtsrgan"], Argument(positional=True, placeholder="METHOD")
    ]
    """Method to train: djf, vtsrcnn or vtsrgan."""

    table: Annotated[Path, Argument(positional=True, placeholder="PAIRS.csv")]
    """PAIRS.csv; every pair needs a guide and a truth."""

    out: Annotated[Path, Argument(short="-o", placeholder="OUT")]
    """The weights (.safetensors); the training of an unfinished file is resumed. A plot of the gain
    on held-out pairs is written beside it, as .svg."""

    dataset: Annotated[tuple[str, ...], Argument(placeholder="NAME,…")] = ()
    """Data sets of the table to keep."""

    folds: int = 2
    """Number of parts of the pairs, each held out once; as many as pairs means leave-one-out."""

    steps: int = 0
    """Batches in each fold; 0 for the method's own number."""

    seed: int = 0
    """Seed of the initial weights and of the patches."""

    quiet: bool = False
    """Print errors only."""

    def run(self) -> None:
        """Train, and print each fold's PSNR on its held-out pairs."""
        with needing("bench"):
            from cmsr_bench import training

        with progress_bar(self.quiet) as progress:
            weights = training.train(self, progress)
        if not self.quiet:
            print(training.report(weights))


def _printer() -> Callable[[int, int, dict[str, Any]], None]:
    """Return what prints a line on each finished run, with the time left by the runs so far."""
    began = time.monotonic()
    counts: list[int] = []

    def show(done: int, total: int, record: dict[str, Any]) -> None:
        counts.append(done)
        psnr = "identical to the truth" if record["psnr"] is None else f"{record['psnr']:.2f} dB"
        reached = psnr if record["scored"] else "not scored"
        seconds = f", {record['seconds']:.1f} s" if record["seconds"] is not None else ""
        what = f"{record['dataset']}/{record['pair']} {record['method']} seed {record['seed']}"
        left = (time.monotonic() - began) * (total - done) / len(counts)
        ahead = f" (about {duration(left)} left)" if done < total else ""
        said = record["error"] or reached
        print(f"[{done}/{total}] {what}: {said}{seconds}{ahead}", file=sys.stderr)

    return show
