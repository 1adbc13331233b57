"""The demo's pair: a street as a thermal camera and an RGB camera beside it see it, and the truth.

The images were rendered from a three-dimensional model; `FILES` lie beside this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmsr.io import image_files

FOLDER = Path(__file__).parent
FILES = ("target.tif", "guide.png", "truth.tif")


@dataclass(frozen=True)
class Scene:
    """One scene as two cameras see it.

    Attributes
    ----------
    target : uint16 array (h, w)
        Low-resolution thermal image in centi-kelvin (29315 is 20 °C), blurred and noisy.
    guide : uint8 array (H, W, 3)
        RGB photo, sRGB, 0..255.
    truth : uint16 array (H, W)
        Noise-free thermal image in centi-kelvin on the thermal camera's grid.
    """

    target: NDArray[np.uint16]
    guide: NDArray[np.uint8]
    truth: NDArray[np.uint16]

    def write(self, folder: Path) -> None:
        """Write the images as `FILES`."""
        image_files.write(folder / "target.tif", self.target)
        image_files.write(folder / "guide.png", self.guide)
        image_files.write(folder / "truth.tif", self.truth)


def street() -> Scene:
    """Read the rendered street: a target of 90 × 120 pixels, ratio 4."""
    target, guide, truth = (image_files.read(FOLDER / name).data for name in FILES)
    return Scene(target[0], np.ascontiguousarray(guide.transpose(1, 2, 0)), truth[0])
