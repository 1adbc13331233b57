"""Fit from which held-out gain on a guide counts: the constants of `cmsr.guided.held_out`.

    python benchmarks/fit_guide_weight.py PAIRS.csv OUT.csv --every 2 --ratios 2 3 4

Truths of each data set are reduced by the standard kernel and brought back with the guide at full
weight, whatever held-out pixels say, and without it: as the guide is, deformed by a random
thin-plate warp, and of the next scene. The table holds the held-out gains and what the guide is
truly worth. For each data set in turn, bounds are chosen on the others: those with the highest mean
of weight · worth, where losses count three times; what they bring on the one left out is printed.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from known_warps import MOTIONS, moved_guide

import cmsr
from cmsr.guided import guide_weight
from cmsr.guided.held_out import _ramp
from cmsr.io import image_files
from cmsr.metrics import psnr
from cmsr.operators.resampling import resampler

DATASETS = ("epfl_nir", "ulb17_thermal", "roadscene_thermal")
LOWER, HIGHER = (0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0), (0.4, 0.8, 1.5, 2.5)
CAUTION = 3.0
"""How many times a loss counts."""

seen: dict[str, list[float]] = {"gain": [], "mixture": []}


def full_weight(gain: float, control: float) -> float:
    """Take note of a held-out gain, and let the guide count."""
    seen["gain"].append(min(gain, gain - control))
    return 1.0


def full_mixture(gain: float) -> float:
    """Take note of the mixture's held-out gain, and let it count."""
    seen["mixture"].append(gain)
    return 1.0


def cases(table: Path, every: int) -> list[tuple[str, str, np.ndarray, np.ndarray]]:
    """Read data set, name, truth (H, W) and guide (H, W, 3)."""
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] in DATASETS and row["truth"]]
    found = []
    for row in rows[::every]:
        truth = image_files.read(table.parent / row["truth"]).data[:3].astype(float).mean(0)
        guide = np.moveaxis(image_files.read(table.parent / row["guide"]).data[:3], 0, -1)
        if guide.shape[:2] == truth.shape:
            found.append((row["dataset"], row["name"], truth, guide))
    return found


def measured(every: int, ratios: list[int], table: Path) -> list[dict[str, Any]]:
    """Upscale every case in every way."""
    guide_weight.overall_weight, guide_weight.mixture_weight = full_weight, full_mixture
    records = []
    scenes = cases(table, every)
    for number, (dataset, name, truth, guide) in enumerate(scenes):
        ratio = ratios[number % len(ratios)]
        low = truth.shape[0] // ratio, truth.shape[1] // ratio
        inside = np.s_[: low[0] * ratio, : low[1] * ratio]
        truth, guide = truth[inside], guide[inside]
        reduced = resampler(truth.shape, low)(torch.from_numpy(truth).float()).numpy()
        target = np.clip(np.rint(reduced), 0, 255).astype(np.uint8)
        other = scenes[(number + 1) % len(scenes)][3]
        ways = {
            "own": guide,
            "deformed": moved_guide(guide, MOTIONS["thin-plate"](number, guide.shape[:2])),
            "other": np.resize(other, guide.shape) if other.shape != guide.shape else other,
        }
        free = psnr(cmsr.upscale(target, ratio=ratio, kernel="bicubic").image, truth, 255)
        for way, photo in ways.items():
            for values in seen.values():
                values.clear()
            found = cmsr.upscale(target, photo, kernel="bicubic")
            if found.info["alignment"]["refused"] or not seen["mixture"]:
                continue
            worth = psnr(found.image, truth, 255) - free
            records.append(
                {"dataset": dataset, "name": name, "ratio": ratio, "way": way,
                 "gain": seen["gain"][0], "mixture": seen["mixture"][0], "worth": worth}
            )  # fmt: skip
            print(records[-1], flush=True)
    return records


def weight(record: dict[str, Any], bounds: tuple[tuple[float, float], ...]) -> float:
    """Return the weight that bounds of both gains give."""
    gain, mixture = bounds
    return min(_ramp(float(record["gain"]), gain), _ramp(float(record["mixture"]), mixture))


def value(records: list[dict[str, Any]], bounds: tuple[tuple[float, float], ...]) -> float:
    """Return the mean of weight times worth, losses counted `CAUTION` times."""
    gains = np.array([weight(record, bounds) * float(record["worth"]) for record in records])
    return float(np.where(gains < 0, CAUTION * gains, gains).mean())


def fit(records: list[dict[str, Any]]) -> tuple[tuple[float, float], ...]:
    """Return the best bounds."""
    ramps = [(low, low + wide) for low, wide in product(LOWER, HIGHER)]
    return max(product(ramps, ramps), key=lambda bounds: value(records, bounds))


def report(records: list[dict[str, Any]]) -> None:
    """Print what bounds fitted elsewhere bring to each data set."""
    for dataset in DATASETS:
        rest = [record for record in records if record["dataset"] != dataset]
        here = [record for record in records if record["dataset"] == dataset]
        if not here or not rest:
            continue
        for name, bounds in (("fitted", fit(rest)), ("used", (calibrate_bounds()))):
            gains = [weight(record, bounds) * float(record["worth"]) for record in here]
            print(
                f"{dataset:18} {name:6} {bounds}: mean {np.mean(gains):+.3f}, worst "
                f"{min(gains):+.2f}, below -0.1: {sum(x < -0.1 for x in gains)} of {len(here)}"
            )
    print("fitted on all:", fit(records))


def calibrate_bounds() -> tuple[tuple[float, float], ...]:
    """Return the bounds in use."""
    from cmsr.guided.held_out import GAIN, MIX_GAIN

    return GAIN, MIX_GAIN


def run(
    about: str, measured: Callable[..., list[Any]], report: Callable[[list[Any]], None]
) -> None:
    """Measure, or read what was measured before, and fit, as the command line says."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--ratios", type=int, nargs="+", default=[2, 3, 4])
    options = parser.parse_args()
    if not options.out.exists():
        records = measured(options.every, options.ratios, options.pairs)
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(records)
    with options.out.open(newline="") as file:
        report(list(csv.DictReader(file)))


if __name__ == "__main__":
    run(__doc__.splitlines()[0], measured, report)
