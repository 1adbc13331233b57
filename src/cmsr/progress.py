"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int, float], None]
"""Told the stage, the step, the number of steps and the loss, which is 0 outside of training."""

READING, PLACING, KERNEL, ALIGNING, VALIDATING, SOLVING, TRAINING, WRITING = (
    "reading", "placing the photo", "finding the kernel", "aligning the photo", "validating",
    "solving", "training", "writing",
)  # fmt: skip
"""Stages of a run, in the order in which they are begun; a step of `SOLVING` is a tile."""


def begin(progress: Progress | None, stage: str, steps: int = 1) -> None:
    """Tell that a stage begins."""
    if progress:
        progress(stage, 0, steps, 0.0)
