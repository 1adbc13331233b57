"""The two training schemes drawn from a pair: what each branch is fed, and at which scale.

The supplement's Table 1 and Figure 2.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from torch import Tensor

from cmsr.io.atomic import replacing
from cmsr.operators.resampling import Kernel, shape_of
from cmsr.pair import Pair
from cmsr.two_branch.examples import Example
from cmsr.two_branch.train import reenlarged

Fed = dict[str, Tensor]
"""What the network sees of a scheme, by its name: (1, C, H, W)."""


def fed(pair: Pair, kernel: Kernel) -> dict[str, Fed]:
    """Return, for each scheme, the input of branch S, that of branch E, and the label."""
    examples = {
        "downsampling-based, 1 − p": Example.downsampling(pair),
        "upsampling-based, p": Example.upsampling(pair),
    }
    return {name: _fed(example, pair, kernel) for name, example in examples.items()}


def _fed(example: Example, pair: Pair, kernel: Kernel) -> Fed:
    found = {"fed to S: label reduced, enlarged": reenlarged(example.label, pair.ratio, kernel)}
    if example.guide is not None:
        found["fed to E: RGB"] = example.guide
    return {**found, "label: target": example.label}


def scales(pair: Pair, kernel: Kernel) -> str:
    """Return the supplement's Table 1, with the sizes of this pair, as Markdown."""
    lines = [
        "| training scheme | target scale | RGB scale | S fed | E fed |",
        "|---|---|---|---|---|",
    ]
    for (name, images), changed in zip(
        fed(pair, kernel).items(), (("original", "reduced"), ("enlarged", "original")), strict=True
    ):
        sizes = [_size(image) for image in images.values()]
        lines.append(f"| {name} | {changed[0]} | {changed[1]} | {sizes[0]} | {sizes[1]} |")
    return "\n".join(lines) + "\n"


def draw(path: Path, pair: Pair, kernel: Kernel) -> None:
    """Draw both schemes in one scale, so that sizes can be compared by eye."""
    schemes = fed(pair, kernel)
    width = pair.shape[1]
    heights = [shape_of(images["label: target"])[0] for images in schemes.values()]
    figure = Figure(figsize=(9, 3 * sum(heights) / width + 1), layout="constrained")
    grid = figure.subplots(2, 3, squeeze=False, height_ratios=heights)
    for row, (name, images) in zip(grid, schemes.items(), strict=True):
        for axes, (role, image) in zip(row, images.items(), strict=False):
            axes.imshow(_picture(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_xlim(-0.5, width - 0.5)
            axes.set_title(f"{role}, {_size(image)}", fontsize=8, loc="left")
        for axes in row:
            axes.set_axis_off()
        row[0].annotate(
            name, (0, 1), (0, 20), "axes fraction", "offset points", fontsize=10, weight="bold"
        )
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, bbox_inches="tight")


def _size(image: Tensor) -> str:
    height, width = shape_of(image)
    return f"{width} × {height}"


def _picture(image: Tensor) -> npt.NDArray[np.float32]:
    """(1, C, H, W) as matplotlib shows it."""
    channels = image[0].clamp(0, 1).numpy()
    return np.asarray(channels[0] if len(channels) != 3 else np.moveaxis(channels, 0, -1))
