"""The two training schemes on a pair: the inputs of both branches, and their scales.

Table 1 and Figure 2 of the paper's supplement.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from cmsr.io.atomic import replacing
from cmsr.operators.resampling import Kernel, shape_of
from cmsr.pair import Pair
from cmsr.pictures import Panel, Rgb, sheet
from cmsr.two_branch.examples import Example
from cmsr.two_branch.training_step import reenlarged

WIDTH = 320
"""Width of the largest picture drawn, in pixels, as nearly as a whole factor allows."""

Fed = dict[str, Tensor]
"""Inputs and label of a scheme by name: (1, C, H, W)."""


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
    """Draw both schemes at one scale, a row each, so that sizes can be compared by eye."""
    times = max(1, round(WIDTH / pair.shape[1]))
    picture = sheet(
        [
            [
                Panel(f"{name}\n{role}, {_size(image)}", _picture(image, times))
                for role, image in images.items()
            ]
            for name, images in fed(pair, kernel).items()
        ]
    )
    with replacing(path) as temporary:
        picture.save(temporary, "PNG")


def _size(image: Tensor) -> str:
    height, width = shape_of(image)
    return f"{width} × {height}"


def _picture(image: Tensor, times: int) -> Rgb:
    """Enlarge (1, C, H, W) in [0, 1] to 8-bit colours; of other than 3 channels, the first."""
    channels = image[0].clamp(0, 1)
    channels = channels if len(channels) == 3 else channels[:1].expand(3, -1, -1)
    pixels = np.asarray(np.rint(255 * channels.permute(1, 2, 0).numpy()), np.uint8)
    return pixels.repeat(times, 0).repeat(times, 1)
