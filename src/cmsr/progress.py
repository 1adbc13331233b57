"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int, float], None]
"""Told the stage, the step, the number of steps and the loss."""
