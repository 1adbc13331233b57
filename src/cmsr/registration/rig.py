"""A rig: two cameras fixed to each other, which see the same scene from place to place.

All of its pairs share one geometry but for parallax, and the target's kernel and noise.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from cmsr.errors import InputError, OptionError
from cmsr.io.atomic import write_text
from cmsr.operators.kernels import check_kernel
from cmsr.operators.resampling import shape_of
from cmsr.registration.cutouts import Cutouts
from cmsr.registration.optimisation import climb
from cmsr.registration.placement import FINAL, Placement, placed
from cmsr.registration.transforms import Size

LEAST_SPREAD = 0.5
"""Spread of pairs about their rig that is allowed for at least, in target pixels, by eye."""

MOVE = 0.01
"""Similarity, in nats, that a move by one such spread costs: at a tenth of it, of 15 thermal pairs
of one geometry some move by 2 target pixels to where they are more similar by chance."""

NOT_A_RIG = KeyError, TypeError, ValueError, OptionError, RecursionError
"""What reading values that are no rig may raise."""

UNITS = {
    "field": "how many times the target's field the photo shows",
    "turn": "degrees, clockwise, of the target in the photo",
    "centre": "of the target, in the photo's width and height",
    "linear": "longer sides of the photo per longer side of the target; x, y rightwards, downwards",
    "bend": "share by which places at the target's corners lie further out",
    "spread, moved": "pixels of the target",
    "noise": "standard deviation, in units of the target",
    "similarity": "nats",
}
"""Units and meaning of the numbers in a rig file."""


class Vote(NamedTuple):
    """One pair's vote on its rig.

    Attributes
    ----------
    name : str
        Of the pair.
    verdict : {"agrees", "unclear", "outlier"}
        It confirms the rig, tells nothing, or shows another geometry.
    moved : (float, float)
        How far right and down of the rig's place it lies, in pixels of the target.
    similarity : float
        There, in nats.
    """

    name: str
    verdict: str
    moved: tuple[float, float]
    similarity: float


@dataclass(frozen=True)
class Rig:
    """The geometry of two cameras, and how the first one images.

    Attributes
    ----------
    linear, centre, bend
        Where the photo shows the target; see `UNITS`.
    target, photo : (height, width)
        Sizes of the images that it was found from.
    spread : float
        Usual move of a pair along either axis, as by parallax, in pixels of the target.
    kernel : str or None
        Imaging kernel at ``ratio``; None where the pairs do not tell.
    ratio : float
        Pixels of the result per pixel of the target at which the kernel was found.
    noise : float or None
        Standard deviation, in units of the target.
    votes : tuple of Vote
        One for each pair.
    """

    linear: tuple[tuple[float, float], tuple[float, float]]
    centre: tuple[float, float]
    bend: float
    target: Size
    photo: Size
    spread: float = LEAST_SPREAD
    kernel: str | None = None
    ratio: float = 1.0
    noise: float | None = None
    votes: tuple[Vote, ...] = ()

    @classmethod
    def of(cls, found: Placement, **others: Any) -> Self:
        """Take a placement as the geometry of a rig."""
        (a, b, x), (c, d, y), _ = found.matrix
        unit, (height, width) = max(found.photo) / 2, found.photo
        linear = (a / unit, b / unit), (c / unit, d / unit)
        centre = x / width, y / height
        return cls(linear, centre, found.bend, found.target, found.photo, **others)

    def placement(self, target: Size, photo: Size) -> Placement:
        """Return where images of other sizes from the same cameras lie."""
        unit, (x, y) = max(photo) / 2, self.centre
        (a, b), (c, d) = self.linear
        rows = (a * unit, b * unit, x * photo[1]), (c * unit, d * unit, y * photo[0])
        return Placement(target, photo, (*rows, (0.0, 0.0, 1.0)), self.bend)

    def kernel_at(self, ratio: tuple[float, float]) -> str | None:
        """Return the kernel where a result is as many times finer as that it was found on."""
        return self.kernel if all(each == self.ratio for each in ratio) else None

    def text(self) -> str:
        """Say it in words."""
        place = self.placement(self.target, self.photo)
        agree = sum(vote.verdict == "agrees" for vote in self.votes)
        kernel = f", kernel {self.kernel}" if self.kernel else ""
        return (
            f"{place.text()}; {agree} of {len(self.votes)} pairs agree, within {self.spread:.2g} "
            f"target px{kernel}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold."""
        place = self.placement(self.target, self.photo)
        found = asdict(self) | {"votes": [vote._asdict() for vote in self.votes]}
        said = {"rig": self.text(), "field": round(place.field, 4), "turn": round(place.turn, 3)}
        return {**said, **found, "units": UNITS}

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file that the option ``rig`` names.

        Raises
        ------
        OutputError
            If it cannot be written; nothing is left behind.
        """
        write_text(Path(path), json.dumps(self.to_json(), indent=2) + "\n")

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned.

        Raises
        ------
        KeyError, TypeError, ValueError, OptionError
            If it is not a rig.
        """
        first, second = values["linear"]
        kernel, noise = values["kernel"], values["noise"]
        if kernel is not None:
            check_kernel(str(kernel))
        return cls(
            (_two(first), _two(second)),
            _two(values["centre"]),
            _number(values["bend"]),
            _whole(values["target"]),
            _whole(values["photo"]),
            _number(values["spread"]),
            None if kernel is None else str(kernel),
            _number(values["ratio"]),
            None if noise is None else _number(noise),
            tuple(Vote(**{**vote, "moved": _two(vote["moved"])}) for vote in values["votes"]),
        )


def _two(values: Any) -> tuple[float, float]:
    first, second = values
    return _number(first), _number(second)


def _number(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError("must be finite")
    return number


def _whole(values: Any) -> Size:
    first, second = values
    return int(first), int(second)


def read_rig(path: str) -> Rig:
    """Read a file of a rig.

    Raises
    ------
    InputError
        If it cannot be read, or is none.
    """
    try:
        return Rig.of_json(json.loads(Path(path).read_bytes()))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except NOT_A_RIG as error:
        raise InputError(f"{path}: is not a rig file written by cmsr rig") from error


def placed_by_rig(rig: Rig, target: Tensor, valid: Tensor, photo: Tensor) -> Placement:
    """Return the place of a target (h, w) in a photo (3, H, W), moved from the rig's for parallax.

    A move costs as much as its size makes it unlikely for this rig.
    """
    start = rig.placement(shape_of(target), shape_of(photo))
    cuts = Cutouts.of(target, valid, photo, [torch.tensor(start.matrix)[:2].float()], FINAL)
    theta, _ = nudged(cuts, rig, float(start.bend))
    return placed(cuts, theta)


def nudged(cuts: Cutouts, rig: Rig, bend: float) -> tuple[Tensor, float]:
    """Return the parameters (7,) to which a pair moves from its rig, and the similarity there."""
    rest = torch.tensor([[0.0] * 6 + [bend]])
    spread = max(rig.spread, LEAST_SPREAD) * 2 / max(cuts.size)

    def gain(moves: Tensor, _: Tensor) -> Tensor:
        return cuts.similarity(_moved(rest, moves)) - MOVE * (moves / spread).square().sum(1)

    moves, _ = climb(gain, torch.zeros(1, 2))
    theta = _moved(rest, moves)
    return theta[0], float(cuts.similarity(theta))


def _moved(rest: Tensor, moves: Tensor) -> Tensor:
    return torch.cat((moves, rest[:, 2:].expand(len(moves), -1)), 1)
