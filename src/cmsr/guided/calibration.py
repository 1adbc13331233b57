"""The calibration of an image or a camera: everything that all tiles of a result share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from cmsr.guided.channel import Dampings
from cmsr.guided.fusion import Fusion
from cmsr.guided.held_out import LEAST_WEIGHT
from cmsr.operators.point_spread import PointSpread
from cmsr.operators.resampling import Box, Kernel
from cmsr.registration.alignment import Alignment
from cmsr.sensor.imaging import Imaging

if TYPE_CHECKING:
    from cmsr.guided.source import Sample


@dataclass(frozen=True)
class ChannelCalibration:
    """One channel's part of a calibration, in normalised units (the channel's range is 1).

    Attributes
    ----------
    mean, contrast : float
        Mean and standard deviation of what was measured.
    noise : float
        Standard deviation of the noise, that of JPEG's error included.
    dampings : mapping
        How far projections let results stay off the measurement for its noise, see
        `cmsr.guided.channel.Dampings`; None where each tile is to measure it.
    straightness : float
        How far the target consists of straight, sharp edges, 0 to 1.
    evenness : float
        See `cmsr.guided.expected_error.evenness_of`.
    gain, control : float
        By how many dB held-out pixels are predicted better with the guide than without, and with a
        guide displaced on purpose.
    errors : tuple of float
        Mean squared held-out error of each candidate, the first without a guide; empty where the
        guide is left out.
    weight : float
        Of the guide in the whole image, 0 to 1.
    transfer : float
        Weight of what goes over from the guide beside that, 0 to 1, see `cmsr.guided.transfer`.
    prior : tuple of float
        Mean squared held-out errors without a guide: without and with what was learned from other
        images; empty where that is not asked for.
    rounds, held_out_rounds : int
        Rounds of denoising without the guide, from all pixels and where some are held out.
    fusion : Fusion or None
        Other frames of a series, where they help; it goes into no file.
    """

    mean: float
    contrast: float
    noise: float = 0.0
    dampings: Dampings | None = None
    straightness: float = 0.0
    evenness: float = 1.0
    gain: float = 0.0
    control: float = 0.0
    errors: tuple[float, ...] = ()
    weight: float = 0.0
    transfer: float = 0.0
    prior: tuple[float, ...] = ()
    rounds: int = 32
    held_out_rounds: int = 12
    fusion: Fusion | None = None

    @property
    def guided(self) -> bool:
        """Whether the guide takes part."""
        return self.weight >= LEAST_WEIGHT and bool(self.errors)


@dataclass(frozen=True)
class Tracking:
    """A small deformation of the guide that goes on from frame to frame of a series.

    Attributes
    ----------
    deformation : tuple of float
        Parameters of `cmsr.registration.free_form.FreeForm`.
    worth : float or None
        By how many dB it has lowered the held-out error of late; None where nobody knows.
    """

    deformation: tuple[float, ...]
    worth: float | None


@dataclass(frozen=True)
class Calibration:
    """All that `solve` needs to know of an image beside a tile of it.

    Attributes
    ----------
    imaging : Imaging
        The kernel and how sure it is; the noise of each channel.
    channels : tuple of ChannelCalibration
        One for each channel of the target.
    mixing : tuple of tuples of float
        (F, F), makes the guide's detail uncorrelated, see
        `cmsr.priors.guide_features.joint_mixing_of`; empty without a guide.
    brightness : tuple of float
        Mean and standard deviation of the guide's brightness, reduced as the target was.
    alignment : Alignment or None
        Where the guide lies; None without one.
    overview : tuple of float
        Means of a few fields of the target in its own units, by which frames are compared.
    tracking : Tracking or None
        For the next frame of a series, where this one went on from another.
    continued : bool
        Whether it goes on from the frame before.
    """

    imaging: Imaging
    channels: tuple[ChannelCalibration, ...]
    mixing: tuple[tuple[float, ...], ...] = ()
    alignment: Alignment | None = None
    overview: tuple[float, ...] = ()
    brightness: tuple[float, float] = (0.0, 0.0)
    tracking: Tracking | None = None
    continued: bool = field(default=False, compare=False)

    @property
    def guided(self) -> bool:
        """Whether the guide takes part in any channel."""
        return any(channel.guided or channel.transfer for channel in self.channels)

    def mixing_matrix(self, like: Tensor) -> Tensor:
        """Return ``mixing`` as a tensor of the type and on the device of another."""
        return torch.tensor(self.mixing).to(like)

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON can hold.

        >>> from cmsr.sensor.imaging import Imaging

        if TYPE_CHECKING:
        from cmsr.guided.source import Sample
        >>> found = Calibration(Imaging("box", (0.0,)), (ChannelCalibration(0.5, 0.2),))
        >>> Calibration.of_json(found.to_json()) == found
        True
        """
        kernel = self.imaging.kernel
        return {
            "kernel": kernel if isinstance(kernel, str) else asdict(kernel),
            "kernel_confidence": self.imaging.confidence,
            "channels": [asdict(replace(channel, fusion=None)) for channel in self.channels],
            "mixing": [list(row) for row in self.mixing],
            "alignment": self.alignment and self.alignment.to_json(),
            "brightness": list(self.brightness),
            "overview": list(self.overview),
            "tracking": self.tracking and asdict(self.tracking),
        }

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is not a calibration.
        """
        channels = tuple(
            ChannelCalibration(
                **{**channel, "errors": tuple(channel["errors"]), "prior": tuple(channel["prior"])}
            )
            for channel in values["channels"]
        )
        kernel = values["kernel"]
        tracking, alignment = values["tracking"], values["alignment"]
        return cls(
            Imaging(
                kernel if isinstance(kernel, str) else _point_spread(kernel),
                tuple(channel.noise for channel in channels),
                values["kernel_confidence"],
            ),
            channels,
            tuple(tuple(row) for row in values["mixing"]),
            alignment and Alignment.of_json(alignment),
            tuple(values["overview"]),
            (values["brightness"][0], values["brightness"][1]),
            tracking and Tracking(tuple(tracking["deformation"]), tracking["worth"]),
        )


def _point_spread(values: Mapping[str, Any]) -> Kernel:
    terms = tuple((tuple(column), tuple(row)) for column, row in values["terms"])
    return PointSpread(values["name"], terms)


@dataclass(frozen=True)
class Calibrated:
    """A calibration, and the samples it was made on: a small image need not be begun again."""

    calibration: Calibration
    samples: dict[Box, Sample]
