"""Means, spreads, ranks and wins of each method on each data set."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cmsr_bench.records import Record


@dataclass(frozen=True)
class Summary:
    """Scores of one method on one data set.

    Attributes
    ----------
    method, dataset : str
    pairs, runs, failed : int
        Pairs scored; runs scored, over all seeds; runs that ended in an error.
    psnr, gain, ssim, rmse, consistency, seconds, memory : float
        Means over pairs of the means over seeds: dB, dB over bicubic, 1, the data's units twice,
        seconds of one core, MB.
    gain_positive : float
        Mean gain where the truth is above 0, over the pairs whose truth is 0 somewhere.
    worst : float
        Lowest gain of any run.
    of_pairs : int
        Pairs of the data set that any method was scored on.
    over_pairs, over_seeds : float
        Standard deviation of PSNR between pairs; and between seeds, in the quadratic mean over
        pairs; NaN where there was one.
    rank : float
        Mean place by PSNR among the methods that were scored on the pair; 1 is best.
    wins : int
        Pairs on which it is first.
    """

    method: str
    dataset: str
    pairs: int
    runs: int
    failed: int
    psnr: float
    gain: float
    gain_positive: float
    ssim: float
    rmse: float
    consistency: float
    seconds: float
    memory: float
    worst: float
    over_pairs: float
    over_seeds: float
    rank: float
    wins: int
    of_pairs: int


def summaries(records: Sequence[Record]) -> list[Summary]:
    """Summarise records, data set by data set, each method in the order of its first record."""
    found = []
    for dataset in unique(record["dataset"] for record in records):
        ours = [record for record in records if record["dataset"] == dataset]
        places, scored = _places(ours), {r["pair"] for r in ours if r["scored"]}
        for method in unique(record["method"] for record in ours):
            rows = [record for record in ours if record["method"] == method]
            if any(record["scored"] for record in rows):
                found.append(_summary(method, dataset, rows, places[method], len(scored)))
    return found


def by_pair(records: Iterable[Record], figure: str = "psnr") -> dict[str, dict[str, list[float]]]:
    """Return a figure of scored runs by method and pair, one value a seed.

    The PSNR of an image that is the truth itself is infinite.
    """
    table: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if not record["scored"]:
            continue
        exact = figure == "psnr" and record["rmse"] == 0
        value = math.inf if exact else record.get(figure)
        if value is not None:
            table[record["method"]][record["pair"]].append(value)
    return table


def swept(records: Sequence[Record], option: str) -> dict[float, dict[str, list[float]]]:
    """Return PSNR by the option's value and pair, one number a seed."""
    found: dict[float, dict[str, list[float]]] = {}
    for method, pairs in by_pair(records).items():
        for part in method.split(":"):
            name, _, value = part.partition("=")
            if name == option:
                found[float(value)] = pairs
    return found


def complete(points: dict[float, dict[str, list[float]]]) -> dict[float, dict[str, list[float]]]:
    """Keep the pairs of `swept` that have every value, so that means are comparable."""
    everywhere = set.intersection(*(set(pairs) for pairs in points.values())) if points else set()
    return {
        value: {pair: psnr for pair, psnr in pairs.items() if pair in everywhere}
        for value, pairs in points.items()
    }


def mean_and_error(pairs: dict[str, list[float]]) -> tuple[float, float]:
    """Mean over pairs and seeds, and its standard error over seeds.

    >>> mean_and_error({"a": [1.0, 3.0], "b": [2.0, 2.0]})
    (2.0, 0.5)
    """
    variances = [float(np.var(v, ddof=1)) / len(v) if len(v) > 1 else 0.0 for v in pairs.values()]
    mean = float(np.mean([np.mean(v) for v in pairs.values()]))
    return mean, math.sqrt(sum(variances)) / len(pairs)


def unique(names: Iterable[str]) -> list[str]:
    """Return each name once, in order."""
    return list(dict.fromkeys(names))


def _summary(
    method: str, dataset: str, rows: Sequence[Record], places: list[int], of_pairs: int
) -> Summary:
    scored = [record for record in rows if record["scored"]]
    psnr = [values for pairs in by_pair(scored).values() for values in pairs.values()]

    def mean(figure: str) -> float:
        pairs = by_pair(scored, figure).get(method, {})
        return float(np.mean([np.mean(v) for v in pairs.values()])) if pairs else float("nan")

    return Summary(
        method=method,
        dataset=dataset,
        pairs=len(psnr),
        runs=len(scored),
        failed=sum(record["error"] is not None for record in rows),
        psnr=mean("psnr"),
        gain=mean("gain"),
        gain_positive=mean("gain_positive"),
        ssim=mean("ssim"),
        rmse=mean("rmse"),
        consistency=mean("consistency"),
        seconds=mean("seconds"),
        memory=mean("peak_memory_mb"),
        worst=min((r["gain"] for r in scored if r["gain"] is not None), default=float("nan")),
        over_pairs=_deviation([float(np.mean(values)) for values in psnr]),
        over_seeds=_over_seeds(psnr),
        rank=float(np.mean(places)) if places else float("nan"),
        wins=places.count(1),
        of_pairs=of_pairs,
    )


def _over_seeds(psnr: Sequence[Sequence[float]]) -> float:
    """Quadratic mean over pairs of the deviation over seeds; NaN with one seed."""
    several = [_deviation(values) for values in psnr if len(values) > 1]
    return float(np.sqrt(np.mean(np.square(several)))) if several else math.nan


def _deviation(values: Sequence[float]) -> float:
    """Unbiased standard deviation; NaN of a single value, and where one is infinite."""
    if len(values) < 2 or not np.isfinite(values).all():
        return math.nan
    return float(np.std(values, ddof=1))


def _places(records: Sequence[Record]) -> dict[str, list[int]]:
    """Return the ranks of each method on its pairs; equal ones share the better rank."""
    means = {m: {p: float(np.mean(v)) for p, v in pairs.items()} for m, pairs in
             by_pair(records).items()}  # fmt: skip
    places: dict[str, list[int]] = defaultdict(list)
    for pair in unique(pair for pairs in means.values() for pair in pairs):
        there = {method: pairs[pair] for method, pairs in means.items() if pair in pairs}
        for method, value in there.items():
            places[method].append(1 + sum(other > value for other in there.values()))
    return places
