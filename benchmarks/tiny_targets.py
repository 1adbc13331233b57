"""What a guide is worth to tiny targets: RMSE with and without it, and what was foretold.

    python benchmarks/tiny_targets.py PAIRS.csv OUT.csv --side 24 --crops 2 --ratios 2 3 4 8

Squares are cut from the truths of aligned pairs where these have contrast, and reduced by the
standard kernel and rounding. ``worth`` is by how many dB the RMSE falls with the guide.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import cmsr
from cmsr.guided import guide_weight
from cmsr.guided.candidates import Candidates
from cmsr.io import image_files
from cmsr.operators.resampling import resampler

DATASETS = ("epfl_nir", "roadscene_thermal", "middlebury_depth", "mmsr_depth", "ulb17_thermal")
seen: dict[str, float] = {}

Scene = tuple[str, str, np.ndarray, np.ndarray]


def scenes(table: Path, most: int) -> Iterator[Scene]:
    """Read data set, name, truth (H, W) and guide (H, W, 3), so many of each set at most."""
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] in DATASETS and row["truth"]]
    for dataset in DATASETS:
        own = [row for row in rows if row["dataset"] == dataset]
        for row in own[:: max(1, len(own) // most)][:most]:
            truth = image_files.read(table.parent / row["truth"]).data[:3].astype(float).mean(0)
            guide = np.moveaxis(image_files.read(table.parent / row["guide"]).data[:3], 0, -1)
            if guide.shape[:2] == truth.shape:
                yield dataset, row["name"], truth, guide


def crops(scene: Scene, side: int, count: int, rng: np.random.Generator) -> Iterator[Any]:
    """Cut squares of a truth and its guide, each the one with most contrast of four."""
    truth, guide = scene[2], scene[3]
    if min(truth.shape) < side:
        return
    for _ in range(count):
        tops, lefts = (rng.integers(0, n - side + 1, 4) for n in truth.shape)
        boxes = [np.s_[t : t + side, f : f + side] for t, f in zip(tops, lefts, strict=True)]
        best = max(boxes, key=lambda box: truth[box].std())
        yield truth[best], guide[best]


def note_chances() -> None:
    """Take note of held-out gains, and of how certain so few pixels make them."""
    gain, mixture = Candidates.gain, guide_weight.mixture_weight

    def gain_noted(self: Candidates, view: Any, control: bool = True) -> Any:
        found = gain(self, view, control)
        free, guided = (self.channel.reduce(x) for x in self._started(view))
        hidden, y = self.hidden(view) > 0, self.channel.y
        before, after = ((x - y)[hidden].square().double() for x in (free, guided))
        ratio = before / before.mean() - after / after.mean()
        chance = 10 / math.log(10) * float(ratio.std() / max(1, ratio.numel()) ** 0.5)
        seen.update(gain=found.gain, control=found.control_gain, chance=chance)
        return found

    def mixture_noted(found: float) -> float:
        seen.update(mixture=found)
        return mixture(found)

    Candidates.gain, guide_weight.mixture_weight = gain_noted, mixture_noted  # type: ignore[method-assign]


def measured(truth: np.ndarray, guide: np.ndarray, ratio: int, ways: list[str]) -> dict[str, Any]:
    """Upscale one square without the guide, and with it in each way of alignment."""
    low = truth.shape[0] // ratio, truth.shape[1] // ratio
    reduced = resampler(truth.shape, low)(torch.from_numpy(truth).float()).numpy()
    target = np.clip(np.rint(reduced), 0, 255).astype(np.uint8)

    def rmse(**options: Any) -> tuple[float, Any]:
        result = cmsr.upscale(target, kernel="bicubic", invalid="none", **options)
        return max(float(np.sqrt(np.mean((result.image - truth) ** 2))), 1e-3), result

    free, _ = rmse(ratio=ratio)
    row: dict[str, Any] = {"free": round(free, 3)}
    for way in ways:
        seen.clear()
        with_guide, result = rmse(guide=guide, align=way)
        facts = result.info["alignment"]
        row |= {f"{way}_rmse": round(with_guide, 3),
                f"{way}_worth": round(20 * math.log10(free / with_guide), 3),
                f"{way}_weight": round(result.info["guide_weight"], 3),
                f"{way}_moved": round(facts["median_displacement"], 2)}  # fmt: skip
        row |= {f"{way}_{key}": round(seen.get(key, math.nan), 3)
                for key in ("gain", "control", "chance", "mixture")}  # fmt: skip
    return row


def summary(rows: list[dict[str, Any]]) -> None:
    """Print how worth is distributed in each data set and at each ratio."""
    for key in ("dataset", "ratio"):
        for name in dict.fromkeys(row[key] for row in rows):
            for way in [key[:-6] for key in rows[0] if key.endswith("_worth")]:
                worth = np.array([float(row[f"{way}_worth"]) for row in rows if row[key] == name])
                low, middle, high = np.percentile(worth, [5, 50, 95])
                print(f"{name!s:18} {way:4} {len(worth):3}: worst {worth.min():+.2f}, "
                      f"5 % {low:+.2f}, median {middle:+.2f}, 95 % {high:+.2f}, "
                      f"mean {worth.mean():+.3f} dB, "
                      f"below -0.1 dB {np.mean(worth < -0.1):.0%}")  # fmt: skip


def main() -> None:
    """Measure what is not in the table yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=24)
    parser.add_argument("--crops", type=int, default=2)
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--ratios", type=int, nargs="+", default=[2, 3, 4, 8])
    parser.add_argument("--ways", nargs="+", default=["off", "auto"])
    options = parser.parse_args()
    if not options.out.exists():
        note_chances()
        rows = []
        for number, scene in enumerate(scenes(options.pairs, options.scenes)):
            for ratio in options.ratios:
                rng = np.random.default_rng([number, ratio])
                for truth, guide in crops(scene, options.side * ratio, options.crops, rng):
                    rows.append({"dataset": scene[0], "name": scene[1], "ratio": ratio}
                                | measured(truth, guide, ratio, options.ways))  # fmt: skip
                    print(rows[-1], flush=True)
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    with options.out.open(newline="") as file:
        summary(list(csv.DictReader(file)))


if __name__ == "__main__":
    main()
