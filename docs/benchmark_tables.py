"""Fill the tables of the pages from the records in docs/bench, and draw the charts for dark pages.

python -m docs.benchmark_tables        # in the root of the repository, after a record changed

A table stands between `<!-- records: NAME -->` and `<!-- end -->`.
"""

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from cmsr_bench import alternation_tables
from cmsr_bench.records import Record
from cmsr_bench.summary import Summary, summaries, unique

DOCS = Path(__file__).parent
BENCH = DOCS / "bench"
CHARTS = ("epfl/speed-epfl_nir.svg", "p/p-epfl_nir.svg", "p/alternation-epfl_nir.svg",
          "scaling/scaling.svg")  # fmt: skip
DARK = {"#ffffff": "#1e2129", "#000000": "#dddddd", "#595959": "#bbbbbb", "#cccccc": "#555a66",
        "#e6e6e6": "#363a45", "#999999": "#888888"}  # fmt: skip
"""Colours of a chart on a light page, and what stands for them on a dark one."""

_MARKED = re.compile(r"(<!-- records: (.+?) -->\n).*?(<!-- end -->)", re.S)


def filled(page: str) -> str:
    """Return a page with every table between marks drawn from the records."""
    return _MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}", page)


def dark(chart: str) -> str:
    """Return a chart (SVG) in the colours of dark pages."""
    recoloured = re.sub("|".join(DARK), lambda found: DARK[found[0]], chart)
    return recoloured.replace("<svg ", f'<svg fill="{DARK["#000000"]}" ', 1)


def records(name: str) -> list[Record]:
    """Return the records of a comparison."""
    found: list[Record] = json.loads((BENCH / name / "results.json").read_text("utf-8"))["records"]
    return found


def means(found: Sequence[Summary]) -> str:
    """Return a row for each method, best first."""
    head = ("method", "PSNR (dB)", "gain (dB)", "worst pair", "SSIM", "consistency", "rank", "wins",
            "seconds")  # fmt: skip
    return table(head, [
        (f"`{s.method}`", f"{s.psnr:.2f} ± {s.over_pairs:.2f}", *gains(s), f"{s.ssim:.3f}",
         f"{s.consistency:.2f}", f"{s.rank:.1f}", f"{s.wins} of {s.pairs}", f"{s.seconds:.3g}")
        for s in sorted(found, key=lambda s: -s.psnr)
    ])  # fmt: skip


def short(found: Sequence[Summary]) -> str:
    """Return PSNR and gain of each method, best first."""
    rows = [
        (f"`{s.method}`", f"{s.psnr:.1f} dB", f"{signed(s.gain)} dB" if s.gain else "")
        for s in sorted(found, key=lambda s: -s.psnr)
    ]
    return table(("EPFL near-infrared × 4, mean of 3 pairs", "PSNR", "gain over bicubic"), rows)


def datasets() -> str:
    """Return a row for each data set: PSNR of each method, the worst gain of cmsr."""
    found = {(s.dataset, s.method): s for s in summaries(records("all"))}
    methods = unique(method for _, method in found)
    rows = []
    for name in unique(dataset for dataset, _ in found):
        ours = found[name, "cmsr"]
        psnr = [f"{found[name, method].psnr:.2f}" for method in methods]
        rows.append((f"`{name}` ({ours.pairs})", *psnr, signed(ours.worst)))
    return table(("data (pairs)", *(f"`{m}`" for m in methods), "worst gain of `cmsr`"), rows)


def aligned(method: str) -> str:
    """Return PSNR of each data set by how much a method may align."""
    found = {(s.dataset, s.method): s for s in summaries(records("align"))}
    columns = ["bicubic", *(f"{method}:align={how}" for how in ("off", "affine", "cpab", "auto"))]
    rows = []
    for name in unique(dataset for dataset, _ in found):
        psnr = [f"{found[name, column].psnr:.2f}" for column in columns]
        rows.append((f"`{name}` ({found[name, 'bicubic'].pairs})", *psnr))
    return table(("data (pairs)", "bicubic", f"`{method}` none", "affine", "+ CPAB", "all"), rows)


def scaling() -> str:
    """Return time and memory of large images."""
    with (BENCH / "scaling" / "scaling.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            (f"`{row['preset']}`", row["megapixels"], row["cores"], row["wall"], row["cpu"],
             row["memory"]) for row in csv.DictReader(file)
        ]  # fmt: skip
    return table(("preset", "megapixels", "cores", "seconds", "CPU seconds", "memory (GB)"), rows)


def alternation() -> str:
    """Return what p > 0 gives over p = 0 in each condition."""
    rows = json.loads((BENCH / "p" / "alternation-epfl_nir.json").read_text("utf-8"))
    return alternation_tables.table(alternation_tables.findings(rows)).rstrip() + "\n"


def gains(summary: Summary) -> tuple[str, str]:
    """Return mean and least gain; nothing for bicubic interpolation itself."""
    plain = summary.method == "bicubic"
    return ("", "") if plain else (signed(summary.gain), signed(summary.worst))


def signed(value: float) -> str:
    """Return a number with its sign, as it is printed."""
    return f"{value:+.2f}".replace("-", "−")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose numbers stand right."""
    rule = ("---", *["---:"] * (len(head) - 1))
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))


TABLES: dict[str, Callable[[], str]] = {
    "epfl means": lambda: means(summaries(records("epfl"))),
    "epfl short": lambda: short(summaries(records("epfl"))),
    "all": datasets,
    "align cmsr": lambda: aligned("cmsr"),
    "align cmsr-paper": lambda: aligned("cmsr-paper"),
    "alternation": alternation,
    "scaling": scaling,
}


def main() -> None:
    """Fill every page, and write every chart's dark copy."""
    for page in DOCS.glob("*.md"):
        page.write_text(filled(page.read_text("utf-8")), "utf-8")
    for name in CHARTS:
        chart = BENCH / name
        chart.with_stem(f"{chart.stem}-dark").write_text(dark(chart.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
