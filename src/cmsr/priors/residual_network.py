"""A small network for one's own weights: what is missing of an image made without a guide.

It sees that image and what the sensor saw of it, both cut into the pixels of a coarser grid, and
adds detail. `benchmarks/train_prior.py` trains one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.errors import InputError, OptionError
from cmsr.operators.resampling import Shape
from cmsr.priors.anchored import flipped_mean

CUT = 4
"""Side of the squares of the result that become one pixel of the network's grid."""

KEY, KIND = "cmsr-prior", "residual-1"
"""What the file's metadata says it is."""

MOST_BYTES, MOST_LAYERS, MOST_CHANNELS = 2**26, 32, 1024


@dataclass(frozen=True)
class ResidualNetwork:
    """A chain of 3 × 3 convolutions with rectifiers between; see `cmsr.priors.learned.Prior`.

    Attributes
    ----------
    layers : tuple of (weight, bias)
        (out, in, 3, 3) and (out,).
    name : str
        What to call it in records.
    """

    layers: tuple[tuple[Tensor, Tensor], ...] = field(repr=False)
    name: str = "own"

    def sharpened(
        self, image: Tensor, seen: Tensor, ratio: float, origin: Shape, flips: int
    ) -> Tensor:
        """Add to an image what the network finds missing; the ratio does not count."""
        return image + flipped_mean(torch.stack([image, seen]), CUT, origin, flips, self)

    def __call__(self, images: Tensor) -> Tensor:
        """Map both images (N, 2, H, W) to what is missing, (N, 1, H, W)."""
        level = F.interpolate(F.avg_pool2d(images[:, :1], CUT), scale_factor=float(CUT))
        x = F.pixel_unshuffle(images - level, CUT)
        for number, (weight, bias) in enumerate(self.layers):
            x = x.relu() if number else x
            x = F.conv2d(x, weight.to(x), bias.to(x), padding=1)
        return F.pixel_shuffle(x, CUT)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a file of it holds."""
        return {
            f"{number}.{part}": value.detach().contiguous()
            for number, layer in enumerate(self.layers)
            for part, value in zip(("weight", "bias"), layer, strict=True)
        }

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], name: str) -> Self:
        """Return the network of a file's tensors.

        Raises
        ------
        KeyError, ValueError
            If they are not those of such a network.
        """
        count = len(tensors) // 2
        layers = [(tensors[f"{n}.weight"], tensors[f"{n}.bias"]) for n in range(count)]
        if not 2 <= count <= MOST_LAYERS or len(tensors) != 2 * count:
            raise ValueError(f"{len(tensors)} tensors")
        sides = [2 * CUT**2, *(len(weight) for weight, _ in layers)]
        if max(sides) > MOST_CHANNELS or sides[-1] != CUT**2:
            raise ValueError(f"layers of {sides} channels")
        for (before, after), (weight, bias) in zip(pairwise(sides), layers, strict=True):
            if weight.shape != (after, before, 3, 3) or bias.shape != (after,):
                raise ValueError(f"a layer of shape {tuple(weight.shape)}")
            if not (weight.isfinite().all() and bias.isfinite().all()):
                raise ValueError("a number that is not finite")
        return cls(tuple((weight.float(), bias.float()) for weight, bias in layers), name)


def read(path: Path) -> ResidualNetwork:
    """Read a file of weights.

    Raises
    ------
    InputError
        If it is missing or not such a file.
    OptionError
        If the package that reads it is missing.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: no such file") from error
    return _read(path.absolute(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read(path: Path, _changed: int, size: int) -> ResidualNetwork:
    try:
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError as error:
        raise OptionError("safetensors is missing: pip install 'cmsr[prior]'") from error
    try:
        if size > MOST_BYTES:
            raise ValueError(f"larger than {MOST_BYTES} bytes")
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get(KEY) != KIND:
                raise ValueError("its metadata does not say so")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return ResidualNetwork.of(tensors, path.name)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise InputError(
            f"{path}: holds no weights of benchmarks/train_prior.py ({error})"
        ) from error
