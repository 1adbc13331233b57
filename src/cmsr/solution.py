"""What every method gives back."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from cmsr.guided.held_out import Finding
from cmsr.registration.alignment import Alignment


@dataclass(frozen=True)
class Solution:
    """A sharpened target and how the guide was used.

    Attributes
    ----------
    image : Tensor, shape (1, C, H, W)
        Normalised as the pair's target is.
    guide_weight : Tensor, shape (H, W)
        How far the guide was trusted, 0 to 1.
    guide : Tensor, shape (1, G, H, W), or None
        The guide as it was used, moved where it was moved.
    alignment : Alignment or None
        Where the guide was found; None without one.
    history : dict of lists
        Loss and learning rate at each training step, where there was training.
    findings : tuple of Finding
        What was found out about each channel with the guide; empty where no guide was tried so.
    """

    image: Tensor
    guide_weight: Tensor
    guide: Tensor | None = None
    alignment: Alignment | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
