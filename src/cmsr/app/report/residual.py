"""Statistics of the residual: its size against noise, and its correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating]

_WITHIN = 1.5
"""Largest residual that noise and rounding explain, in multiples of their size."""

_STRUCTURE = 0.2
"""Correlation of neighbours from which a residual counts as structure of the scene."""


@dataclass(frozen=True)
class Residual:
    """Statistics of a residual, in the data's unit.

    Attributes
    ----------
    rms : float
        Its root mean square.
    expected : float
        Root mean square expected from the target's noise and rounding to whole numbers.
    correlation : float
        Mean correlation of neighbouring pixels: 0 for noise, near 1 for structure of the scene.
    """

    rms: float
    expected: float
    correlation: float

    @classmethod
    def of(cls, values: Values, noise: float, rounding: float) -> Residual:
        """Measure a residual (h, w); NaN marks holes."""
        values = values.astype(np.float64)
        seen = values[np.isfinite(values)]
        unit = max(float(np.abs(seen).max(initial=0)), float(np.finfo(float).tiny))
        rms = unit * float(np.sqrt(np.mean((seen / unit) ** 2))) if seen.size else 0.0
        return cls(rms, float(np.hypot(noise, rounding)), neighbour_correlation(values / unit))

    @property
    def verdict(self) -> str:
        """``good`` or ``doubtful``, as the page shows it."""
        noise = self.rms <= _WITHIN * self.expected or abs(self.correlation) < _STRUCTURE
        return "good" if noise else "doubtful"

    @property
    def conclusion(self) -> str:
        """The interpretation, in a sentence."""
        if self.rms <= _WITHIN * self.expected:
            return "The reduced result equals the input within noise and rounding."
        if abs(self.correlation) < _STRUCTURE:
            return "The residual is larger than the estimated noise, but looks like noise."
        return (
            "The residual is larger than the estimated noise and shows the scene: neighbouring "
            f"pixels correlate by {self.correlation:.2f}."
        )


def neighbour_correlation(values: Values) -> float:
    """Return the mean correlation of pixels (h, w) with their right and lower neighbours."""
    found = []
    for a, b in ((values[:, 1:], values[:, :-1]), (values[1:], values[:-1])):
        both = np.isfinite(a) & np.isfinite(b)
        if both.sum() > 2 and a[both].std() > 0 and b[both].std() > 0:
            found.append(float(np.corrcoef(a[both], b[both])[0, 1]))
    return float(np.mean(found)) if found else 0.0
