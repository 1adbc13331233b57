"""The seed paper's questions as lists of methods: which p, and how much alignment."""

from __future__ import annotations

from typing import Literal, get_args

from cmsr.config import Align

Ablation = Literal["p", "align"]

P_VALUES = tuple(step / 10 for step in range(11))
"""Shares of the upsampling-based scheme; the guide stays where it is, so only p differs."""

_FREEDOM = ("off", "affine", "cpab")
"""Choices of ``align`` from none upward; the others follow, auto last."""


def methods_of(ablation: Ablation) -> list[str]:
    """Return what an ablation compares, as `cmsr.bench.variants.Variant.of` reads it."""
    if ablation == "p":
        return [f"cmsr-paper:align=off:p={p:g}" for p in P_VALUES]
    others = [choice for choice in get_args(Align) if choice not in (*_FREEDOM, "auto")]
    choices = (*_FREEDOM, *others, "auto")
    return [f"{method}:align={choice}" for method in ("cmsr-paper", "cmsr") for choice in choices]
