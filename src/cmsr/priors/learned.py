"""Opt-in priors that were trained on other images, `--prior`: what images usually look like.

Nothing here is used unless it is asked for. What a prior makes of an image, the caller makes agree
with the measurement again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from torch import Tensor

from cmsr.errors import OptionError
from cmsr.operators.resampling import Shape
from cmsr.priors import residual_network, srmd

NONE, LEARNED, FILE = "none", "learned", ".safetensors"
"""What ``--prior`` may name, and what the name of a file of weights ends in."""


class Prior(Protocol):
    """A prior that was trained on other images."""

    @property
    def name(self) -> str:
        """Its name in records."""

    def sharpened(
        self, image: Tensor, seen: Tensor, ratio: float, origin: Shape, flips: int
    ) -> Tensor:
        """Sharpen an image (H, W), values about [0, 1].

        Parameters
        ----------
        image : Tensor, shape (H, W)
            A part of a result.
        seen : Tensor, shape (H, W)
            What the sensor sees of it, enlarged bilinearly.
        ratio : float
            Pixels of the result per pixel of the target.
        origin : (int, int)
            Where it begins in the whole result.
        flips : int
            Number of flips, at most four, over which the outcome is averaged.
        """


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
        return srmd.installed()
    if name.endswith(FILE):
        return residual_network.read(Path(name))
    raise OptionError(f"prior is {name!r}; choose {NONE}, {LEARNED} or a file in {FILE}")
