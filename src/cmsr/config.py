"""All options: type, default, range and meaning of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from cmsr.errors import OptionError
from cmsr.option_checks import check_combined, check_values, named
from cmsr.presets import PRESETS, PRESETS_OF

Preset = Literal["default", "fast", "paper", "paper-plus"]
Align = Literal["auto", "off", "affine", "cpab", "segments"]


def _bounded(default: Any, low: float, high: float, method: str | None = None) -> Any:
    """Return a field whose values must lie in [low, high]; it acts in ``method`` alone, if any."""
    return field(default=default, metadata={"range": (low, high), "method": method})


@dataclass(frozen=True)
class Config:
    """Options of one run; `Config.of` starts from a preset.

    Raises
    ------
    OptionError
        If a value is outside its range, or an option has no effect.

    Examples
    --------
    >>> Config(ratio=4, kernel="box").preset
    'default'
    >>> Config(ratio=0.5)
    Traceback (most recent call last):
    cmsr.errors.OptionError: ratio is 0.5; it must lie from 1 to 64
    """

    preset: Preset = "default"
    """Defaults of all other options: for the best result (default), for about half the time (fast),
    the published network, trained on this pair (paper), or that network with changes of our own
    (paper-plus)."""

    seed: int = _bounded(0, 0, 2**63 - 1)
    """Seed of all random numbers; the same seed gives the same bytes."""

    kernel: str = "auto"
    """Imaging kernel, how the sensor blurred and sampled the scene: auto estimates it from the
    pair; or bicubic, bilinear (both antialiased), bicubic-plain, bilinear-plain, box, nearest or
    gaussian:SIGMA (in output pixels), with -topleft or -corners appended if the grids' corner
    pixels coincide; or a file of weights in output pixels (.npy, .csv, .txt or an image)."""

    align: Align = "auto"
    """How the guide is placed on the target: not moved (off), by an affine map, by an affine map
    and a CPAB warp, by a map for each object (segments), or by what predicts held-out pixels best
    (auto)."""

    segments: str | None = None
    """Label image of the guide's size, with a whole number for each object; each object may then
    move separately. Without it, --align segments finds the objects."""

    ratio: float | tuple[float, float] | None = _bounded(None, 1, 64)
    """Enlargement of the target: one number, or two as in 4,3, across and down; by default, with a
    guide, the resolution at which the guide shows the target's field of view."""

    size: tuple[int, int] | None = _bounded(None, 4, 2**20)
    """Width and height of the result, instead of a ratio."""

    field_of_view: tuple[float, float] | None = _bounded(None, 0.1, 175)
    """Horizontal fields of view of target and guide, in degrees, where they are known."""

    points: str | None = None
    """CSV file of two or more corresponding points in both images, in pixels from the top left
    corner: target_x, target_y, photo_x, photo_y."""

    rig: str = "auto"
    """Rig file, written by cmsr rig: the geometry of two cameras fixed to each other; in a batch,
    auto finds it from the pairs, and off places each photo separately."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to compute on; auto takes a GPU if there is one."""

    method: Literal["two-branch", "closed-form"] = "closed-form"
    """The published network, trained on the pair, or linear models in closed form."""

    solver_iterations: int = _bounded(16, 1, 1000, "closed-form")
    """Conjugate-gradient iterations of the closed-form method."""

    denoising_rounds: int = _bounded(32, 3, 1000, "closed-form")
    """Denoising rounds of the closed-form method's guide-free estimate."""

    prior: str = field(default="none", metadata={"method": "closed-form"})
    """Sharpen also by what a network learned from other images, the one thing here that was not
    learned from this pair: learned (SRMD, trained on photographs; needs the extra prior), or a file
    of your own weights (.safetensors)."""

    fuse: int = _bounded(0, 0, 32, "closed-form")
    """Frames of the series, at most, that take part in each result: the nearest before and after,
    as far as held-out pixels prove that they help. For a target of several pages, or a batch with
    --series."""

    iterations: int = _bounded(800, 0, 100_000, "two-branch")
    """Training steps with a guide, at most."""

    iterations_guide_free: int = _bounded(3000, 0, 100_000, "two-branch")
    """Training steps without a guide, at most."""

    crop: int = _bounded(48, 8, 4096, "two-branch")
    """Side of a training patch with a guide, in pixels of the label."""

    crop_guide_free: int = _bounded(128, 8, 4096, "two-branch")
    """Side of a training patch without a guide, in pixels of the label."""

    learning_rate: float = _bounded(1e-4, 1e-7, 1.0, "two-branch")
    """Initial learning rate of Adam."""

    p: float | Literal["auto"] = _bounded(0.3, 0, 1, "two-branch")
    """Alternating Scales: share of training steps that use the upsampling-based scheme. The
    published 0.3 costs .4 dB where the photo lies in place and gains .5 dB where it lies 2 pixels
    off; auto trains several side by side and takes what predicts held-out pixels best."""

    guide_p: float | None = _bounded(None, 0, 1, "two-branch")
    """The same share for the guide's branch alone; by default that of the other branch."""

    guide_rate: float = _bounded(1.0, 1e-3, 1e3, "two-branch")
    """Learning rate of the guide's branch, as a factor of the other's."""

    guide_start: Literal["published", "kept"] = field(
        default="published", metadata={"method": "two-branch"}
    )
    """Initial weights of the guide's branch: as published, by which its signal shrinks from layer
    to layer, or such that it keeps its size (kept)."""

    warps: Literal["learned", "found", "both"] = field(
        default="learned", metadata={"method": "two-branch"}
    )
    """How the guide is placed: by warps learned with the network, as published; as preset default
    places it, beforehand and confirmed by held-out pixels (found); or first so, then learned on
    (both)."""

    steps: tuple[float, ...] = _bounded((), 1, 64, "two-branch")
    """Gradual increments: intermediate ratios, for example 2,4; the last step is always the whole
    ratio."""

    ensemble: bool = field(default=True, metadata={"method": "two-branch"})
    """Self-ensemble, the median of the results of eight flips and rotations."""

    back_projections: int = _bounded(6, 0, 1000, "two-branch")
    """Back-projection rounds, which make the output consistent with the input."""

    invalid: float | Literal["auto", "none"] = "auto"
    """Value that marks pixels without a measurement, besides NaN and the file's nodata; auto takes
    0 if zeros are far from all other values."""

    strip_metadata: bool = False
    """Omit the target's metadata on camera, time and place: Exif, XMP, ICC profile."""

    colour_mapped: str | None = None
    """Treat the target as a false-colour picture and upscale the quantity behind its colours; the
    colour map is detected (auto) or named."""

    ignore: str | None = None
    """Parts of the target without measurements, such as burnt-in text: x,y,w,h in pixels, several
    separated by semicolons, or a mask file of the target's size, whose pixels other than 0 are left
    out."""

    fill: bool = False
    """Fill the target's holes instead of keeping them."""

    extent: Literal["overlap", "target"] = "overlap"
    """Part of a georeferenced target that the result covers: the overlap with the guide, or the
    whole target, made without the guide where that does not reach."""

    bounds: tuple[float, float] | None = _bounded(None, -1e300, 1e300)
    """Smallest and largest value allowed in the result, in the target's unit; by default at least 0
    where the target has no negative values, unless its unit allows them (°C, °F, dB)."""

    bands: tuple[int, ...] = _bounded((), 1, 65535)
    """Bands of the target to upscale, for example 1,4; all by default."""

    guide_bands: tuple[int, ...] = _bounded((), 1, 65535)
    """Bands of the guide to use, for example 4,3,2; all by default."""

    axis: int | None = _bounded(None, 0, 2)
    """Axis of the channels of a target that is an array with three axes, 0 or 2; by default,
    inferred from its shape."""

    guide_axis: int | None = _bounded(None, 0, 2)
    """Axis of the channels of a guide that is an array, likewise."""

    native_size: tuple[int, int] | None = _bounded(None, 4, 65535)
    """Width and height of the sensor in pixels, if the camera has enlarged its image."""

    emissivity: float | None = _bounded(None, 0.01, 1)
    """Radiometric JPEG: emissivity of the object, instead of the file's."""

    distance: float | None = _bounded(None, 0, 100_000)
    """Radiometric JPEG: distance to the object in metres."""

    reflected_temperature: float | None = _bounded(None, -273, 5000)
    """Radiometric JPEG: reflected apparent temperature, in °C."""

    atmospheric_temperature: float | None = _bounded(None, -273, 200)
    """Radiometric JPEG: atmospheric temperature, in °C."""

    humidity: float | None = _bounded(None, 0, 1)
    """Radiometric JPEG: relative humidity, 0 to 1."""

    max_pixels: int = _bounded(2**28, 1, 2**40)
    """Largest image, read or made, in pixels."""

    max_memory: float = _bounded(4.0, 0.1, 4096)
    """Memory to plan for, in GB: it decides how many tiles are computed at once and whether the
    result is written row by row; the result is the same to the byte."""

    def __post_init__(self) -> None:
        """Check every value's range and choices, and that every option given has an effect."""
        check_values(self)
        self.check_method(self.given())
        check_combined(self)

    def check_method(self, names: Iterable[str]) -> None:
        """Refuse those of some options that act only in the other method."""
        for option in dataclasses.fields(self):
            method = option.metadata.get("method")
            if option.name in names and method not in (None, self.method):
                typed = f"no_{option.name}" if getattr(self, option.name) is False else option.name
                raise OptionError(f"{named(typed)} requires --preset {PRESETS_OF[method]}")

    def given(self) -> dict[str, Any]:
        """Return the options whose values differ from the preset's.

        >>> Config.of("fast", align="off").given()
        {'align': 'off'}
        """
        usual = {option.name: option.default for option in dataclasses.fields(self)}
        usual |= {"preset": self.preset, **PRESETS[self.preset]}
        return {name: getattr(self, name) for name in usual if getattr(self, name) != usual[name]}

    def refuse(self, names: Iterable[str], reason: str) -> None:
        """Raise OptionError if one of these options is given.

        >>> Config(fill=True).refuse(["fill"], "has no effect here")
        Traceback (most recent call last):
        cmsr.errors.OptionError: --fill has no effect here
        """
        given = self.given()
        for name in names:
            if name in given:
                typed = f"no_{name}" if given[name] is False else name
                raise OptionError(f"{named(typed)} {reason}")

    @property
    def sized(self) -> bool:
        """Whether the options say how large the result is."""
        return self.ratio is not None or self.size is not None

    @property
    def rig_file(self) -> str | None:
        """The file of a rig, if one is named."""
        return None if self.rig in ("auto", "off") else self.rig

    @property
    def prior_file(self) -> str | None:
        """The file of a prior's weights, if one is named."""
        return self.prior if self.prior.endswith(".safetensors") else None

    @classmethod
    def of(cls, preset: str = "default", **options: Any) -> Self:
        """Return a preset with some options replaced.

        Raises
        ------
        OptionError
            If the preset or an option does not exist, a value is outside its range, or an option
            has no effect.

        Examples
        --------
        >>> Config.of("fast", kernel="gaussian:1.5").denoising_rounds
        8
        >>> Config.of("fast", p=0.5)
        Traceback (most recent call last):
        cmsr.errors.OptionError: --p requires --preset paper or paper-plus
        """
        if preset not in PRESETS:
            raise OptionError(f"preset is {preset!r}; choose one of {', '.join(PRESETS)}")
        unknown = options.keys() - {option.name for option in dataclasses.fields(cls)}
        if unknown:
            raise OptionError(f"no option is called {', '.join(sorted(unknown))}")
        return cls(**{"preset": preset, **PRESETS[preset], **options})


RADIOMETRIC = ("emissivity", "distance", "reflected_temperature", "atmospheric_temperature",
               "humidity")  # fmt: skip
"""Options of the temperatures of a radiometric JPEG."""
