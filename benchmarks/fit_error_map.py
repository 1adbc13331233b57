"""Fit and judge what `cmsr.guided.expected_error` says: its `FITTED` and `TIMES`.

    python benchmarks/fit_error_map.py collect PAIRS.csv TRACES.npz [--seconds 1200] [--seed 0]
    python benchmarks/fit_error_map.py fit TRACES.npz …

`collect` reduces truths by 2, 3, 4 and 8 with three kernels, some with noise added, brings them
back with the preset `default`, with and without the guide, and stores for some thousand pixels of
each what is known of their errors beside what these truly are. `fit` minimises the mean of error /
expected + log(expected), whose minimum is where the expected error is the mean one, every case
counting alike. It leaves each data set out in turn and prints for each how the errors compare with
what the fit on the others says; then the fit on all.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from collect_and_fit import collect_or_fit, drawn
from known_kernels import in_output_pixels
from scipy.optimize import minimize

import cmsr
from cmsr.config import Config
from cmsr.guided import solve
from cmsr.guided.expected_error import SHARES, Fit, Traces
from cmsr.operators.kernels import weights
from cmsr_bench.cases import Case, read_cases

DATASETS = {
    "epfl_nir": 8.0, "ulb17_thermal": 1.5, "roadscene_thermal": 0.6, "middlebury_depth": 2.5,
    "art_depth": 3.0, "mmsr_depth": 3.0,
}  # fmt: skip
"""How often each truth is taken, in the mean."""

RATIOS, KERNELS = (2, 3, 4, 8), ("bicubic", "box", "gaussian")
ENOUGH = {2: 208, 3: 208, 4: 208, 8: 320}
"""Longest side of a truth; of larger ones the middle is taken."""

LEAST_SIDE, PIXELS = 20, 3000
DECAY = 1e-5
"""Weight of the squared powers against the mean loss."""

seen: list[Traces] = []


class Noting(Traces):
    """Traces that are noted when a result is made."""

    @classmethod
    def of(cls, *args, **kwargs) -> Traces:
        """Take note of what a result tells of its errors."""
        seen.append(Traces.of(*args, **kwargs))
        return seen[-1]


class Draw(NamedTuple):
    """How one truth is reduced and brought back."""

    ratio: int
    kernel: str
    guided: bool
    noise: float
    known: bool
    placed: bool

    @classmethod
    def of(cls, rng: np.random.Generator, dataset: str) -> Draw:
        """Draw at random; a third with the guide taken as it lies, where it lies well."""
        ratio, kernel = int(rng.choice(RATIOS)), str(rng.choice(KERNELS))
        if kernel == "gaussian":
            kernel = in_output_pixels(f"gaussian:{rng.uniform(0.35, 0.7):.2f}", ratio)
        noise = float(rng.choice([1, 2])) if rng.uniform() < 0.2 else 0.0
        placed = rng.uniform() < 0.6 and dataset != "ulb17_thermal"
        return cls(ratio, kernel, rng.uniform() < 0.6, noise, rng.uniform() < 0.5, placed)


def middle(image: np.ndarray, ratio: int) -> np.ndarray:
    """Cut an image (H, W, …) to whole pixels of the target."""
    at = tuple(
        slice((n - size) // 2, (n - size) // 2 + size)
        for n in image.shape[:2]
        for size in [min(n, ENOUGH[ratio]) // ratio * ratio]
    )
    return image[at]


def made(case: Case, draw: Draw, rng: np.random.Generator, seed: int) -> np.ndarray | None:
    """Return traces and error of some pixels of one case, (6, N)."""
    truth = middle(case.true_image().data[0].astype(float), draw.ratio)
    if min(truth.shape) < LEAST_SIDE * draw.ratio:
        return None
    rows, cols = (weights(n, n // draw.ratio, draw.kernel) for n in truth.shape)
    low = rows @ truth @ cols.T
    low += draw.noise * np.ptp(truth) / 255 * rng.normal(size=low.shape)
    target = np.rint(low).astype(np.float32)  # as files have it; the result is not rounded
    options = {} if not draw.known else {"kernel": draw.kernel}
    photo = None
    if draw.guided and case.guide:
        photo = middle(np.moveaxis(case.opened(Config()).photo.data[:3], 0, -1), draw.ratio)
        options |= {"align": "off"} if draw.placed else {}
    if photo is None or photo.shape[:2] != truth.shape:
        photo, options = None, {**options, "ratio": float(draw.ratio)}
    if np.ptp(target) == 0:
        return None
    seen.clear()
    result = cmsr.upscale(target, photo, seed=seed, **options)
    (traces,) = seen
    error = np.abs(result.image - truth) / np.ptp(target)
    some = rng.choice(error.size, min(error.size, PIXELS), replace=False)
    values = [np.broadcast_to(np.asarray(x), error.shape).ravel()[some] for x in (*traces, error)]
    return np.stack(values).astype(np.float32)


def collect(table: Path, seconds: float, seed: int, out: Path) -> None:
    """Make cases in random order until the time is over; store them now and then."""
    solve.Traces = Noting  # type: ignore[misc]
    rng = np.random.default_rng(seed)
    cases = [case for case in read_cases(table, list(DATASETS)) if case.truth]
    values, about = [], []
    for number, case in drawn(cases, DATASETS, rng, seconds):
        draw = Draw.of(rng, case.dataset)
        found = made(case, draw, rng, number)
        if found is not None:
            values.append(found)
            about.append([case.dataset, case.name, str(draw.ratio), draw.kernel, str(draw)])
            print(len(values), case.label, draw, f"{found[-1].mean():.4f}", flush=True)
            np.savez(out, about=np.array(about), **{f"case{n}": x for n, x in enumerate(values)})


class Samples(NamedTuple):
    """Pixels of many cases: traces (N, 6) with a constant first, errors, cases, what these are."""

    traces: np.ndarray
    error: np.ndarray
    case: np.ndarray
    about: np.ndarray

    @classmethod
    def read(cls, files: list[Path]) -> Samples:
        """Read what `collect` stored."""
        stored = [np.load(file, allow_pickle=False) for file in files]
        cases = [each[f"case{n}"] for each in stored for n in range(len(each["about"]))]
        values = np.concatenate(cases, axis=1).astype(float)
        number = np.repeat(np.arange(len(cases)), [each.shape[1] for each in cases])
        traces = np.column_stack([np.ones(len(number)), values[:-1].T])
        return cls(traces, values[-1], number, np.concatenate([each["about"] for each in stored]))

    def of(self, kept: np.ndarray) -> Samples:
        """Return the samples of some cases, a mask."""
        some = kept[self.case]
        return Samples(self.traces[some], self.error[some], self.case[some], self.about)

    @property
    def weight(self) -> np.ndarray:
        """Of each pixel: every case counts alike."""
        count = np.bincount(self.case)[self.case]
        return 1 / count / len(np.unique(self.case))


def fitted(samples: Samples) -> np.ndarray:
    """Return the powers."""
    weight, x, error = samples.weight, samples.traces, np.maximum(samples.error, 1e-6)

    def loss(powers: np.ndarray) -> tuple[float, np.ndarray]:
        log = x @ powers
        ratio = error * np.exp(-log)
        decay = DECAY * np.r_[0, powers[1:]]
        return (weight @ (ratio + log)) + decay @ powers, x.T @ (weight * (1 - ratio)) + 2 * decay

    start = np.r_[np.log(weight @ error), np.zeros(x.shape[1] - 1)]
    return minimize(loss, start, jac=True, method="BFGS").x


def quantiles(values: np.ndarray, weight: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Return weighted quantiles."""
    order = np.argsort(values)
    below = np.cumsum(weight[order])
    return np.interp(shares, below / below[-1], values[order])


def judged(name: str, samples: Samples, expected: np.ndarray, times: np.ndarray) -> None:
    """Print how errors compare with what is expected."""
    weight, error = samples.weight, samples.error
    below = [weight @ (error < expected * t) for t in times]
    cells = "  ".join(f"{true:.2f}" for true in below)
    number = samples.case
    means = [
        error[number == n].mean() / expected[number == n].mean() for n in np.unique(number)
    ]  # fmt: skip
    low, high = np.quantile(means, [0.1, 0.9])
    print(
        f"{name:22} {len(means):3} cases  {cells}   true mean / said "
        f"{weight @ error / (weight @ expected):.2f}, of eight in ten cases {low:.2f} to {high:.2f}"
    )


def said_and_true(samples: Samples, expected: np.ndarray, times: np.ndarray) -> None:
    """Print, of the pixels whose error is said to be below e, which share is said to be, and is."""
    shares, ends = np.r_[0, SHARES, 1], np.r_[0, times, 2 * times[-1]]
    for bound in (0.003, 0.005, 0.01, 0.02, 0.05, 0.1):
        some = expected <= bound
        weight = samples.weight[some]
        said = weight @ np.interp(bound / expected[some], ends, shares)
        true = weight @ (samples.error[some] < bound)
        print(
            f"said below {bound:5} of the span: {weight.sum():4.0%} of the pixels; "
            f"{said / weight.sum():.3f} of them should be, {true / weight.sum():.3f} are"
        )


def fit(files: list[Path]) -> None:
    """Fit on all data sets but one, judge on that; then fit on all."""
    samples = Samples.read(files)
    dataset = samples.about[:, 0]
    expected = np.zeros(len(samples.error))
    for name in np.unique(dataset):
        left_out = (dataset == name)[samples.case]
        powers = fitted(samples.of(dataset != name))
        expected[left_out] = np.exp(samples.traces[left_out] @ powers)
    times = quantiles(samples.error / expected, samples.weight, SHARES)
    groups = {f"left out: {name}": dataset == name for name in np.unique(dataset)}
    groups |= {f"ratio {ratio}": samples.about[:, 2] == ratio for ratio in ("2", "3", "4", "8")}
    groups |= {
        f"kernel {name}": [k.startswith(name) for k in samples.about[:, 3]] for name in KERNELS
    }
    told = np.array([np.any(samples.traces[samples.case == n, 5]) for n in range(len(dataset))])
    groups |= {"held-out gain": told, "none": ~told, "all": told | ~told}
    print(f"{'':33}" + "  ".join(f"{share:.2f}" for share in SHARES))
    for name, some in groups.items():
        some = np.asarray(some)
        if some.any():
            judged(name, samples.of(some), expected[some[samples.case]], times)
    said_and_true(samples, expected, times)
    print("fitted on all:", Fit(*np.round(fitted(samples), 3).tolist()))
    print("TIMES =", tuple(np.round(times, 2).tolist()), "for", SHARES)


if __name__ == "__main__":
    collect_or_fit(__doc__ or "", collect, fit)
