"""Colour scales: from values to colours and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmsr.pictures import colour, round_ticks

TARGET_COLOURS, WEIGHT_COLOURS, RESIDUAL_COLOURS = "inferno", "cividis", "PuOr"
ERROR_COLOURS = "viridis"
"""Legible to the colour-blind: brightness shows the value, or its distance from zero."""

LEVELS = 255
"""Colours of a scale; the 256th of a picture's palette marks holes."""

_CLIP = 0.5
"""Share of the values at either end that may lie beyond the scale, in percent."""

_FENCE = 4.0

Values = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Scale:
    """Colours for values from ``low`` to ``high``, in ``unit``.

    Attributes
    ----------
    low, high : float
        Values of the first and the last colour; ``low < high``.
    unit : str
        "" if unknown.
    colour_map : str
        One of matplotlib's.
    """

    low: float
    high: float
    unit: str
    colour_map: str

    @classmethod
    def of(cls, values: Values, unit: str, colour_map: str) -> Scale:
        """Return the scale of values without their extremes and outliers.

        Outliers lie further than `_FENCE` interquartile ranges from the middle half, as a cold sky
        over a street; the street keeps the colours.
        """
        seen = values[np.isfinite(values)]
        if not seen.size:
            return cls(0.0, 1.0, unit, colour_map)
        low, first, third, high = np.percentile(seen, [_CLIP, 25, 75, 100 - _CLIP])
        with np.errstate(over="ignore"):
            fence = _FENCE * (third - first) if third > first else np.inf
            low, high = float(max(low, first - fence)), float(min(high, third + fence))
        return cls(low, _above(low, high), unit, colour_map)

    @classmethod
    def around_zero(cls, values: Values, unit: str, colour_map: str) -> Scale:
        """Return the scale of values that is symmetric about zero."""
        seen = np.abs(values[np.isfinite(values)])
        high = float(np.percentile(seen, 100 - _CLIP)) if seen.size else 1.0
        high = high if high > 0 else 1.0
        return cls(-high, high, unit, colour_map)

    @classmethod
    def above_zero(cls, values: Values, unit: str, colour_map: str) -> Scale:
        """Return the scale of values that are not negative, from zero on."""
        high = cls.around_zero(values, unit, colour_map).high
        return cls(0.0, high, unit, colour_map)

    @property
    def palette(self) -> npt.NDArray[np.uint8]:
        """The colours, (`LEVELS`, 3), sRGB."""
        ramp = np.linspace(0, 1, LEVELS)[None]
        return np.asarray(colour(ramp, 0, 1, self.colour_map)[0])

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Round values: position on the scale, 0 to 100 %, and text."""
        span = self.high - self.low
        return [
            (100 * (value - self.low) / span, text)
            for value, text in round_ticks(self.low, self.high, 5)
        ]

    @property
    def gradient(self) -> str:
        """The colours as stops of a CSS gradient."""
        return ", ".join("rgb({} {} {})".format(*rgb) for rgb in self.palette[::14])

    @property
    def digits(self) -> int:
        """Significant decimals of a value read off a picture."""
        return max(0, int(np.ceil(-np.log10((self.high - self.low) / LEVELS))))

    def levels(self, values: Values) -> npt.NDArray[np.uint8]:
        """Return the index of each value's colour; `LEVELS` for NaN and infinities."""
        share = (values - self.low) / (self.high - self.low)
        level = np.rint(np.clip(np.nan_to_num(share), 0, 1) * (LEVELS - 1))
        return np.asarray(np.where(np.isfinite(values), level, LEVELS), np.uint8)


def _above(low: float, high: float) -> float:
    """Return the end of a scale, above its start even if all values are equal."""
    least = max(abs(low), 1.0) * 1e-6
    return high if high - low > least else low + max(1.0, abs(low) * 1e-3)
