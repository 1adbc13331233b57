"""Seconds and memory against megapixels, on one and on two cores.

    python benchmarks/scaling.py PAIRS.csv OUT --megapixels 1.3 5 12 --presets default fast

Mosaics of the near-infrared and thermal pairs of a table, at ×4, are upscaled by a process each;
what a process takes to start and to import is not counted. The table is printed and written to
OUT/scaling.csv, drawn in OUT/scaling.svg. Compare figures of one run only: machines differ.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch

from cmsr import charts
from cmsr.io import image_files
from cmsr.operators.resampling import resampler

AXES = {"wall": "seconds", "cpu_per_megapixel": "CPU seconds a megapixel", "memory": "memory (GB)"}
"""What is drawn, by columns of the table."""

CELL = (240, 320)
"""Height and width of a pair's part of a mosaic."""

DATASETS = ("epfl_nir", "ulb17_thermal", "roadscene_thermal")

RUN = """
import json, resource, sys, time
import torch
torch.set_num_threads(int(sys.argv[1]))
import cmsr
start, used = time.time(), time.process_time()
result = cmsr.upscale(*sys.argv[2:4], preset=sys.argv[4], max_memory=16)
print(json.dumps({
    "wall": time.time() - start,
    "cpu": time.process_time() - used,
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
}))
"""


def cells(table: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read truths (H, W) and guides (3, H, W) that fill a cell, from each data set in turn."""
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in DATASETS}
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] in DATASETS and row["truth"]]
    for row in rows:
        with rasterio.open(table.parent / row["truth"]) as file:
            truth = file.read().astype(float)[:3].mean(0)
        with rasterio.open(table.parent / row["guide"]) as file:
            guide = np.broadcast_to(file.read()[:3], (3, *truth.shape))
        if truth.shape[0] >= CELL[0] and truth.shape[1] >= CELL[1]:
            part = np.s_[..., : CELL[0], : CELL[1]]
            found[row["dataset"]].append((truth[part], guide[part]))
    longest = max(len(some) for some in found.values())
    return [some[i % len(some)] for i in range(longest) for some in found.values() if some]


def mosaic(parts: list[tuple[np.ndarray, np.ndarray]], pixels: float, folder: Path) -> float:
    """Write a target and a guide of about so many pixels; return the megapixels of the result."""
    across = max(1, round(math.sqrt(pixels * 4 / 3) / CELL[1]))
    down = max(1, round(pixels / (across * CELL[0] * CELL[1])))
    grid = [[parts[(y * across + x) % len(parts)] for x in range(across)] for y in range(down)]
    truth, guide = (np.block([[cell[i] for cell in row] for row in grid]) for i in (0, 1))
    low = truth.shape[0] // 4, truth.shape[1] // 4
    target = resampler(truth.shape, low)(torch.from_numpy(truth).float()).numpy()
    image_files.write(folder / "target.tif", np.clip(np.rint(target), 0, 255).astype(np.uint8))
    image_files.write(folder / "guide.tif", np.moveaxis(guide, 0, -1).astype(np.uint8))
    return float(truth.size / 1e6)


def measured(folder: Path, preset: str, cores: int) -> dict[str, float]:
    """Upscale a mosaic in a process of its own."""
    files = [str(folder / f"{name}.tif") for name in ("target", "guide")]
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(cores), *files, preset]
    environment = {**os.environ, "OMP_NUM_THREADS": str(cores)}
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=True, env=environment
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw seconds, processor seconds a megapixel and gigabytes against megapixels."""
    kinds = dict.fromkeys((str(row["preset"]), int(row["cores"])) for row in rows)
    presets = list(dict.fromkeys(preset for preset, _ in kinds))
    with charts.figure(9, 3) as figure:
        for axes, (key, label) in zip(figure.subplots(1, len(AXES)), AXES.items(), strict=True):
            for preset, cores in kinds:
                some = [
                    row for row in rows if (row["preset"], int(row["cores"])) == (preset, cores)
                ]
                axes.plot(
                    [float(row["megapixels"]) for row in some],
                    [float(row[key]) for row in some],
                    "o-" if cores > 1 else "o--",
                    color=f"C{presets.index(preset)}",
                    label=f"{preset}, {cores} core{'s' if cores > 1 else ''}",
                )
            axes.set(xlabel="megapixels of the result", title=label, ylim=(0, None))
        figure.axes[0].legend()
        charts.save(figure, path)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1.3, 5, 12])
    parser.add_argument("--presets", nargs="+", default=["default", "fast"])
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    parts, rows = cells(options.pairs), []
    for wanted in options.megapixels:
        size = mosaic(parts, wanted * 1e6, options.out)
        for preset in options.presets:
            for cores in options.cores:
                found = measured(options.out, preset, cores)
                row = {"preset": preset, "cores": cores, "megapixels": round(size, 2)}
                row |= {name: round(value, 2) for name, value in found.items()}
                row["cpu_per_megapixel"] = round(found["cpu"] / size, 2)
                rows.append(row)
                print(row, flush=True)
    with (options.out / "scaling.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, options.out / "scaling.svg")


if __name__ == "__main__":
    main()
