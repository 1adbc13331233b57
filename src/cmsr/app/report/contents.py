"""The contents of a report: pictures, charts and facts of a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.app.record import ratio_text
from cmsr.app.report.chart import Arrows, Chart, arrows, histogram, kernel_chart, training_chart
from cmsr.app.report.compared import Compared, compared
from cmsr.app.report.image import Picture, painted, photo
from cmsr.app.report.names import plain_text
from cmsr.app.report.residual import Residual
from cmsr.app.report.scale import ERROR_COLOURS, RESIDUAL_COLOURS, WEIGHT_COLOURS, Scale
from cmsr.app.report.segmented import segmented
from cmsr.app.report.share import Share
from cmsr.app.summary import error_text
from cmsr.result import Evidence, Result

ERROR_STEPS = 200
"""Steps of an expected error from 0 to the end of its colours: two digits are all that counts."""

ERROR_BUDGET = 500_000
"""Most bytes that it may take in a page."""


@dataclass(frozen=True)
class Contents:
    """The parts of a page; those that are None are left out.

    Attributes
    ----------
    compared : Compared
    guide, moved, weight, residual : Picture or None
        The guide as given and as used, its weight, and the residual, input − reduced result.
    residual_facts : Residual
    residual_histogram, kernel : Chart
    error : Picture or None
        Expected absolute error of the result; None where nobody knows.
    share : Share or None
        How far the photo was used; None without one.
    training : list of Chart
        Empty if nothing was trained.
    displacement : Arrows or None
        Displacement of the guide, if it has one transform.
    segments : Picture or None
        Displacement of the guide's segments, if each has its own transform.
    facts : list of (name, value)
        Summary of the run, in words and figures with units.
    warnings, notes : list of str
    """

    compared: Compared
    guide: Picture | None
    moved: Picture | None
    weight: Picture | None
    residual: Picture
    error: Picture | None
    share: Share | None
    residual_facts: Residual
    residual_histogram: Chart
    kernel: Chart
    training: list[Chart]
    displacement: Arrows | None
    segments: Picture | None
    facts: list[tuple[str, str]]
    warnings: list[str]
    notes: list[str]

    @property
    def layers(self) -> dict[str, Picture | None]:
        """Pictures of values by the names that the page's script has for them."""
        return {
            "input": self.compared.before,
            "result": self.compared.after,
            "weight": self.weight,
            "error": self.error,
            "residual": self.residual,
        }

    @property
    def shown(self) -> list[tuple[str, str]]:
        """Layers and photos of the viewer, and their titles."""
        offered = {
            "input": (self.compared.before, "input"),
            "result": (self.compared.after, "result"),
            "photo-used": (self.moved, "photo as used"),
            "photo-given": (self.guide, "photo as given"),
            "weight": (self.weight, "guide weight"),
            "error": (self.error, "expected error"),
        }
        return [(name, text) for name, (picture, text) in offered.items() if picture]


def contents_of(result: Result) -> Contents:
    """Return the contents of the report on a result."""
    evidence = evidence_of(result)
    target = evidence.target
    factor, _, unit = target.unit()
    residual = evidence.residual[0] * abs(factor)
    colours = Scale.around_zero(residual, unit, RESIDUAL_COLOURS)
    rounding = 12**-0.5 * abs(factor) if np.issubdtype(target.data.dtype, np.integer) else 0.0
    title = f"input − reduced result, {unit or 'in the units of the file'}"
    alignment = evidence.alignment
    segments = segmented(alignment) if alignment else None
    return Contents(
        compared=compared(target, result.image, result.valid),
        guide=_photo(evidence.guide),
        moved=_photo(result.warped_guide),
        weight=_weight(result),
        residual=painted(residual, colours),
        error=_error(result, unit),
        share=Share.of(result.info),
        residual_facts=Residual.of(residual, result.info["noise"][0] * abs(factor), rounding),
        residual_histogram=histogram(residual, 1.2 * colours.high, title),
        kernel=kernel_chart(evidence.kernel, result.info["ratio"]),
        training=[
            training_chart(name, result.history[key])
            for key, name in (("loss", "loss (L1)"), ("rate", "learning rate"))
            if result.history.get(key)
        ],
        displacement=arrows(alignment) if alignment and alignment.stages and not segments else None,
        segments=segments,
        facts=facts(result.info, unit, abs(factor)),
        warnings=[plain_text(text, target.name) for text in result.info["warnings"]],
        notes=[plain_text(text, target.name) for text in result.info["notes"]],
    )


def facts(info: dict[str, Any], unit: str, factor: float) -> list[tuple[str, str]]:
    """Return the summary of a run, in words and figures with units."""
    ratio = ratio_text(*info["ratio"])
    noise = ", ".join(f"{factor * level:.3g}" for level in info["noise"]) + f" {unit}"
    prior = info["prior"]
    learned = [("Learned prior", f"{prior}, trained on other images")] if prior else []
    return [
        ("Size of the result", f"{info['size'][1]} × {info['size'][0]} pixels"),
        ("Ratio", f"{ratio} (vertical × horizontal)" if "×" in ratio else ratio),
        ("Imaging kernel", f"{info['kernel']}, confidence {info['kernel_confidence']:.2f}"),
        ("Noise of the input, σ", noise if any(info["noise"]) else "none found"),
        ("Photo", _alignment_in_words(info["alignment"])),
        ("Share of the photo in the result", f"{100 * info['guide_weight']:.0f} %"),
        ("Expected error, mean", error_text(info["expected_error"]) or "not known"),
        *learned,
        ("Preset and seed", f"{info['preset']}, {info['seed']}"),
        ("Computed", f"in {info['seconds']:.1f} s on {info['device']}"),
    ]


def evidence_of(result: Result) -> Evidence:
    """Return a result's input and residual.

    Raises
    ------
    ValueError
        If it has none.
    """
    if result.evidence is None:
        raise ValueError("the result carries no evidence")
    return result.evidence


def _weight(result: Result) -> Picture | None:
    """Paint the weight of a guide, if there is one."""
    if result.warped_guide is None:
        return None
    return painted(result.guide_weight, Scale(0, 1, "", WEIGHT_COLOURS), quantum=0.01)


def _error(result: Result, unit: str) -> Picture | None:
    """Paint the expected error of the first channel, if it is known."""
    if result.error is None:
        return None
    error = (result.error if result.error.ndim == 2 else result.error[..., 0]).astype(np.float64)
    scale = Scale.above_zero(error, unit, ERROR_COLOURS)
    return painted(error, scale, quantum=scale.high / ERROR_STEPS, budget=ERROR_BUDGET)


def _photo(guide: npt.NDArray[np.float32] | None) -> Picture | None:
    return None if guide is None else photo(guide)


def _alignment_in_words(found: dict[str, Any] | None) -> str:
    if found is None:
        return "none"
    if found["refused"]:
        return "not used: it seems to show another scene"
    if not found["stages"]:
        return "not moved"
    names = {"affine": "affine map", "cpab": "CPAB warp", "thinplate": "thin-plate spline",
             "freeform": "free-form deformation", "segments": "a transform a segment"}  # fmt: skip
    warps = ", ".join(names.get(stage["warp"], stage["warp"]) for stage in found["stages"])
    return (
        f"moved by {found['median_displacement']:.2f} px (median), "
        f"at most {found['largest_displacement']:.2f} px ({warps})"
    )
