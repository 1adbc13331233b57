"""The methods behind one signature: a pair, read with its options, to an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmsr.config import RADIOMETRIC, Config
from cmsr.errors import InputError
from cmsr.pair import Pair
from cmsr.prologue import Opened
from cmsr.result import Result
from cmsr.run import Run
from cmsr.two_branch import solve
from cmsr_bench import classic
from cmsr_bench.pixtransform import ITERATIONS, pixtransform

Image = npt.NDArray[Any]
"""(C, H, W) in the target's type and units."""

Upscaler = Callable[[Opened], Image | Result]
"""Methods of this package return a `Result`, which a report can show; the others an image."""


READING = frozenset(
    ["ratio", "invalid", "bands", "native_size", "max_pixels", "max_memory", *RADIOMETRIC]
)
"""Options of reading a pair, which act on every method."""

_INTERNAL = frozenset(["kernel", "iterations_guide_free", "crop_guide_free", "learning_rate",
                       "p", "steps", "ensemble", "back_projections"])  # fmt: skip


@dataclass(frozen=True)
class Method:
    """A method that can be compared.

    Attributes
    ----------
    name, summary : str
        Its name, and a line of description.
    run : callable or None
        The method; None if it must be trained first, see `cmsr_bench.learned.upscaler`.
    version : int or None
        Raised when its results change, so that records of another version are not reused. None
        stands for a hash of all the code behind `cmsr.upscale`.
    preset : str
        Preset of its options.
    options : dict
        Its values of options that differ from the preset.
    takes : frozenset of str or None
        Options that have an effect on it; None for those of `cmsr.upscale`.
    guided, seeded : bool
        Whether it uses the guide, and whether its result depends on the seed.
    """

    name: str
    summary: str
    run: Upscaler | None
    version: int | None = 1
    preset: str = "default"
    options: dict[str, Any] = field(default_factory=dict)
    takes: frozenset[str] | None = None
    guided: bool = True
    seeded: bool = True

    @property
    def own(self) -> bool:
        """Whether it is `cmsr.upscale`, whose results a report can show."""
        return self.run is _upscaled


def _interpolated(pair: Opened) -> Image:
    return classic.bicubic(pair.target, pair.pair.shape)


def _upscaled(pair: Opened) -> Result:
    """Do what `cmsr.upscale` does."""
    return Run(pair).result()


def image_of(made: Image | Result) -> Image:
    """Return the image (C, H, W) of a method's output."""
    if not isinstance(made, Result):
        return made
    return made.image[None] if made.image.ndim == 2 else np.moveaxis(made.image, -1, 0)


def _zssr(pair: Pair, config: Config) -> Tensor:
    """Run the published training without its guide."""
    alone = replace(pair, guide=None)
    return solve.solve(alone, classic.kernel_of(pair, config), config).image


def on_pair(function: Callable[[Pair, Config], Tensor], *, guided: bool) -> Upscaler:
    """Wrap a method of normalised pairs; a constant target is returned as it is."""

    def run(opened: Opened) -> Image:
        if guided and opened.guide is None:
            raise InputError(f"{opened.target.name}: has no guide, which the method needs")
        pair = opened.whole.to("cpu")
        if pair.blank:
            return pair.denormalise(torch.zeros(1, pair.target.shape[1], *pair.shape))
        return pair.denormalise(function(pair, opened.config))

    return run


def _simple(
    name: str, summary: str, function: Callable[[Pair, Config], Tensor], *, guided: bool
) -> Method:
    run = on_pair(function, guided=guided)
    takes = READING | {"kernel"}
    return Method(name, summary, run, takes=takes, guided=guided, seeded=False)


def _trained(name: str, summary: str) -> Method:
    return Method(name, summary, None, takes=READING, seeded=False)


_ALL = (
    Method(
        "bicubic",
        "bicubic interpolation",
        _interpolated,
        takes=READING,
        guided=False,
        seeded=False,
    ),
    _simple(
        "bicubic+bp",
        "bicubic interpolation and back-projection",
        classic.bicubic_projected,
        guided=False,
    ),
    _simple("tv", "total variation and back-projection", classic.tv, guided=False),
    _simple(
        "guided-filter",
        "colour guided filter, coefficients at low resolution (He et al., 2015), back-projection",
        classic.guided_filter,
        guided=True,
    ),
    Method(
        "zssr",
        "internal training without a guide (Shocher et al., CVPR 2018), as CMSR does it",
        on_pair(_zssr, guided=False),
        version=3,
        preset="paper",
        options={"p": 0.0},
        takes=READING | _INTERNAL,
        guided=False,
    ),
    Method(
        "cmsr-paper",
        "the published network (Shacht et al., CVPR 2021): cmsr --preset paper",
        _upscaled,
        version=3,
        preset="paper",
    ),
    Method(
        "cmsr-paper-plus",
        "that network with changes of this package's own: cmsr --preset paper-plus",
        _upscaled,
        version=1,
        preset="paper-plus",
    ),
    Method("cmsr", "this package's default", _upscaled, version=None),
    Method("cmsr-fast", "cmsr --preset fast", _upscaled, version=None, preset="fast"),
    Method(
        "pixtransform",
        "a map from colour and place to the target (de Lutio et al., ICCV 2019)",
        on_pair(pixtransform, guided=True),
        preset="paper",
        options={"iterations": ITERATIONS},
        takes=READING | {"iterations"},
    ),
    _trained("djf", "Deep Joint Image Filtering (Li et al., ECCV 2016), trained on other pairs"),
    _trained("vtsrcnn", "visible-thermal SRResNet (Almasri & Debeir, 2018), trained likewise"),
    _trained("vtsrgan", "the same with an adversarial loss"),
)

METHODS = {method.name: method for method in _ALL}
