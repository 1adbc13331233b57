"""The ablation over alignment as a list of methods; see `cmsr_bench.alternation` for p."""

from __future__ import annotations

FREEDOM = ("off", "affine", "cpab", "auto")
"""Values of ``align``, each with a family of warps more than the one before; the last adds
thin-plate splines in `cmsr-paper` and a free-form deformation in `cmsr`."""


def aligned_methods() -> list[str]:
    """Return the methods of the ablation, as `cmsr_bench.variants.Variant.of` reads them.

    >>> aligned_methods()[:2]
    ['bicubic', 'cmsr:align=off']
    """
    aligned = [f"{method}:align={align}" for method in ("cmsr", "cmsr-paper") for align in FREEDOM]
    return ["bicubic", *aligned]
