"""The time left of a run: from its own progress if known, else from earlier runs."""

from __future__ import annotations

from cmsr.config import Config

SECONDS_PER_MEGAPIXEL = {"default": 60.0, "fast": 45.0, "paper": 600.0, "paper-plus": 900.0}
"""Expected speed of a preset before the first run on this machine."""


class Estimate:
    """Estimate of the seconds left, learned from finished runs."""

    def __init__(self) -> None:
        self._rates = dict(SECONDS_PER_MEGAPIXEL)

    def left(self, config: Config, pixels: int, elapsed: float, share: float = 0.0) -> float:
        """Return the seconds left; ``share`` is the known part of the work done, or 0."""
        if share > 0.02:
            return elapsed * (1 - share) / share
        return max(0.0, self._rates[config.preset] * pixels / 1e6 - elapsed)

    def learn(self, config: Config, pixels: int, seconds: float) -> None:
        """Update the speed of a preset with a finished run."""
        self._rates[config.preset] = seconds * 1e6 / max(pixels, 1)
