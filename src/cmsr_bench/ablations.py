"""The seed paper's questions as lists of methods: which p, and how much alignment."""

from __future__ import annotations

from typing import Literal

Ablation = Literal["p", "align"]

P_VALUES = tuple(step / 10 for step in range(11))
"""Shares of the upsampling-based scheme; the guide stays where it is, so only p differs."""

FREEDOM = ("off", "affine", "cpab", "auto")
"""Choices of ``align`` from none upward: each adds a warp, the last thin-plate splines in
`cmsr-paper` and a free-form deformation in `cmsr`."""


def methods_of(ablation: Ablation) -> list[str]:
    """Return what an ablation compares, as `cmsr_bench.variants.Variant.of` reads it."""
    if ablation == "p":
        return [f"cmsr-paper:align=off:p={p:g}" for p in P_VALUES]
    aligned = [f"{method}:align={align}" for method in ("cmsr", "cmsr-paper") for align in FREEDOM]
    return ["bicubic", *aligned]
