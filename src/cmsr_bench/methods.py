"""Every method behind one signature: a pair's inputs, the options, a seed; back comes an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cmsr.config import RADIOMETRIC, Config
from cmsr.errors import InputError
from cmsr.io.inputs import Inputs
from cmsr.pair import Pair
from cmsr.pipeline import Result, upscale
from cmsr.sensor.imaging import imaging_of, named_kernel
from cmsr.two_branch import solve
from cmsr_bench import classic
from cmsr_bench.pixtransform import ITERATIONS, pixtransform

Image = npt.NDArray[Any]
"""(C, H, W) in the target's type and units."""

Upscaler = Callable[[Inputs, Config, int], Image | Result]
"""A `Result`, which a report can show, is what `cmsr.upscale` gives; the others give the image."""


READING = frozenset(
    ["ratio", "invalid", "bands", "native_size", "max_pixels", "max_memory", *RADIOMETRIC]
)
"""Options of reading a pair, which act on every method."""

_INTERNAL = frozenset(["kernel", "iterations_guide_free", "crop_guide_free", "learning_rate",
                       "p", "steps", "ensemble", "back_projections"])  # fmt: skip


@dataclass(frozen=True)
class Method:
    """One of what is compared.

    Attributes
    ----------
    name, summary : str
        What to call it, and one line for people.
    run : callable or None
        Takes target and guide, the options and a seed. None where the method is trained first:
        `cmsr_bench.learned.upscaler` makes it from a file of weights.
    version : int or None
        Raised when its results change: records of another version are not taken for its own. None
        asks for a hash of all the code behind `cmsr.upscale`.
    preset : str
        Where its options start.
    options : dict
        Its own values of options.
    takes : frozenset of str or None
        Options that have an effect on it; None for those of `cmsr.upscale`.
    guided, seeded : bool
        Whether it looks at the guide, and whether another seed gives another result.
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
        return self.run is _product


def _interpolated(inputs: Inputs, config: Config, _seed: int) -> Image:
    pair = Pair.of(inputs.target, inputs.guide, config.ratio)
    return classic.bicubic(inputs.target, pair.shape)


def _product(inputs: Inputs, config: Config, seed: int) -> Result:
    """Do what a user does."""
    return upscale(inputs.target, inputs.guide, **{**dataclasses.asdict(config), "seed": seed})


def image_of(made: Image | Result) -> Image:
    """Return the image of what a method made."""
    if not isinstance(made, Result):
        return made
    return made.image[None] if made.image.ndim == 2 else np.moveaxis(made.image, -1, 0)


def _alone(pair: Pair, config: Config, seed: int) -> Tensor:
    """ZSSR: the published training without its guide."""
    alone = replace(pair, guide=None)
    kernel = imaging_of(pair, named_kernel(config.kernel)).kernel
    return solve.solve(alone, kernel, replace(config, seed=seed)).image


def on_pair(function: Callable[[Pair, Config, int], Tensor], *, guided: bool) -> Upscaler:
    """Let a method work on a normalised pair; a blank one comes back as it is."""

    def run(inputs: Inputs, config: Config, seed: int) -> Image:
        if guided and inputs.guide is None:
            raise InputError(f"{inputs.target.name}: has no guide, which the method needs")
        pair = Pair.of(inputs.target, inputs.guide, config.ratio)
        if pair.blank:
            return pair.denormalise(torch.zeros(1, pair.target.shape[1], *pair.shape))
        return pair.denormalise(function(pair, config, seed))

    return run


def _simple(
    name: str, summary: str, function: Callable[[Pair, Config, int], Tensor], *, guided: bool
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
        on_pair(_alone, guided=False),
        version=2,
        preset="paper",
        options={"p": 0.0},
        takes=READING | _INTERNAL,
        guided=False,
    ),
    Method(
        "cmsr-paper",
        "the published network (Shacht et al., CVPR 2021): cmsr --preset paper",
        _product,
        version=2,
        preset="paper",
    ),
    Method("cmsr", "this package's default", _product, version=None),
    Method("cmsr-fast", "cmsr --preset fast", _product, version=None, preset="fast"),
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
