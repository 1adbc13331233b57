"""Plots: quality against seconds, a swept option, the course of a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cmsr_bench import charts
from cmsr_bench.records import Record
from cmsr_bench.summary import Summary, complete, mean_and_error, swept


def speed(path: Path, found: Sequence[Summary]) -> None:
    """Draw seconds (log) against mean gain over bicubic, every method one point.

    ``found`` holds the summaries of one data set.
    """
    with charts.figure(6, 3.6) as figure:
        axes = figure.add_subplot()
        order = sorted(found, key=lambda summary: summary.gain)
        for summary, height in zip(order, _spread([s.gain for s in order]), strict=True):
            colour = "C3" if summary.method.startswith("cmsr") else "0.35"
            axes.plot(summary.seconds, summary.gain, "o", color=colour, markersize=5)
            axes.annotate(
                summary.method,
                (summary.seconds, summary.gain),
                xytext=(1.02, height),
                textcoords=("axes fraction", "data"),
                va="center",
                color=colour,
                arrowprops={
                    "arrowstyle": "-",
                    "color": "0.8",
                    "linewidth": 0.6,
                    "relpos": (0, 0.5),
                },
            )
        axes.set_xscale("log")
        axes.margins(x=0.08, y=0.12)
        axes.set_xlabel("seconds a pair, one core")
        axes.set_ylabel("mean gain over bicubic (dB)")
        axes.set_title(f"{found[0].dataset}, {found[0].pairs} pairs", loc="left")
        charts.save(figure, path)


def _spread(values: Sequence[float]) -> list[float]:
    """Move ascending heights up so that each is a line of text above the one before."""
    line, heights = 0.065 * (max(values) - min(values)), list[float]()
    for value in values:
        heights.append(max(value, heights[-1] + line) if heights else value)
    return heights


def sweep(path: Path, records: Sequence[Record], option: str) -> None:
    """Draw PSNR against an option: the mean over pairs and seeds, and each pair beside it.

    The bar is the standard error of the mean over seeds, for these pairs. Pairs that lack a value
    are left out; nothing is drawn if none is left.
    """
    points = complete(swept(records, option))
    values = sorted(points)
    if not all(points.values()):
        return
    pairs = sorted({pair for at in points.values() for pair in at})
    with charts.figure(7.5, 3.4) as figure:
        left, right = figure.subplots(1, 2)
        means, errors = zip(*(mean_and_error(points[value]) for value in values), strict=True)
        left.errorbar(values, means, yerr=errors, fmt="o-", color="C3", capsize=3)
        left.set_ylabel("PSNR (dB), mean over pairs and seeds")
        for pair in pairs:
            there = [value for value in values if pair in points[value]]
            start = np.mean(points[there[0]][pair])
            line = [np.mean(points[value][pair]) - start for value in there]
            spread = [np.std(points[value][pair], ddof=min(1, len(points[value][pair]) - 1))
                      for value in there]  # fmt: skip
            right.errorbar(there, line, yerr=spread, fmt="o-", capsize=2, label=pair, markersize=3)
        right.axhline(0, color="0.6", linewidth=0.8)
        right.set_ylabel(f"PSNR over {option} = {values[0]:g} (dB), ± deviation over seeds")
        right.legend()
        for axes in (left, right):
            axes.set_xlabel(option)
        charts.save(figure, path)


def curves(path: Path, folds: Sequence[Sequence[Sequence[float]]]) -> None:
    """Draw each fold's gain over bicubic interpolation on its held-out pairs during the training.

    ``folds`` holds points (step, training loss, PSNR, that of bicubic interpolation).
    """
    with charts.figure(5, 3) as figure:
        axes = figure.add_subplot()
        for index, points in enumerate(folds):
            if points:
                steps, _, psnr, plain = np.array(points).T
                axes.plot(steps, psnr - plain, "o-", markersize=3, label=f"fold {index + 1}")
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set_xlabel("step")
        axes.set_ylabel("gain over bicubic, held-out pairs (dB)")
        axes.legend()
        charts.save(figure, path)
