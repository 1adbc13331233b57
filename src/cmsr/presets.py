"""The presets: what each sets differently from the options' defaults."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "fast": {"solver_iterations": 12, "denoising_rounds": 8, "align": "affine"},
    "paper": {"method": "two-branch"},
    "paper-plus": {
        "method": "two-branch", "p": "auto", "guide_rate": 10.0,
        "warps": "found",
    },
}  # fmt: skip

PRESETS_OF = {"two-branch": "paper or paper-plus", "closed-form": "default or fast"}
"""Presets of each method, for messages."""
