"""Networks in files of ncnn: a text that lists layers, `.param`, and their numbers, `.bin`.

Read is what plain networks for super-resolution consist of: a chain of convolutions, each with a
rectifier or without, and a pixel shuffle at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.errors import InputError

MAGIC = "7767517"
HALF, SINGLE = 0x01306B47, 0
"""What stands before a layer's weights: how they are stored."""

MOST_BYTES, MOST_LAYERS, MOST_CHANNELS = 2**26, 64, 2048

_KNOWN = {"0", "1", "4", "5", "6", "9"}
"""Numbers of a convolution: channels, side, padding, bias, weights, rectifier."""


class Convolution(NamedTuple):
    """One layer: weights (out, in, k, k), bias (out,), and whether negative values become 0."""

    weight: Tensor
    bias: Tensor
    rectified: bool


@dataclass(frozen=True)
class Network:
    """A chain of convolutions, and the factor of the pixel shuffle after it."""

    layers: tuple[Convolution, ...]
    factor: int

    @property
    def channels(self) -> int:
        """How many channels it takes."""
        return self.layers[0].weight.shape[1]

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, c, factor · h, factor · w)."""
        for weight, bias, rectified in self.layers:
            x = F.conv2d(x, weight.to(x), bias.to(x), padding=weight.shape[-1] // 2)
            x = x.relu_() if rectified else x
        return F.pixel_shuffle(x, self.factor)


def read_network(param: Path) -> Network:
    """Read a network; its numbers lie beside it, in a file that ends in `.bin`.

    Raises
    ------
    InputError
        If a file is missing, broken or of another kind of network.
    """
    try:
        return _network(param)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(
            f"{param}: is not a chain of convolutions in ncnn's format ({error})"
        ) from error


def _network(param: Path) -> Network:
    lines = _content(param).decode("ascii").split("\n")
    if lines[0].strip() != MAGIC:
        raise ValueError("the first line is another")
    layers = [_Line.of(line) for line in lines[2:] if line.strip()]
    count = int(lines[1].split()[0])
    if count != len(layers) or not 3 <= count <= MOST_LAYERS:
        raise ValueError(f"{len(layers)} layers")
    for before, after in pairwise(layers):
        if before.out != after.source:
            raise ValueError(f"layer {after.kind} does not follow the one before")
    first, *inner, last = layers
    if first.kind != "Input" or last.kind != "PixelShuffle":
        raise ValueError(f"it begins with {first.kind} and ends in {last.kind}")
    factor = int(last.numbers["0"])
    numbers = _Numbers(_content(param.with_suffix(".bin")))
    made = tuple(_convolutions(inner, numbers))
    numbers.end()
    if not 1 <= factor <= 8 or made[-1].weight.shape[0] % factor**2:
        raise ValueError(f"a pixel shuffle by {factor}")
    return Network(made, factor)


def _content(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path.name} is larger than {MOST_BYTES} bytes")
    return path.read_bytes()


class _Line(NamedTuple):
    """A line of the text: kind, the data that goes in and comes out, and numbers by key."""

    kind: str
    source: str
    out: str
    numbers: dict[str, str]

    @classmethod
    def of(cls, line: str) -> _Line:
        kind, _, takes, makes, *rest = line.split()
        before, after = int(takes), int(makes)
        if (before, after) not in ((0, 1), (1, 1)):
            raise ValueError(f"layer {kind} joins or parts data")
        numbers = dict(word.split("=", 1) for word in rest[before + after :])
        return cls(kind, rest[0] if before else "", rest[before], numbers)


class _Numbers:
    """A reader of the `.bin` file."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def take(self, kind: str, count: int) -> Tensor:
        """Return the next numbers; they fill whole words of four bytes."""
        size = count * np.dtype(kind).itemsize
        found = self._content[self._at : self._at + size]
        if len(found) < size:
            raise ValueError("the .bin file ends early")
        self._at += -(-size // 4) * 4
        values = torch.from_numpy(np.frombuffer(found, kind).astype(np.float32))
        if not values.isfinite().all():
            raise ValueError("the .bin file holds a number that is not finite")
        return values

    def weights(self, count: int) -> Tensor:
        """Return the next weights, as they are marked to be stored."""
        mark = int.from_bytes(self._content[self._at : self._at + 4], "little")
        if mark not in (HALF, SINGLE):
            raise ValueError(f"weights are stored in a way that is not known, {mark:#x}")
        self._at += 4
        return self.take("<f2" if mark == HALF else "<f4", count)

    def end(self) -> None:
        """Refuse what is left."""
        if self._at != len(self._content):
            raise ValueError(f"the .bin file has {len(self._content)} bytes, not {self._at}")


def _convolutions(lines: list[_Line], numbers: _Numbers) -> Iterator[Convolution]:
    channels = None
    for line in lines:
        if line.kind != "Convolution" or not line.numbers.keys() <= _KNOWN:
            raise ValueError(f"layer {line.kind} with {' '.join(line.numbers)}")
        out, side, pad, bias, size, rectifier = (
            int(line.numbers.get(key, "0")) for key in ("0", "1", "4", "5", "6", "9")
        )
        if not (1 <= out <= MOST_CHANNELS and side in (1, 3, 5, 7)) or pad != side // 2:
            raise ValueError(f"a convolution of {out} channels, {side} × {side}, padded by {pad}")
        inner = size // (out * side**2)
        if (
            rectifier not in (0, 1)
            or size != out * side**2 * inner
            or channels not in (None, inner)
        ):
            raise ValueError(f"a convolution of {size} weights")
        if not 1 <= inner <= MOST_CHANNELS:
            raise ValueError(f"a convolution of {inner} channels")
        weight = numbers.weights(size).reshape(out, inner, side, side)
        yield Convolution(
            weight, numbers.take("<f4", out) if bias else torch.zeros(out), rectifier == 1
        )
        channels = out
