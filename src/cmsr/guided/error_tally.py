"""The expected errors of a whole result, counted while its rows are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class ErrorTally:
    """Mean and largest expected error of each channel of the rows so far."""

    def __init__(self) -> None:
        self._sum = self._count = self._most = np.zeros(0)

    def add(self, error: npt.NDArray[np.float32] | None) -> None:
        """Add rows (C, n, W), NaN where there is no value; None where nobody knows."""
        if error is None:
            return
        values, seen = np.nan_to_num(error.astype(np.float64)), np.isfinite(error)
        if not len(self._sum):
            self._sum = self._count = self._most = np.zeros(len(error))
        self._sum = self._sum + values.sum((1, 2))
        self._count = self._count + seen.sum((1, 2))
        self._most = np.maximum(self._most, values.max((1, 2), initial=0))

    def facts(self, unit: str) -> dict[str, Any] | None:
        """Return mean and largest by channel, and their unit; None where nobody knows."""
        if not self._count.any():
            return None
        mean = self._sum / np.maximum(self._count, 1)
        return {"mean": mean.tolist(), "largest": self._most.tolist(), "unit": unit}
