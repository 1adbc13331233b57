"""PSNR, kernel and guide weight of each preset on each pair, against those of an earlier version.

    python benchmarks/frozen.py PAIRS.csv                     # measure and print what differs
    python benchmarks/frozen.py PAIRS.csv --write             # measure and replace the table
    python benchmarks/frozen.py PAIRS.csv --align [--write]   # the same of `cmsr.align`

The table lies beside this file, `frozen.csv`. Each pair with a truth is upscaled by one thread;
PSNR is taken on the 8-bit scale over all pixels. Exit status 1 if a pair has lost more than
``--tolerance`` dB or a mean has fallen.

`frozen_align.csv` holds how far from its place `cmsr.align` leaves a guide that a known warp has
moved (`known_warps.py`): the median over the image in pixels of the guide, at commit 24109fe and
when the table was written last. Exit status 1 if, of any kind of warp, the median over all rows is
larger than either by more than `DRIFT`, or more guides than then lie further off than `MISSED`.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import rasterio
import torch
from known_warps import MOTIONS, moved_guide, pairs, residual

import cmsr
from cmsr.metrics import psnr
from cmsr.operators.resampling import resampler
from cmsr_bench.cases import Case, read_cases

TABLE = Path(__file__).with_suffix(".csv")
FIELDS = ("preset", "dataset", "name", "psnr", "kernel", "guide_weight", "seconds")

ALIGN_TABLE = TABLE.with_name("frozen_align.csv")
DRIFT, MISSED = 0.05, 3.0  # pixels of the guide


def read(path: Path) -> np.ndarray:
    """Read an image as (H, W), colours averaged, holes as their stored value."""
    with rasterio.open(path) as file:
        bands = file.read().astype(float)
    return bands[:3].mean(0) if len(bands) >= 3 else bands[0]


def target_of(case: Case, truth: np.ndarray) -> Path | np.ndarray:
    """Return the target of a pair, or its truth reduced by the standard kernel."""
    if case.target is not None:
        return case.target
    low = tuple(round(n / (case.scale or 1)) for n in truth.shape)
    reduced = resampler(truth.shape, low)(torch.from_numpy(truth).float()).numpy()
    return np.clip(np.rint(reduced), 0, 255).astype(np.uint8)


def measured(task: tuple[str, Case]) -> dict[str, str]:
    """Upscale one pair by one preset."""
    preset, case = task
    truth = read(case.truth)
    start = time.process_time()
    result = cmsr.upscale(target_of(case, truth), case.guide, preset=preset, max_memory=16)
    seconds = time.process_time() - start
    image = np.clip(np.asarray(result.image, float).reshape(*truth.shape, -1).mean(-1), 0, 255)
    return {
        "preset": preset,
        "dataset": case.dataset,
        "name": case.name,
        "psnr": f"{psnr(image, truth, 255):.3f}",
        "kernel": str(result.info["kernel"]),
        "guide_weight": f"{result.info['guide_weight']:.3f}",
        "seconds": f"{seconds:.1f}",
    }


def key(row: dict[str, str]) -> tuple[str, str, str]:
    """Return what names a row."""
    return row["preset"], row["dataset"], row["name"]


def differences(old: list[dict[str, str]], new: list[dict[str, str]], tolerance: float) -> int:
    """Print what differs from the table; return how many pairs and means have fallen."""
    before = {key(row): row for row in old}
    means: dict[tuple[str, str], list[float]] = defaultdict(list)
    fallen = 0
    for row in new:
        was = before.get(key(row))
        if was is None:
            continue
        change = float(row["psnr"]) - float(was["psnr"])
        means[key(row)[:2]].append(change)
        worse = change < -tolerance
        fallen += worse
        same = row["kernel"] == was["kernel"]
        if worse or not same or abs(change) > tolerance:
            print(
                f"{' '.join(key(row)):50s} {was['psnr']} -> {row['psnr']} ({change:+.3f} dB)  "
                f"{was['kernel']} -> {row['kernel']}  "
                f"weight {was['guide_weight']} -> {row['guide_weight']}"
            )
    for name, changes in means.items():
        print(f"{' '.join(name):40s} n={len(changes):3d}  mean {np.mean(changes):+.4f} dB")
        fallen += float(np.mean(changes)) < -0.005
    return fallen


def align_differences(table: Path, write: bool) -> int:
    """Align the guides of the table again; print what differs, return how much has worsened."""
    rows = list(csv.DictReader(ALIGN_TABLE.open(newline="")))
    scenes = {name: images for name, *images in pairs(table, "epfl_nir")}
    errors: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for row in rows:
        target, guide, _ = scenes[row["name"]]
        motion = MOTIONS[row["kind"]](int(row["seed"]), guide.shape[:2])
        now = residual(cmsr.align(target, moved_guide(guide, motion)), motion)
        before = float(row["pixels_24109fe"]), float(row["pixels"])
        errors[row["kind"]].append((now, *before))
        if abs(round(now, 2) - before[1]) > DRIFT:
            name = f"{row['kind']} {row['seed']} {row['name']}"
            print(f"{name}: {before[0]:.2f}, {before[1]:.2f} -> {now:.2f} px")
        row["pixels"] = f"{now:.2f}"
    worsened = 0
    for kind, found in errors.items():
        (now, *before), missed = np.median(found, 0), (np.array(found) > MISSED).sum(0)
        print(f"{kind:10s} median {before[0]:.2f}, {before[1]:.2f} -> {now:.2f} px  "
              f"missed {missed[1]}, {missed[2]} -> {missed[0]} of {len(found)}")  # fmt: skip
        worsened += bool(now > min(before) + DRIFT or missed[0] > min(missed[1:]))
    if write:
        with ALIGN_TABLE.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return worsened


def main() -> int:
    """Measure, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--presets", nargs="+", default=["default", "fast", "paper"])
    parser.add_argument("--dataset", nargs="+", default=[], help="of all data sets, these only")
    parser.add_argument("--every", type=int, default=1, help="take each n-th pair only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--tolerance", type=float, default=0.05)
    parser.add_argument("--write", action="store_true", help="replace the rows measured")
    parser.add_argument("--align", action="store_true", help="known warps instead of presets")
    options = parser.parse_args()
    if options.align:
        return 1 if align_differences(options.pairs, options.write) else 0
    cases = [case for case in read_cases(options.pairs, options.dataset) if case.truth]
    tasks = [(preset, case) for preset in options.presets for case in cases[:: options.every]]
    old = list(csv.DictReader(TABLE.open(newline=""))) if TABLE.exists() else []
    new = []
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for row in pool.imap(measured, tasks):
            new.append(row)
            print(*row.values(), file=sys.stderr, flush=True)
            if options.write:
                table = {**{key(r): r for r in old}, **{key(r): r for r in new}}
                with TABLE.open("w", newline="") as file:
                    writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(table.values())
    return 1 if differences(old, new, options.tolerance) else 0


if __name__ == "__main__":
    sys.exit(main())
