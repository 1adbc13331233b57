"""Fit how much detail goes over from a guide: the constants of `cmsr.guided.transfer`.

    python benchmarks/fit_transfer.py PAIRS.csv OUT.csv --every 2 --ratios 2 3 4

Truths of each data set are reduced by the standard kernel and brought back without the guide; what
goes over from the guide as it is, deformed by a random thin-plate warp, and of the next scene, is
then added at several strengths, from guides softened by several widths. For each data set in turn,
strength, width and bounds are chosen on the others: those with the highest mean gain, where losses
count three times; what they bring on the one left out is printed.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import torch
from fit_guide_weight import CAUTION, DATASETS, cases, run
from known_warps import MOTIONS, moved_guide

from cmsr.config import Config
from cmsr.guided import transfer
from cmsr.guided.calibrate import calibrate
from cmsr.guided.transfer import Fit, Lesson, brightness_of, transferred
from cmsr.metrics import psnr
from cmsr.operators.resampling import resampler
from cmsr.parallel import pooled
from cmsr.prologue import opened

SOFTENINGS = (0.0, 0.12, 0.18, 0.25)
STRENGTHS = (0.2, 0.35, 0.5, 0.65, 0.8, 1.0)
LOWER, HIGHER = (0.15, 0.25, 0.35, 0.45), (0.2, 0.4, 0.6)
Records = list[dict[str, str]]


def worth(target: np.ndarray, guide: np.ndarray, truth: np.ndarray) -> list[dict[str, float]]:
    """Return, for each width, the fit and what each strength gains; nothing where it is refused."""
    pair = opened(target, guide, Config(kernel="bicubic"))
    source = pair.source
    found = pooled(lambda: calibrate(source, "bicubic"))
    ((made,), view), channel = found.samples[source.whole], found.calibration.channels[0]
    if view is None:
        return []
    scale, offset = float(pair.pair.scale.ravel()[0]), float(pair.pair.offset.ravel()[0])
    free, of, records = made.free(channel.rounds), made.channel, []
    for width in SOFTENINGS:
        transfer.SOFTENING = width
        lesson = Lesson.of(brightness_of(view.guide, of.ratio), of, view.level)
        fit, detail = Fit.of(free, lesson, of.ratio), view.seen * transferred(free, lesson, of)
        advantage = 1 - max(fit.beside) / max(fit.explained, 1e-9)
        images = [(free + share * detail).numpy() * scale + offset for share in (0.0, *STRENGTHS)]
        without, *gains = (psnr(np.clip(image, 0, 255), truth, 255) for image in images)
        named = {str(s): gain - without for s, gain in zip(STRENGTHS, gains, strict=True)}
        records.append({"width": width, "advantage": advantage, **named})
    return records


def measured(every: int, ratios: list[int], table: Path) -> Records:
    """Measure every case in every way."""
    records: Records = []
    scenes = cases(table, every)
    for number, (dataset, name, truth, guide) in enumerate(scenes):
        ratio = ratios[number % len(ratios)]
        low = truth.shape[0] // ratio, truth.shape[1] // ratio
        truth, guide = (x[: low[0] * ratio, : low[1] * ratio] for x in (truth, guide))
        reduced = resampler(truth.shape, low)(torch.from_numpy(truth).float()).numpy()
        target = np.clip(np.rint(reduced), 0, 255).astype(np.uint8)
        ways = {
            "own": guide,
            "deformed": moved_guide(guide, MOTIONS["thin-plate"](number, guide.shape[:2])),
            "other": np.resize(scenes[(number + 1) % len(scenes)][3], guide.shape),
        }
        for way, photo in ways.items():
            for found in worth(target, photo, truth):
                about = {"dataset": dataset, "name": name, "ratio": ratio, "way": way, **found}
                records.append({key: str(value) for key, value in about.items()})
        print(dataset, name, ratio, flush=True)
    return records


def gains(records: Records, width: float, strength: float, low: float, wide: float) -> np.ndarray:
    """Return what each record gains; between strengths it is interpolated."""
    found = []
    for record in records:
        if float(record["width"]) == width:
            share = min(1.0, max(0.0, (float(record["advantage"]) - low) / wide))
            known = [0.0, *(float(record[str(s)]) for s in STRENGTHS)]
            found.append(np.interp(strength * share, (0.0, *STRENGTHS), known))
    return np.array(found)


def fit(records: Records) -> tuple[float, float, float, float]:
    """Return the best width, strength, lower bound and width of the ramp."""

    def value(choice: tuple[float, float, float, float]) -> float:
        found = gains(records, *choice)
        return float(np.where(found < 0, CAUTION * found, found).mean())

    return max(product(SOFTENINGS, STRENGTHS, LOWER, HIGHER), key=value)


def report(records: Records) -> None:
    """Print what is fitted elsewhere, and what it brings to each data set."""
    low, high = transfer.ADVANTAGE
    used = (0.18, transfer.STRENGTH, low, high - low)
    weak = [record for record in records if record["dataset"] != "epfl_nir"]
    for dataset in DATASETS:
        rest = [record for record in weak if record["dataset"] != dataset]
        here = [record for record in records if record["dataset"] == dataset]
        for name, choice in (("fitted", fit(rest)), ("used", used)) if here and rest else ():
            for way in ("own", "deformed", "other"):
                found = gains([r for r in here if r["way"] == way], *choice)
                if len(found):
                    print(f"{dataset:18} {name:6} {choice} {way:8} n={len(found):2d} "
                          f"mean {found.mean():+.3f} worst {found.min():+.2f}")  # fmt: skip
    print("fitted on all thermal:", fit(weak))


if __name__ == "__main__":
    run(__doc__.splitlines()[0], measured, report)
