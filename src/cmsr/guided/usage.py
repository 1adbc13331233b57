"""How far a guide was used, and why no further, in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from cmsr.guided.calibration import ChannelCalibration
from cmsr.registration.alignment import Alignment
from cmsr.result import NEARLY as NEARLY

LARGE = 0.5
"""Share of the image that is worth a warning when the guide is not used in it."""


@dataclass(frozen=True)
class GuideUsage:
    """How far a guide counted in the rows of a result so far.

    Attributes
    ----------
    pixels : int
        Of the rows.
    weight : float
        Sum of the guide's weight over them.
    unused : int
        How many have less than `NEARLY`.
    """

    pixels: int = 0
    weight: float = 0.0
    unused: int = 0

    def adding(self, weight: Tensor) -> GuideUsage:
        """Return the same with more rows (n, W)."""
        return replace(
            self,
            pixels=self.pixels + weight.numel(),
            weight=self.weight + float(weight.double().sum()),
            unused=self.unused + int((weight < NEARLY).sum()),
        )

    @property
    def mean(self) -> float:
        """Mean weight, 0 to 1."""
        return self.weight / max(1, self.pixels)

    def facts(
        self, alignment: Alignment | None, channels: tuple[ChannelCalibration, ...]
    ) -> dict[str, Any]:
        """Return the mean weight, the share of the image without the guide, and the reason."""
        return {
            "weight": self.mean,
            "unused": self.unused / max(1, self.pixels),
            "reason": self._reason(alignment, channels),
        }

    def warning(
        self, alignment: Alignment | None, channels: tuple[ChannelCalibration, ...]
    ) -> str | None:
        """Return a line where the guide was hardly used in the image or in a large part of it."""
        if self.pixels == 0 or (alignment is not None and alignment.refused):
            return None
        unused, reason = self.unused / self.pixels, self._reason(alignment, channels)
        if self.mean < NEARLY:
            return (
                f"the guide counts for {self.mean:.0%}: this is the result without it, because "
                f"{reason}"
            )
        if unused > LARGE:
            return f"the guide is not used in {unused:.0%} of the image: {reason}"
        return None

    def _reason(self, alignment: Alignment | None, channels: tuple[ChannelCalibration, ...]) -> str:
        if alignment is not None and alignment.refused:
            return f"it seems to show another scene (confidence {alignment.confidence:.2f})"
        if self.mean < NEARLY and alignment is not None and alignment.warnings:
            return f"it could not be placed ({alignment.warnings[-1]})"
        if channels and (self.mean < NEARLY or self.unused > LARGE * self.pixels):
            best = max(channels, key=lambda channel: channel.gain - channel.control)
            return (
                f"held-out pixels of the target are predicted {_decibels(best.gain)} with it, "
                f"{_decibels(best.control)} when it is displaced on purpose"
            )
        if channels and not any(channel.guided for channel in channels):
            return "its edges coincide with the target's"
        return "held-out pixels of the target confirm it"


def _decibels(gain: float) -> str:
    """Write a gain in words.

    >>> _decibels(0.3), _decibels(-3.25)
    ('0.3 dB better', '3.2 dB worse')
    """
    return f"{abs(gain):.1f} dB {'better' if gain >= 0 else 'worse'}"
