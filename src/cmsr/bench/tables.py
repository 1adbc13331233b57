"""Summaries as Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cmsr.bench.store import Record
from cmsr.bench.summary import Summary, by_pair, summaries, unique

_HEAD = (
    "method", "PSNR (dB)", "gain (dB)", "worst", "SSIM", "RMSE", "consistency", "rank", "wins",
    "s", "MB",
)  # fmt: skip


def report(records: Sequence[Record]) -> str:
    """Return all that there is to read: means and each pair, data set by data set, and failures."""
    parts = []
    for dataset in unique(record["dataset"] for record in records):
        ours = [record for record in records if record["dataset"] == dataset]
        found = summaries(ours)
        parts.append(f"## {dataset or 'pairs'}\n")
        if found:
            parts += [means(found), per_pair(ours)]
        parts += _remarks(ours)
    return "\n".join(parts)


def means(found: Sequence[Summary]) -> str:
    """Return a row for each method, best first.

    PSNR is the mean ± the standard deviation between pairs / between seeds; gain is over bicubic
    interpolation, ``worst`` its least value; consistency the RMS by which the result, reduced
    again, misses the target.
    """
    rows = [
        (
            f"`{s.method}`",
            f"{s.psnr:.2f} ± {s.over_pairs:.2f} / {s.over_seeds:.2f}",
            f"{s.gain:+.2f}",
            f"{s.worst:+.2f}",
            f"{s.ssim:.4f}",
            _short(s.rmse),
            _short(s.consistency),
            f"{s.rank:.1f}",
            f"{s.wins} of {s.pairs}",
            _short(s.seconds),
            f"{s.memory:.0f}",
        )
        for s in sorted(found, key=lambda s: -s.psnr)
    ]
    return _table(_HEAD, rows)


def per_pair(records: Sequence[Record]) -> str:
    """Return the PSNR of each method on each pair, the mean over seeds, the best in bold."""
    table = by_pair(records)
    methods = list(table)
    rows = []
    for pair in unique(pair for pairs in table.values() for pair in pairs):
        values = {m: float(np.mean(table[m][pair])) for m in methods if pair in table[m]}
        best = max(values.values())
        cells = [f"{values[m]:.2f}" if m in values else "–" for m in methods]
        bold = [
            f"**{cell}**" if values.get(m) == best else cell
            for m, cell in zip(methods, cells, strict=True)
        ]
        rows.append((pair, *bold))
    return _table(("pair", *(f"`{m}`" for m in methods)), rows)


def _remarks(records: Sequence[Record]) -> list[str]:
    """Say what was run but not scored, and what failed."""
    lines = []
    unscored = unique(r["pair"] for r in records if not r["scored"] and r["error"] is None)
    if unscored:
        lines.append(f"Run but not scored, for there is no truth: {', '.join(unscored)}.\n")
    failed = [r for r in records if r["error"] is not None]
    lines += [f"* failed: `{r['method']}` on {r['pair']}: {r['error']}" for r in failed]
    return [*lines, ""] if failed else lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows)) + "\n"


def _short(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
