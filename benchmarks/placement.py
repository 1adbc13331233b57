"""How often the field of a target is found in a wider photo: error in target pixels, confidence.

Usage: python -m benchmarks.placement PAIRS.csv [--other]

The table names target, guide and map (float32 .npy, (h, w, 2): where each target pixel lies
in the photo). ``--other`` takes each target with another pair's photo, which is to be refused.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import torch

from cmsr.io import image_files
from cmsr.registration.placement import LEAST_CONFIDENCE, Prior, Search, best_placement
from cmsr.registration.transforms import identity_grid


def main(table: str, *, other: bool) -> None:
    """Print a line for each pair, then shares."""
    folder = Path(table).parent
    rows = list(csv.DictReader(Path(table).read_text().splitlines()))
    found = []
    for number, row in enumerate(rows):
        beside = rows[(number + len(rows) // 3) % len(rows)] if other else row
        target, photo = (
            torch.tensor(image_files.read(folder / name).data.astype(np.float32))
            for name in (row["target"], beside["guide"])
        )
        colours = photo[:3].expand(3, -1, -1)
        search = Search.of(target[0], torch.ones_like(target[0]), colours, Prior())
        best = best_placement(search, (0,))
        truth = np.load(folder / row["map"])
        places = best.places(identity_grid((target.shape[1], target.shape[2])))[0].numpy()
        away = float(np.median(np.hypot(*(places - truth).transpose(2, 0, 1)))) / best.fineness[0]
        found.append((away < 2 and not other, best.confidence >= LEAST_CONFIDENCE))
        print(f"{row['name']:28s} {away:7.2f} px  confidence {best.confidence:.2f}", flush=True)
    right, sure = np.array(found).T
    print(f"{len(found)} pairs: {right.mean():.0%} within 2 px, {sure.mean():.0%} accepted, "
          f"{(right & sure).mean():.0%} both")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], other="--other" in sys.argv[2:])
