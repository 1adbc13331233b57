"""Move the guides of aligned pairs by known warps, and list the moved pairs for `cmsr bench`.

    python benchmarks/warped_pairs.py PAIRS.csv --dataset epfl_nir -o warped
    cmsr bench warped/pairs.csv --ablation align -o out

One warp of each kind of `known_warps.py` for each pair and seed; each kind is a data set.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from known_warps import MOTIONS, moved_guide

from cmsr.io import image_files
from cmsr_bench.cases import Case, read_cases


def rows(case: Case, seeds: int, out: Path) -> list[list[object]]:
    """Write the moved guides of one pair, and return what the table says of them."""
    if case.target is None or case.guide is None or case.truth is None:
        raise SystemExit(f"{case.label}: needs a target, a guide and a truth")
    guide = np.moveaxis(image_files.read(case.guide).data, 0, -1)
    found: list[list[object]] = []
    for kind, motion in MOTIONS.items():
        for seed in range(seeds):
            name = f"{case.name}_{seed}"
            path = out / f"{kind}_{name}.png"
            image_files.write(path, moved_guide(guide, motion(seed, guide.shape[:2])))
            files = (case.target.resolve(), path.name, case.truth.resolve())
            found.append([f"warped_{kind}", name, *files])
    return found


def main() -> None:
    """Write guides and table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--dataset", default="epfl_nir")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["dataset", "name", "target", "guide", "truth"])
        for case in read_cases(options.pairs, [options.dataset]):
            table.writerows(rows(case, options.seeds, options.out))


if __name__ == "__main__":
    main()
