"""Records as Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cmsr_bench.records import Record
from cmsr_bench.summary import Summary, by_pair, complete, mean_and_error, summaries, swept, unique

_HEAD = (
    "method", "PSNR (dB)", "gain (dB)", "worst", "SSIM", "RMSE", "consistency", "rank", "wins",
    "s", "MB",
)  # fmt: skip


def report(records: Sequence[Record]) -> str:
    """Return the tables of each data set: means, pairs, runs without a score, and failures."""
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
    """Return a row for each method, best first, those that miss pairs last.

    PSNR is the mean ± the standard deviation between pairs / between seeds; gain is over bicubic
    interpolation, where the truth is 0 somewhere also where it is above that, ``worst`` its least
    value; consistency the RMS by which the result, reduced
    again, misses the target.
    """
    holed = any(not math.isnan(s.gain_positive) for s in found)
    rows = [
        (
            f"`{s.method}`"
            + ("" if s.pairs == s.of_pairs else f", {s.pairs} of {s.of_pairs} pairs"),
            f"{s.psnr:.2f} ± {_short(s.over_pairs, '.2f')} / {_short(s.over_seeds, '.2f')}",
            f"{s.gain:+.2f}",
            *([_short(s.gain_positive, "+.2f")] if holed else []),
            f"{s.worst:+.2f}",
            f"{s.ssim:.4f}",
            _short(s.rmse),
            _short(s.consistency),
            f"{s.rank:.1f}",
            f"{s.wins} of {s.pairs}",
            _short(s.seconds),
            f"{s.memory:.0f}",
        )
        for s in sorted(found, key=lambda s: (-s.pairs, -s.psnr))
    ]
    head = (*_HEAD[:3], *(["where > 0"] if holed else []), *_HEAD[3:])
    return _table(head, rows)


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


def sweep(records: Sequence[Record]) -> str:
    """Return the table of a sweep of p, its best value, and the gains of p < 0.5 over p = 0.

    Pairs that lack a value are left out.
    """
    points = complete(swept(records, "p"))
    if not any(points.values()):
        return "No pair was scored at every value of p.\n"
    values = sorted(points)
    rows = [(f"{p:g}", *(f"{x:.3f}" for x in mean_and_error(points[p]))) for p in values]
    lines = [_table(("p", "PSNR (dB)", "standard error"), rows)]
    best = max(values, key=lambda p: mean_and_error(points[p])[0])
    lines.append(f"Best at p = {best:g}; the paper: best at 0.3.\n")
    if 0.0 in points:
        for p in (value for value in values if 0 < value < 0.5):
            gain, error = _paired(points[p], points[0.0])
            above = "above" if gain > 0 else "below"
            lines.append(f"* p = {p:g}: {abs(gain):.3f} ± {error:.3f} dB {above} p = 0")
    return "\n".join(lines) + "\n"


def _paired(ours: dict[str, list[float]], base: dict[str, list[float]]) -> tuple[float, float]:
    """Mean difference over pairs and seeds, and its standard error over seeds."""
    steps = {
        pair: [a - b for a, b in zip(ours[pair], base[pair], strict=False)]
        for pair in ours
        if pair in base
    }
    return mean_and_error(steps)


def _remarks(records: Sequence[Record]) -> list[str]:
    """Return lines on the runs without a score, and on those that failed."""
    lines = []
    unscored = unique(r["pair"] for r in records if not r["scored"] and r["error"] is None)
    if unscored:
        lines.append(f"Without a score, for lack of a truth: {', '.join(unscored)}.\n")
    failed = [r for r in records if r["error"] is not None]
    lines += [f"* failed: `{r['method']}` on {r['pair']}: {r['error']}" for r in failed]
    return [*lines, ""] if failed else lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows)) + "\n"


def _short(value: float, form: str = ".3g") -> str:
    if math.isnan(value):
        return "–"
    return f"{value:{form}}" if value < 1000 else f"{value:.0f}"
