"""What several frames of a hand-held camera bring: `upscale(frames=...)` against one frame alone.

    python benchmarks/fuse_series.py $CMSR_DATA/pairs.csv ulb17_thermal:6,8 epfl_nir:0 --seeds 1

Frames are made from a truth: moved by up to 1.5 pixels of the target, turned and enlarged a
little, reduced, their level drifts, and noise is added. The damping and the thresholds were fitted
to pair 3 of ULB, 1 of EPFL and 2 of RoadScene with seed 0; EXPERIMENTS.md reports others.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from scipy import ndimage

import cmsr
from cmsr.operators.resampling import resampler

SHIFT, TURN, ZOOM, DRIFT = 1.5, 0.4, 0.004, 0.01
"""Largest shift in pixels of the target, turn in degrees, enlargement; drift of gain and level."""


def frames_of(truth: Any, count: int, ratio: int, noise: float, seed: int) -> list[Any]:
    """Return frames of a series; the first is not moved. Noise is a share of the truth's span."""
    rng, (height, width) = np.random.default_rng(seed), truth.shape
    low, span, made = (height // ratio, width // ratio), np.ptp(truth), []
    reduce, centre = resampler((height, width), low), (np.array(truth.shape) - 1) / 2
    for number in range(count):
        moved, gain, level = truth, 1.0, 0.0
        if number:
            angle, zoom = np.deg2rad(rng.uniform(-TURN, TURN)), 1 + rng.uniform(-ZOOM, ZOOM)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            start = centre + rng.uniform(-SHIFT, SHIFT, 2) * ratio - zoom * turn @ centre
            moved = ndimage.affine_transform(truth, zoom * turn, start, order=5, mode="mirror")
            gain, level = 1 + DRIFT * rng.normal(), DRIFT * span * rng.normal()
        seen = reduce(torch.from_numpy(moved).float()).numpy()
        noisy = gain * seen + level + rng.normal(0, noise * span, low)
        made.append(noisy.astype(np.float32))
    return made


def read(path: Path) -> Any:
    """Read a picture as (bands, H, W)."""
    with warnings.catch_warnings(action="ignore"), rasterio.open(path) as file:
        return file.read()


def cases(table: Path, wanted: list[str]) -> list[tuple[str, Any, Any]]:
    """Return name, truth and guide of the pairs that are named as DATASET:NUMBER,NUMBER."""
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["truth"]]
    found = []
    for dataset, numbers in (each.split(":") for each in wanted):
        pairs = [row for row in rows if row["dataset"] == dataset]
        for row in (pairs[int(number)] for number in numbers.split(",")):
            truth = read(table.parent / row["truth"]).astype(float)[:3].mean(0)
            guide = np.moveaxis(read(table.parent / row["guide"]), 0, -1)
            sides = (min(n, m) // 8 * 8 for n, m in zip(truth.shape, guide.shape, strict=False))
            height, width = sides
            found.append((row["name"], truth[:height, :width], guide[:height, :width]))
    return found


def psnr(image: Any, truth: Any) -> float:
    """Return it with the truth's own span as the peak."""
    return float(10 * np.log10(np.ptp(truth) ** 2 / np.mean((image - truth) ** 2)))


def main() -> None:
    """Print a line a case and, last, the mean gain."""
    parser = argparse.ArgumentParser()
    parser.add_argument("table", type=Path)
    parser.add_argument("pairs", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--noise", type=float, default=0.02)
    given, gains = parser.parse_args(), []
    torch.set_num_threads(1)
    for name, truth, guide in cases(given.table, given.pairs):
        for seed in given.seeds:
            first, *others = frames_of(truth, given.frames, 4, given.noise, seed)
            line, gain = f"{name:14s} seed {seed}", []
            for photo, size in ((None, {"ratio": 4}), (guide, {"size": truth.shape[::-1]})):
                alone = cmsr.upscale(first, photo, **size)
                fused = cmsr.upscale(first, photo, frames=others, **size)
                before, after = psnr(alone.image, truth), psnr(fused.image, truth)
                gain.append(after - before)
                used, kind = len(fused.info["fused"]["used"]), "guided" if photo is not None else ""
                line += f"  {kind} {before:.2f} -> {after:.2f} ({after - before:+.2f}, {used} used)"
            gains.append(gain)
            print(line, flush=True)
    free, guided = np.mean(gains, 0)
    print(f"n={len(gains)}: without a guide {free:+.2f} dB, with {guided:+.2f} dB; worst case "
          f"{np.min(gains):+.2f} dB")  # fmt: skip


if __name__ == "__main__":
    main()
