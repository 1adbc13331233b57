"""Ablations of the published method as lists of methods: over p, and over alignment."""

from __future__ import annotations

from typing import Literal

Ablation = Literal["p", "align"]

P_VALUES = tuple(step / 10 for step in range(11))
"""Shares of the upsampling-based scheme, without alignment, so that only p differs."""

FREEDOM = ("off", "affine", "cpab", "auto")
"""Values of ``align``, each with a family of warps more than the one before; the last adds
thin-plate splines in `cmsr-paper` and a free-form deformation in `cmsr`."""


def methods_of(ablation: Ablation) -> list[str]:
    """Return the methods of an ablation, as `cmsr_bench.variants.Variant.of` reads them.

    >>> methods_of("p")[:2]
    ['cmsr-paper:align=off:p=0', 'cmsr-paper:align=off:p=0.1']
    """
    if ablation == "p":
        return [f"cmsr-paper:align=off:p={p:g}" for p in P_VALUES]
    aligned = [f"{method}:align={align}" for method in ("cmsr", "cmsr-paper") for align in FREEDOM]
    return ["bicubic", *aligned]
