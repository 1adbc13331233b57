"""From values to colours and back: the scale that stands beside every picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmsr.pictures import colour, round_ticks

TARGET_COLOURS, WEIGHT_COLOURS, RESIDUAL_COLOURS = "inferno", "cividis", "PuOr"
"""Readable to the colour-blind: brightness tells the value, or how far it is from zero."""

LEVELS = 255
"""Colours of a scale; the 256th of a picture's palette marks holes."""

_CLIP = 0.5
"""Percent of the values at either end that may lie beyond the scale."""

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
        "" where nothing is known of it.
    colour_map : str
        One of matplotlib's.
    """

    low: float
    high: float
    unit: str
    colour_map: str

    @classmethod
    def of(cls, values: Values, unit: str, colour_map: str) -> Scale:
        """Span what matters of values: without the last of either end, or what lies far out.

        Far out is what is further than `_FENCE` interquartile ranges from the middle half, as a
        cold sky over a street: the street keeps the colours.
        """
        seen = values[np.isfinite(values)]
        if not seen.size:
            return cls(0.0, 1.0, unit, colour_map)
        low, first, third, high = np.percentile(seen, [_CLIP, 25, 75, 100 - _CLIP])
        fence = _FENCE * (third - first) if third > first else np.inf
        low, high = float(max(low, first - fence)), float(min(high, third + fence))
        return cls(low, _above(low, high), unit, colour_map)

    @classmethod
    def around_zero(cls, values: Values, unit: str, colour_map: str) -> Scale:
        """Span values evenly to both sides of zero."""
        seen = np.abs(values[np.isfinite(values)])
        high = float(np.percentile(seen, 100 - _CLIP)) if seen.size else 1.0
        high = high if high > 0 else 1.0
        return cls(-high, high, unit, colour_map)

    @property
    def palette(self) -> npt.NDArray[np.uint8]:
        """The colours, (`LEVELS`, 3), sRGB."""
        ramp = np.linspace(0, 1, LEVELS)[None]
        return np.asarray(colour(ramp, 0, 1, self.colour_map)[0])

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Round values: where on the scale they lie, 0 to 100 %, and how they are written."""
        span = self.high - self.low
        return [
            (100 * (value - self.low) / span, text)
            for value, text in round_ticks(self.low, self.high, 5)
        ]

    @property
    def gradient(self) -> str:
        """The colours, in CSS."""
        return ", ".join("rgb({} {} {})".format(*rgb) for rgb in self.palette[::14])

    @property
    def digits(self) -> int:
        """Decimals that a value read off a picture is worth."""
        return max(0, int(np.ceil(-np.log10((self.high - self.low) / LEVELS))))

    def levels(self, values: Values) -> npt.NDArray[np.uint8]:
        """Return the number of each value's colour; `LEVELS` where there is none."""
        share = (values - self.low) / (self.high - self.low)
        level = np.rint(np.clip(np.nan_to_num(share), 0, 1) * (LEVELS - 1))
        return np.asarray(np.where(np.isfinite(values), level, LEVELS), np.uint8)


def _above(low: float, high: float) -> float:
    """Keep the ends of a scale apart where all values are one."""
    least = max(abs(low), 1.0) * 1e-6
    return high if high - low > least else low + max(1.0, abs(low) * 1e-3)
