"""Whether what is left between input and result looks like noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating]

_WITHIN = 1.5
"""Residuals up to so many times what is expected count as expected."""


@dataclass(frozen=True)
class Residual:
    """How a residual measures up; all values in the data's unit.

    Attributes
    ----------
    rms : float
        Its root mean square.
    expected : float
        Noise found in the target and what rounding to whole numbers adds, root of the sum of
        squares.
    likeness : float
        Correlation of horizontal and vertical neighbours: 0 for noise, towards 1 for what shows
        the scene.
    """

    rms: float
    expected: float
    likeness: float

    @classmethod
    def of(cls, values: Values, noise: float, rounding: float) -> Residual:
        """Measure a residual (h, w); NaN marks holes."""
        seen = values[np.isfinite(values)]
        rms = float(np.sqrt(np.mean(seen**2))) if seen.size else 0.0
        return cls(rms, float(np.hypot(noise, rounding)), neighbour_correlation(values))

    @property
    def verdict(self) -> str:
        """What that means, in a sentence."""
        if self.rms <= _WITHIN * self.expected:
            return "The result, reduced again, is the input as closely as noise and rounding allow."
        if abs(self.likeness) < 0.2:
            return "What the result leaves unexplained of the input looks like noise."
        return (
            "What the result leaves unexplained is larger than the noise found, and shows the "
            f"scene: neighbours correlate by {self.likeness:.2f}."
        )


def neighbour_correlation(values: Values) -> float:
    """Return the mean correlation of pixels (h, w) with those to the right and below."""
    found = []
    for a, b in ((values[:, 1:], values[:, :-1]), (values[1:], values[:-1])):
        both = np.isfinite(a) & np.isfinite(b)
        if both.sum() > 2 and a[both].std() > 0 and b[both].std() > 0:
            found.append(float(np.corrcoef(a[both], b[both])[0, 1]))
    return float(np.mean(found)) if found else 0.0
