"""What fitting scripts share: cases in random order until the time is over, and their commands."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cmsr_bench.cases import Case


def drawn(
    cases: Sequence[Case], often: Mapping[str, float], rng: np.random.Generator, seconds: float
) -> Iterator[tuple[int, Case]]:
    """Yield number and case, in random order, until the time is over.

    ``often`` says by data set how often a case is taken, in the mean.
    """
    began = time.monotonic()
    jobs = [case for case in cases for _ in range(rng.poisson(often[case.dataset]))]
    for number in rng.permutation(len(jobs)):
        if time.monotonic() - began > seconds:
            return
        yield int(number), jobs[number]


def collect_or_fit(
    about: str,
    collect: Callable[[Path, float, int, Path], None],
    fit: Callable[[list[Path]], None],
) -> None:
    """Run what the command line asks for: ``collect PAIRS OUT`` or ``fit FILES``."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("what", choices=["collect", "fit"])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.what == "fit":
        fit(options.files)
    else:
        collect(options.files[0], options.seconds, options.seed, options.files[1])
