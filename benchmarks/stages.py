"""Seconds that each stage of a run takes, and a tile: where `COSTS` of cmsr.app.progress come from.

python benchmarks/stages.py TARGET [GUIDE] [--preset fast]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch

from cmsr.app.job import Job
from cmsr.config import Config
from cmsr.progress import SOLVING


def main() -> None:
    """Run once with one thread and print the seconds of each stage; those of a tile for tiles."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", type=Path)
    parser.add_argument("guide", type=Path, nargs="?")
    parser.add_argument("--preset", default="default")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    told: list[tuple[float, str, int]] = []

    def note(stage: str, _step: int, steps: int, _loss: float) -> None:
        told.append((time.perf_counter(), stage, steps))

    with tempfile.TemporaryDirectory() as folder:
        out, config = Path(folder, "out.tif"), Config.of(asked.preset)
        Job(target=asked.target, guide=asked.guide, out=out, config=config).run(note)
    told.append((time.perf_counter(), "end", 1))
    seconds: dict[str, float] = {}
    for (begun, stage, _), (ended, _, _) in pairwise(told):
        seconds[stage] = seconds.get(stage, 0.0) + ended - begun
    tiles = max(steps for _, stage, steps in told if stage == SOLVING)
    seconds[SOLVING] /= tiles
    print(f"{tiles} tiles;", ", ".join(f"{name} {took:.2f}" for name, took in seconds.items()))


if __name__ == "__main__":
    main()
