"""Fit and judge the expected error of `cmsr align`: `cmsr.guided.placement_error`.

    python benchmarks/fit_placement_error.py collect PAIRS.csv TRACES.csv [--seconds 1200]
    python benchmarks/fit_placement_error.py fit TRACES.csv …

`collect` moves the guides of aligned pairs by known warps (`known_warps.py`), or cuts their
targets out of the field, turned by some degrees, and stores what is known of the placement beside
its error, the median distance in target pixels from where each pixel truly lies. `fit` leaves each
data set out in turn, fits the logarithm of the error on the others, takes the factor that nine of
ten of their cases stay below, and prints for the one left out how many do.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from collect_and_fit import collect_or_fit, drawn
from known_warps import MOTIONS, moved_guide
from scipy.ndimage import map_coordinates

from cmsr import api
from cmsr.config import Config
from cmsr.guided import placement_error
from cmsr.guided.placement_error import Fit, Traces
from cmsr.operators.kernels import weights
from cmsr.prologue import opened
from cmsr.registration.transforms import compose
from cmsr_bench.cases import Case, read_cases

DATASETS = {
    "epfl_nir": 6, "roadscene_thermal": 0.4, "middlebury_depth": 4, "art_depth": 5,
    "mmsr_depth": 4,
}  # fmt: skip
"""How often each aligned pair is taken, in the mean."""

UNUSABLE = ("misaligned", "rotated")
"""Pairs of these whose guides do not lie on their targets."""

KINDS = {
    "none": 0.1, "affine": 0.15, "small affine": 0.3, "cpab": 0.15, "thin-plate": 0.15, "cut": 0.15,
}  # fmt: skip

LEAST, ENOUGH = 32, 200
"""Least side of a target, and longest of a truth, unless it is cut out of it."""

LEAST_ERROR = 0.05
"""In target pixels: how exactly the pairs themselves lie on each other."""

SEEN = 0.9
"""Quantile that the bound is made for."""

Places = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From places of a target, in shares of its sides, to those in its photo, in pixels."""

noted: list[Traces] = []


class Noting(Traces):
    """Traces that are noted when a guide is placed."""

    @classmethod
    def of(cls, *args: Any) -> Traces:
        """Take note of what a placement tells of its error."""
        noted.append(Traces.of(*args))
        return noted[-1]


def middle(image: np.ndarray, ratio: int) -> np.ndarray:
    """Cut an image (H, W, …) to whole pixels of the target."""
    sides = [min(n, ENOUGH) // ratio * ratio for n in image.shape[:2]]
    first = [(n - side) // 2 for n, side in zip(image.shape, sides, strict=False)]
    return image[first[0] : first[0] + sides[0], first[1] : first[1] + sides[1]]


def warped(guide: np.ndarray, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, Places]:
    """Move a guide (H, W, 3); return also where it is truly to be read from: nowhere else."""
    size = guide.shape[:2]
    warp, theta = MOTIONS[kind.removeprefix("small ")](int(rng.integers(10**6)), size)
    if kind.startswith("small"):
        theta = theta * rng.uniform(0.05, 0.3)
    motion = warp, theta

    def origin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        grid = torch.from_numpy(np.stack([2 * x - 1, 2 * y - 1], -1))[None].double()
        place = (compose([motion], grid)[0].numpy() + 1) / 2
        return place[..., 0], place[..., 1]

    return moved_guide(guide, motion), origin


def cut(size: tuple[int, int], rng: np.random.Generator) -> tuple[tuple[int, int], Places]:
    """Draw a narrower field of a truth; return its size and where its places lie there."""
    wider, angle = rng.uniform(1.25, 2.5), math.radians(rng.uniform(-4, 4))
    height, width = (n / wider for n in size)
    room = max(0.0, (1 - 1.08 / wider) / 2)
    down, across = rng.uniform(-1, 1, 2) * np.array(size) * min(room, 0.18)

    def places(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        right, below = (x - 0.5) * width, (y - 0.5) * height
        cosine, sine = math.cos(angle), math.sin(angle)
        return (
            size[1] / 2 + across + cosine * right - sine * below,
            size[0] / 2 + down + sine * right + cosine * below,
        )

    return (int(height), int(width)), places


def centres(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of all pixels, in shares of the sides."""
    y, x = np.meshgrid(*((np.arange(n) + 0.5) / n for n in size), indexing="ij")
    return x, y


def placed(target: np.ndarray, guide: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
    """Register a guide; return what was found, and x and y of each pixel in shares of the guide."""
    noted.clear()
    pair = opened(target, guide, Config.of("default", kernel="bicubic"), guided=True)
    found = api.registered(pair)
    field, (height, width) = found.displacement, found.displacement.shape[:2]
    x, y = centres((height, width))
    x, y = x * width + field[..., 0], y * height + field[..., 1]
    return found, x / guide.shape[1], y / guide.shape[0]


def tried(case: Case, kind: str, ratio: int, rng: np.random.Generator) -> dict[str, Any] | None:
    """Return what is known of one placement, and its error in target pixels."""
    truth = case.true_image().data[0].astype(float)
    guide = np.moveaxis(case.opened(Config()).photo.data[:3], 0, -1).astype(np.uint8)
    if guide.shape[:2] != truth.shape:
        return None
    if kind == "cut":
        size, places = cut(truth.shape, rng)
        size = tuple(n // ratio * ratio for n in size)
        x, y = places(*centres(size))
        truth = map_coordinates(truth, [y - 0.5, x - 0.5], order=3, mode="reflect")
    else:
        truth, guide = middle(truth, ratio), middle(guide, ratio)
    low = [n // ratio for n in truth.shape]
    if min(low) < LEAST:
        return None
    rows, cols = (weights(n, m, "bicubic") for n, m in zip(truth.shape, low, strict=True))
    target = np.rint(rows @ truth @ cols.T).astype(np.float32)
    origin: Places = lambda x, y: (x, y)  # noqa: E731
    if kind not in ("none", "cut"):
        guide, origin = warped(guide, kind, rng)
    found, x, y = placed(target, guide)
    if not noted:
        return {"refused": 1}
    here = centres(x.shape)
    if kind == "cut":
        at = places(*here)
        away = np.hypot(x * guide.shape[1] - at[0], y * guide.shape[0] - at[1]) / ratio
    else:
        at = origin(x, y)
        away = np.hypot((at[0] - here[0]) * low[1], (at[1] - here[1]) * low[0])
    inside = (x > 0) & (x < 1) & (y > 0) & (y < 1)
    sure = found.info["alignment"]["confidence"]
    return {
        "refused": 0, **noted[0]._asdict(), "confidence": sure, "error": np.median(away[inside]),
        "stages": "+".join(stage["warp"] for stage in found.info["alignment"]["stages"]),
    }  # fmt: skip


def collect(table: Path, seconds: float, seed: int, out: Path) -> None:
    """Place guides in random order until the time is over."""
    placement_error.Traces = Noting  # type: ignore[misc]
    rng, records = np.random.default_rng(seed), []
    cases = [
        case for case in read_cases(table, list(DATASETS))
        if case.truth and case.guide and case.name not in UNUSABLE
    ]  # fmt: skip
    for _, case in drawn(cases, DATASETS, rng, seconds):
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        ratio = int(rng.choice([3, 4, 6]))
        found = tried(case, kind, ratio, rng)
        if found is None:
            continue
        about = {"dataset": case.dataset, "name": case.name, "kind": kind, "ratio": ratio}
        print({**about, **found}, flush=True)
        if not found["refused"]:
            records.append({**about, **found})
            with out.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(records)


def fitted(logs: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, float]:
    """Return factor and powers for the logarithm of the error, and how many times nine of ten."""
    x = np.column_stack([np.ones(len(logs)), logs])
    damped = np.diag([0.0, *[0.5] * logs.shape[1]])
    powers = np.linalg.solve(x.T @ x + damped, x.T @ np.log(error))
    return powers, float(np.exp(np.quantile(np.log(error) - x @ powers, SEEN)))


def fit(files: list[Path]) -> None:
    """Print how many cases stay below their bound, each data set left out; then fit on all."""
    rows = [row for file in files for row in csv.DictReader(file.open(newline=""))]
    traces = [Traces(*(float(row[name]) for name in Traces._fields)) for row in rows]
    logs = np.array([each.logarithms for each in traces])
    error = np.maximum([float(row["error"]) for row in rows], LEAST_ERROR)
    ratio = np.array([float(row["ratio"]) for row in rows])
    groups = np.array([row["dataset"] for row in rows])
    bound = np.zeros(len(rows))
    for name in np.unique(groups):
        powers, times = fitted(logs[groups != name], error[groups != name])
        here = groups == name
        bound[here] = times * np.exp(np.column_stack([np.ones(here.sum()), logs[here]]) @ powers)
        kept, sharp = np.mean(error[here] <= bound[here]), np.median(bound[here] / error[here])
        print(f"left out: {name:20} {here.sum():3} cases, {kept:.0%} within their bound, which is "
              f"{sharp:.1f} times the error in the median")  # fmt: skip
    print(f"all: {np.mean(error <= bound):.0%} of {len(rows)} within their bound")
    for unit, per in (("target", np.ones(len(rows))), ("guide", ratio)):
        for most in (0.5, 1.0, 2.0):
            called = bound * per <= most
            true = np.mean((error * per)[called] <= most) if called.any() else math.nan
            print(f"called within {most} px of the {unit}: {called.sum()} cases, {true:.0%} are")
    powers, times = fitted(logs, error)
    print("fitted on all:", Fit(*np.round(powers, 3).tolist()), "NINE_OF_TEN =", round(times, 2))


if __name__ == "__main__":
    collect_or_fit(__doc__ or "", collect, fit)
