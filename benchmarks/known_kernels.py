"""Recovery of known kernels: how often the true one is found, the confusions, and the loss in dB.

    python benchmarks/known_kernels.py PAIRS.csv --datasets epfl_nir middlebury_depth --each 3

Truths are reduced by every kernel, rounded to their type, and given back to the search with their
guides. The table has the true kernels as rows and the found ones as columns; a Gaussian counts as
right within 15 % of its width, and so does another name of the same weights. The loss is that of
``--preset fast`` with the kernel that was found against the true one; ``--no-loss`` leaves it out,
which takes a tenth of the time. A case is sure where nothing is said of other kernels that the pair
cannot tell from the one found.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

import cmsr
from cmsr.config import Config
from cmsr.io.raster import from_array
from cmsr.metrics import evaluate
from cmsr.operators.kernels import weights
from cmsr.prologue import opened
from cmsr.sensor.imaging import imaging_of
from cmsr_bench.cases import read_cases

KERNELS = (
    "bicubic", "bicubic-plain", "bilinear", "bilinear-plain", "box", "nearest",
    "gaussian:0.3", "gaussian:0.5", "gaussian:0.8",
    "bicubic-topleft", "nearest-topleft", "bicubic-corners",
)  # fmt: skip
"""Widths of Gaussians are in pixels of the target here, so that they mean the same at any ratio."""

ENOUGH = 512
"""Longest side of a truth; of larger ones the middle is taken."""


class Truth(NamedTuple):
    """A truth (H, W) with its guide (H, W, 3), or none."""

    name: str
    image: np.ndarray
    guide: np.ndarray | None

    def cut(self, ratio: int) -> Truth:
        """Cut to whole pixels of the target."""
        at = tuple(
            slice((n - size) // 2, (n - size) // 2 + size)
            for n in self.image.shape
            for size in [min(n, ENOUGH) // ratio * ratio]
        )
        return Truth(self.name, self.image[at], None if self.guide is None else self.guide[at])

    def target(self, kernel: str, ratio: int) -> np.ndarray:
        """Reduce by a kernel and round."""
        rows, cols = (weights(n, n // ratio, kernel) for n in self.image.shape)
        most = np.iinfo(self.image.dtype).max
        return np.rint(np.clip(rows @ self.image @ cols.T, 0, most)).astype(self.image.dtype)


def truths(table: Path, datasets: list[str], each: int, guided: bool) -> list[Truth]:
    """Read a few truths of each data set, spread over it."""
    result = []
    for dataset in datasets:
        cases = read_cases(table, [dataset])
        for case in cases[:: max(1, len(cases) // each)][:each]:
            image = case.true_image()
            shown = np.moveaxis(case.opened(Config()).photo.data[:3], 0, -1) if guided else None
            result.append(Truth(case.label, image.data[0], shown))
    return result


def in_output_pixels(kernel: str, ratio: int) -> str:
    """Give a Gaussian's width in pixels of the truth."""
    name, _, width = kernel.partition(":")
    return f"{name}:{float(width) * ratio:.2g}" if width else kernel


def agrees(found: str, kernel: str, ratio: int) -> bool:
    """Tell whether a kernel is the right one: two names may mean the same weights."""
    widths = [name.partition(":")[2] for name in (found, kernel)]
    if all(widths):
        return abs(float(widths[0]) / float(widths[1]) - 1) <= 0.15
    return np.allclose(*(weights(16 * ratio, 16, name) for name in (found, kernel)))


def search(target: np.ndarray, truth: Truth, ratio: int) -> tuple[str, float, str, float]:
    """Return the kernel, how sure it is, what is said of it, and the seconds that took."""
    options = Config() if truth.guide is not None else Config(ratio=float(ratio))
    pair = opened(target, truth.guide, options).whole
    started = time.perf_counter()
    imaging = imaging_of(pair, None)
    seconds = time.perf_counter() - started
    return str(imaging.kernel), imaging.confidence, "; ".join(imaging.notes), seconds


class Row(NamedTuple):
    """One case: the kernel and what it was taken for, whether that is right and sure, the loss."""

    kernel: str
    shown: str
    right: bool
    sure: bool
    loss: float
    seconds: float


def tried(truth: Truth, relative: str, ratio: int, *, loss: bool) -> Row:
    """Try one truth and kernel, and print a line on it."""
    kernel = in_output_pixels(relative, ratio)
    target = truth.target(kernel, ratio)
    found, confidence, notes, seconds = search(target, truth, ratio)
    right, sure = agrees(found, kernel, ratio), "cannot tell" not in notes
    lost = 0.0
    if found != kernel and loss:
        lost = reached(target, truth, kernel, ratio) - reached(target, truth, found, ratio)
    signs = "" if right else "NOT", "sure" if sure else "?"
    print(f"{truth.name} x{ratio} {kernel:16} {signs[0]:3} {found:18} {confidence:.2f} {signs[1]} "
          f"{lost:+.2f} dB  {notes}", flush=True)  # fmt: skip
    shown = relative if right else "gaussian" if ":" in found else found
    return Row(relative, shown, right, sure, lost, seconds)


def reached(target: np.ndarray, truth: Truth, kernel: str, ratio: int) -> float:
    """PSNR of the preset ``fast`` with a kernel, in dB."""
    how = {} if truth.guide is not None else {"ratio": float(ratio)}
    image = cmsr.upscale(target, truth.guide, preset="fast", kernel=kernel, **how).image
    return evaluate(from_array(image, "result"), from_array(truth.image, "truth"))["psnr"]


def summary(rows: list[Row]) -> None:
    """Print the rates, then what each kernel was taken for."""
    sure = [row for row in rows if row.sure]
    for name, some in (("all", rows), ("sure", sure)):
        if some:
            print(f"{name}: {sum(row.right for row in some)} of {len(some)} right, "
                  f"loss {np.mean([row.loss for row in some]):.3f} dB in mean, "
                  f"{max(row.loss for row in some):.2f} at most, "
                  f"above 0.1 in {sum(row.loss > 0.1 for row in some)}")  # fmt: skip
    print(f"{np.median([row.seconds for row in rows]):.2f} s a search")
    table = Counter((row.kernel, row.shown) for row in rows)
    for kernel in dict.fromkeys(row.kernel for row in rows):
        others = [f"{shown} {n}" for (true, shown), n in table.most_common() if true == kernel]
        print(f"{kernel:16} {', '.join(others)}")


def main() -> None:
    """Print a line for every case, then the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--datasets", nargs="+", default=["epfl_nir", "middlebury_depth"])
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--ratios", nargs="+", type=int, default=[4])
    parser.add_argument("--kernels", nargs="+", default=KERNELS)
    parser.add_argument("--no-guide", action="store_true")
    parser.add_argument("--no-loss", action="store_true")
    options = parser.parse_args()
    rows = []
    for whole in truths(options.pairs, options.datasets, options.each, not options.no_guide):
        for ratio in options.ratios:
            truth = whole.cut(ratio)
            rows += [tried(truth, k, ratio, loss=not options.no_loss) for k in options.kernels]
    summary(rows)


if __name__ == "__main__":
    main()
