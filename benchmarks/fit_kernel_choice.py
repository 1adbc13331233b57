"""Fit how `--kernel auto` chooses by the target alone: `src/cmsr/sensor/kernel_choice.json`.

    python benchmarks/fit_kernel_choice.py collect PAIRS.csv SCORES.npz [--seconds 600]
    python benchmarks/fit_kernel_choice.py check PAIRS.csv GAINS.npz [--seconds 600]
    python benchmarks/fit_kernel_choice.py fit SCORES.npz [--write]

`collect` reduces truths and guides (turned grey) by 2 to 8 with known kernels, some of them made
softer before, and stores the features and what each assumed kernel is expected to gain; `check`
measures that with the preset `fast` and compares; `fit` leaves each data set and each ratio out in
turn, prints how well the choice and its probabilities hold there, and writes the fit on all with
``--write``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

import cmsr
from cmsr.config import Config
from cmsr.operators.kernels import weights
from cmsr.sensor import kernel_choice
from cmsr.sensor.kernel_choice import FARTHEST, features, named, weighed, wide, wider_than_soft
from cmsr.sensor.kernel_from_target import Spectra
from cmsr.sensor.kernel_loss import expected_gains
from cmsr.sensor.noise import noise_level
from cmsr_bench.cases import read_cases

NAMED = ["bicubic", "box", "nearest"]
WIDTHS = [0.22, 0.3, 0.36, 0.42, 0.5, 0.57, 0.65, 0.72, 0.8, 0.9, 1.05, 1.25]
KINDS = [*NAMED, *WIDTHS]
CHOICES = [*NAMED, "bilinear-plain", *WIDTHS[1:]]
BOUNDS = [math.sqrt(a * b) for a, b in itertools.pairwise(WIDTHS)]
"""Between the widths of Gaussians of one kind, in pixels of the target."""

DATASETS = ("epfl_nir", "ulb17_thermal", "roadscene_thermal", "middlebury_depth", "art_depth")

RATIOS = (2.0, 3.0, 4.0, 8.0, 2.81)
LEAST, MOST = 28, 128
"""Sides of a target."""

SOFT, SOFTNESS, SOFT_COUNTS = 0.3, (0.3, 1.1), 3
"""Share of the scenes that are made softer, by Gaussians of so many pixels of the result; and times
that each of these counts in the fit, since few images of the data sets are soft and errors are dear
there."""

DECAY = 5e-4
"""Weight of the squared coefficients against the mean log-loss."""


def scenes(table: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield truths and every fourth guide, with the names of their data sets."""
    for number, case in enumerate(read_cases(table, DATASETS)):
        dataset = case.label.partition("/")[0]
        if case.truth:
            yield dataset, case.true_image().data[:3].astype(float).mean(0)
        if case.guide and number % 4 == 1:
            photo = case.opened(Config()).photo.data[:3].astype(float).mean(0)
            yield dataset, photo[:480, :640]


def reduced(scene: np.ndarray, kernel: str, low: tuple[int, int]) -> np.ndarray:
    """Reduce and round to eight bits."""
    rows, cols = (weights(n, m, kernel) for n, m in zip(scene.shape, low, strict=True))
    return np.clip(np.rint(rows @ scene @ cols.T), 0, 255)


def kinds_of(rng: np.random.Generator) -> list[str | float]:
    """Kernels to reduce a scene by: names, and Gaussians of widths from .2 to 1.35 pixels."""
    steps = np.arange(6) + rng.uniform(size=6)
    return ["bicubic", "box", "bilinear", "nearest", *(0.2 * (1.35 / 0.2) ** (steps / 6))]


def kind(kernel: str | float) -> int:
    """Return the number in `KINDS` of a true kernel; an antialiased triangle is one of them."""
    if isinstance(kernel, str):
        return KINDS.index(0.42 if kernel == "bilinear" else kernel)
    return len(NAMED) + int(np.searchsorted(BOUNDS, kernel))


def evidence(low: np.ndarray, ratio: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Features of a target in eight bits, and the expected gains (kinds, choices)."""
    y = (low - low.min()) / np.ptp(low)
    noise = math.hypot(noise_level(y, np.ones(y.shape)), 12**-0.5 / np.ptp(low))
    at = tuple(slice(max(0, n - MOST) // 2, max(0, n - MOST) // 2 + MOST) for n in y.shape)
    size = math.sqrt(ratio[0] * ratio[1])
    names = [[named(kernel, size) for kernel in some] for some in (KINDS, CHOICES)]
    spectra = Spectra(y[at], np.ones(y[at].shape, bool), ratio, noise)
    return features(spectra, size), expected_gains(y[at], noise, ratio, *names)


def collect(table: Path, seconds: float) -> dict[str, np.ndarray]:
    """Reduce scenes in random order until the time is over."""
    rng, began, found = np.random.default_rng(0), time.monotonic(), []
    every = list(scenes(table))
    for number in rng.permutation(len(every)):
        dataset, scene = every[number]
        for ratio in RATIOS:
            low = int(scene.shape[0] / ratio), int(scene.shape[1] / ratio)
            if min(low) < LEAST or time.monotonic() - began > seconds:
                continue
            part = scene[: int(low[0] * ratio), : int(low[1] * ratio)]
            by = part.shape[0] / low[0], part.shape[1] / low[1]
            soft = rng.uniform(*SOFTNESS) if rng.uniform() < SOFT else 0.0
            part = gaussian_filter(part, soft)
            for kernel in kinds_of(rng):
                target = reduced(part, named(kernel, ratio), low)
                if rng.uniform() < 0.2:
                    noisy = target + rng.choice([1, 2, 4]) * rng.normal(size=low)
                    target = np.clip(np.rint(noisy), 0, 255)
                if np.ptp(target) > 4:
                    found.append((dataset, ratio, kind(kernel), soft, *evidence(target, by)))
    names = ("sets", "ratios", "kinds", "soft", "features", "gains")
    return dict(zip(names, map(np.array, zip(*found, strict=True)), strict=True))


def check(table: Path, seconds: float) -> dict[str, np.ndarray]:
    """Measure the gain in dB of every assumed kernel and compare it with the expected one."""
    rng, began = np.random.default_rng(2), time.monotonic()
    measured, expected = [], []
    every = list(scenes(table))
    for turn, number in enumerate(rng.permutation(len(every))):
        if time.monotonic() - began > seconds:
            break
        ratio, scene = (2, 3, 4)[turn % 3], every[number][1]
        low = tuple(min(n // ratio, 36) for n in scene.shape)
        at = tuple(slice((n - m * ratio) // 2, (n - m * ratio) // 2 + m * ratio)
                   for n, m in zip(scene.shape, low, strict=True))  # fmt: skip
        for row in rng.permutation(len(KINDS))[:3]:
            target = reduced(scene[at], named(KINDS[row], ratio), low).astype(np.uint8)
            error = [
                np.mean((cmsr.upscale(target, ratio=float(ratio), preset="fast",
                                      kernel=named(assumed, ratio)).image - scene[at]) ** 2)
                for assumed in CHOICES
            ]  # fmt: skip
            measured.append(10 * np.log10(error[0] / np.array(error)))
            expected.append(evidence(target.astype(float), (ratio, ratio))[1][row])
    off = np.abs(np.array(measured) - np.array(expected))
    print("median difference in dB:", np.median(off, 0).round(2))
    return {"measured": np.array(measured), "expected": np.array(expected)}


def fitted(x: np.ndarray, kinds: np.ndarray) -> dict[str, np.ndarray]:
    """Fit the regression by its penalised likelihood."""
    centre, spread = x.mean(0), x.std(0) + 1e-9
    scaled = np.clip((x - centre) / spread, -FARTHEST, FARTHEST)
    a = torch.tensor(np.c_[scaled, np.ones(len(x))])
    true = torch.tensor(kinds)
    b = torch.zeros(a.shape[1], len(KINDS), dtype=torch.double, requires_grad=True)
    search = torch.optim.LBFGS([b], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        value = torch.nn.functional.cross_entropy(a @ b, true) + DECAY * (b[:-1] ** 2).sum()
        value.backward()
        return value

    search.step(loss)
    return {"centre": centre, "spread": spread, "weights": b.detach().numpy()}


def predicted(model: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Probabilities (n, kinds)."""
    scaled = np.clip((x - model["centre"]) / model["spread"], -FARTHEST, FARTHEST)
    score = np.c_[scaled, np.ones(len(x))] @ model["weights"]
    share = np.exp(score - score.max(1, keepdims=True))
    return share / share.sum(1, keepdims=True)


def counted(x: np.ndarray, kinds: np.ndarray, soft: np.ndarray) -> dict[str, np.ndarray]:
    """Fit, soft scenes counted several times."""
    times = np.repeat(np.arange(len(x)), np.where(soft > 0, SOFT_COUNTS, 1))
    return fitted(x[times], kinds[times])


def left_out(
    x: np.ndarray, kinds: np.ndarray, soft: np.ndarray, groups: np.ndarray, gain: np.ndarray
) -> None:
    """Leave each group out in turn; print gains, losses and how reliable the probabilities are."""
    share = np.zeros((len(x), len(KINDS)))
    for group in np.unique(groups):
        out = groups == group
        share[out] = predicted(counted(x[~out], kinds[~out], soft[~out]), x[out])
    expected = (share[:, None] @ weighed(gain))[:, 0]
    confined = np.array([not wider_than_soft(one) for one in x])
    expected[np.outer(confined, wide(CHOICES))] = -np.inf
    own = gain[np.arange(len(x)), kinds]
    got, most, standard = own[np.arange(len(x)), expected.argmax(1)], own.max(1), kinds == 0
    kept = got[~standard].sum() / most[~standard].sum()
    print(f"log-loss {-np.log(share[np.arange(len(x)), kinds]).mean():.3f}; standard true: "
          f"{got[standard].mean():+.2f} dB in mean, {got[standard].min():+.2f} at worst, "
          f"below -0.3 in {(got[standard] < -0.3).sum()} of {standard.sum()}; otherwise "
          f"{kept:.0%} of {most[~standard].mean():.2f} dB")  # fmt: skip
    print("  kept by kind:", dict(zip(map(str, KINDS), [
        (round(float(got[kinds == k].mean()), 2), round(float(most[kinds == k].mean()), 2))
        for k in range(len(KINDS))], strict=True)))  # fmt: skip
    called, right = share.max(1), share.argmax(1) == kinds
    for least, most_ in ((0.3, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1.01)):
        some = (called >= least) & (called < most_)
        print(f"  called {called[some].mean():.2f}: right {right[some].mean():.2f} of {some.sum()}")


def main() -> None:
    """Collect, measure or fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=["collect", "check", "fit"])
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--write", action="store_true")
    o = parser.parse_args()
    if o.step != "fit":
        np.savez(o.paths[1], **{"collect": collect, "check": check}[o.step](o.paths[0], o.seconds))
        return
    seen = np.load(o.paths[0])
    x, kinds, soft = seen["features"], seen["kinds"], seen["soft"]
    for groups in (seen["sets"], seen["ratios"]):
        left_out(x, kinds, soft, groups, seen["gains"])
    if o.write:
        model = {name: value.round(6).tolist() for name, value in counted(x, kinds, soft).items()}
        stored = {"kinds": KINDS, "choices": CHOICES, **model}
        path = Path(kernel_choice.__file__).with_suffix(".json")
        path.write_text(json.dumps(stored, separators=(",", ":")) + "\n", "utf-8")


if __name__ == "__main__":
    main()
