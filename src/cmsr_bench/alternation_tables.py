"""The ablation over p as a table, curves and one file of records."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cmsr.errors import OptionError
from cmsr.io.atomic import write_text
from cmsr_bench import charts
from cmsr_bench.alternation import Row, grids_of, sweep
from cmsr_bench.cases import read_cases

if TYPE_CHECKING:
    from cmsr_bench.commands import Bench

CONDITION = ("ratio", "steps", "guide", "rate", "start")
"""What, beside pair and seed, an arm shares with the one at p = 0 that it is compared with."""


@dataclass(frozen=True)
class Finding:
    """The effect of one p > 0 in one condition, against p = 0 on the same pairs and seeds.

    Attributes
    ----------
    condition : tuple
        Values of `CONDITION`.
    branch, p : str, float
        The arm.
    base : float
        Mean PSNR at p = 0, dB.
    gains : tuple of float
        PSNR over that at p = 0, of each pair with each seed, dB.
    """

    condition: tuple[str, ...]
    branch: str
    p: float
    base: float
    gains: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean gain."""
        return float(np.mean(self.gains))

    @property
    def error(self) -> float:
        """Its standard error over pairs and seeds; NaN of one."""
        count = len(self.gains)
        return float(np.std(self.gains, ddof=1) / math.sqrt(count)) if count > 1 else math.nan

    @property
    def verdict(self) -> str:
        """Whether it pays or hurts by more than twice its standard error."""
        if not abs(self.mean) > 2 * self.error:
            return ""
        return "pays" if self.mean > 0 else "hurts"


def compared(options: Bench, tell: Callable[[str], None] | None = None) -> str:
    """Do the ablation over p, write its files, and return its tables.

    Raises
    ------
    CmsrError
        If the table, the grid or the folder cannot be used.
    """
    if options.table is None:
        raise OptionError("bench needs a table of pairs, or --list")
    if not options.seeds or min(options.seeds) < 0:
        raise OptionError("seeds must be whole numbers from 0")
    grids = grids_of(options.grid)
    cases = read_cases(options.table, options.dataset, options.pairs)
    rows = sweep(options.out / "records", cases, options.seeds, grids, tell)
    return write_all(options.out, rows)


def write_all(out: Path, rows: Sequence[Row]) -> str:
    """Write records, table and curves of each data set; return the tables."""
    parts = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        ours = [row for row in rows if row["dataset"] == dataset]
        found = findings(ours)
        text = f"## {dataset or 'pairs'}\n\n{table(found)}"
        name = f"alternation-{dataset}" if dataset else "alternation"
        write_text(out / f"{name}.md", text)
        write_text(
            out / f"{name}.json", json.dumps(ours, indent=None).replace("}, ", "},\n") + "\n"
        )
        if found:
            draw(out / f"{name}.svg", found)
        parts.append(text)
    return "\n".join(parts)


def findings(rows: Sequence[Row]) -> list[Finding]:
    """Compare every p > 0 with p = 0, condition by condition, pair by pair and seed by seed."""
    base: dict[tuple[str, ...], dict[tuple[str, int], float]] = defaultdict(dict)
    others: dict[tuple[tuple[str, ...], str, float], dict[tuple[str, int], float]] = defaultdict(
        dict
    )
    for row in rows:
        condition = tuple(_text(row[name]) for name in CONDITION)
        where = row["pair"], row["seed"]
        if row["p"] == 0:
            base[condition][where] = row["psnr"]
        else:
            others[condition, row["branch"], row["p"]][where] = row["psnr"]
    found = []
    for (condition, branch, p), psnr in others.items():
        both = [where for where in psnr if where in base[condition]]
        if both:
            gains = tuple(psnr[where] - base[condition][where] for where in both)
            level = float(np.mean([base[condition][where] for where in both]))
            found.append(Finding(condition, branch, p, level, gains))
    return sorted(found, key=lambda each: (each.condition, each.branch, each.p))


def table(found: Sequence[Finding]) -> str:
    """Return a row for each finding, as Markdown."""
    head = (*CONDITION, "branches", "p", "p = 0 (dB)", "gain (dB)", "better on", "")
    lines = [head, ("---",) * len(head)]
    for each in found:
        better = sum(gain > 0 for gain in each.gains)
        error = "–" if math.isnan(each.error) else f"{each.error:.2f}"
        gain = f"{each.mean:+.2f} ± {error}"
        of = f"{better} of {len(each.gains)}"
        lines.append(
            (
                *each.condition,
                each.branch,
                f"{each.p:g}",
                f"{each.base:.2f}",
                gain,
                of,
                each.verdict,
            )
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def draw(path: Path, found: Sequence[Finding]) -> None:
    """Draw the gain over p = 0 against p: a panel for each place of the guide, ratio and steps."""
    panels = list(dict.fromkeys((f.condition[:2], f.condition[2]) for f in found))
    rows = list(dict.fromkeys(row for row, _ in panels))
    columns = list(dict.fromkeys(guide for _, guide in panels))
    with charts.figure(2.1 + 1.9 * len(columns), 0.7 + 1.9 * len(rows)) as figure:
        grid = figure.subplots(len(rows), len(columns), sharey=True, squeeze=False)
        for (row, guide), axes in zip(
            ((row, guide) for row in rows for guide in columns), grid.flat, strict=True
        ):
            here = [f for f in found if (f.condition[:2], f.condition[2]) == (row, guide)]
            for line in dict.fromkeys((f.condition[3:], f.branch) for f in here):
                _curve(axes, line, [f for f in here if (f.condition[3:], f.branch) == line])
            axes.axhline(0, color="0.6", linewidth=0.8)
            axes.set_title(f"×{row[0]}, {row[1]} steps\nguide {_guide(guide)}", fontsize=8)
            axes.set_xlabel("p")
        for axes in grid[:, 0]:
            axes.set_ylabel("PSNR over p = 0 (dB)")
        lines = {
            label: handle
            for axes in grid.flat
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(lines.values(), lines.keys(), loc="outside right upper", fontsize=7)
        charts.save(figure, path)


def _curve(axes: Any, line: tuple[tuple[str, ...], str], found: Sequence[Finding]) -> None:
    (rate, start), branch = line
    colour = {("1", "published"): "C3", ("10", "published"): "C0"}.get((rate, start), "C2")
    values = [0.0, *(f.p for f in found)]
    means = [0.0, *(f.mean for f in found)]
    errors = [0.0, *(0.0 if math.isnan(f.error) else f.error for f in found)]
    kept = "" if start == "published" else f", start {start}"
    one = "" if branch == "both" else ",\nsharpening branch only"
    axes.errorbar(
        values, means, yerr=errors, fmt="o-" if branch == "both" else "s:", color=colour,
        capsize=2, markersize=3, label=f"guide's rate × {rate}{kept}{one}",
    )  # fmt: skip


def _guide(name: str) -> str:
    return {"0": "as it is", "warped": "warped", "found": "placed"}.get(name, f"{name} px off")


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
