"""The summary after a run: size and time, how far and why the photo was used, what to try next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cmsr.app.progress import duration
from cmsr.app.record import ratio_text
from cmsr.result import NEARLY

DOUBTFUL = 0.5
"""Confidence below which a kernel is worth a hint."""

PLACE = (
    "if the photo shows this scene: --points FILE (two or more corresponding points), "
    "--field-of-view TARGET PHOTO, or --align off if it already covers the target's field"
)

CHANNELS = 4
"""Channels whose expected error is told, at most."""

Rows = list[tuple[str, str]]


def of_run(
    out: Path | str, pages: list[dict[str, Any]], others: Mapping[str, Path | None] | None = None
) -> str:
    """Return the end of a run for people.

    Parameters
    ----------
    out : Path or str
        The result, or its URL.
    pages : list of dict
        `Result.info` of each of its pages.
    others : mapping of str to Path, optional
        What else was written, by what it is; None for what was not.
    """
    info = pages[0]
    height, width = info["size"]
    seconds = sum(page["seconds"] for page in pages)
    took = duration(seconds) if seconds >= 60 else f"{seconds:.1f} s"
    count = f"{len(pages)} pages of " if len(pages) > 1 else ""
    ratio = ratio_text(*info["ratio"])
    rows: Rows = [("photo", photo_text(info))]
    if info["alignment"] and info["alignment"]["stages"]:
        rows.append(("placement", _placement(info["alignment"])))
    sure = info["kernel_confidence"]
    asked = sure is None or sure == 1
    rows.append(("kernel", info["kernel"] + ("" if asked else f", confidence {sure:.0%}")))
    rows += [("p", _chosen_p(info["arms"]))] if info.get("arms") else []
    if error := error_text(info["expected_error"]):
        rows.append(("error", f"expected to be {error} in the mean; {_most(info)}"))
    rows += [("frames", _frames(info["fused"]))] if info.get("fused") else []
    rows += [("prior", f"{prior}, learned from other images")] if (prior := info["prior"]) else []
    rows += [(name, str(path)) for name, path in (others or {}).items() if path]
    rows += [("try next", hint) for hint in hints(info)]
    return _table(f"{out}: {count}{width} × {height} pixels, ratio {ratio}, {took}", rows)


def _frames(fused: Mapping[str, Any]) -> str:
    """Return how many other frames of a series took part, and what they proved."""
    if not (used := fused["used"]):
        return "no other took part; none helped to predict held-out pixels"
    gain = fused["held_out_gain"]
    return f"{len(used)} others took part: held-out pixels are predicted {gain:.1f} dB better"


def of_alignment(out: Path, info: Mapping[str, Any], others: Mapping[str, Path | None]) -> str:
    """Return the end of an alignment for people; see `of_run`."""
    found = info["alignment"]
    rows: Rows = [("placement", _placement(found))]
    rows += [(name, str(path)) for name, path in others.items() if path]
    rows += [("try next", PLACE)] if found["refused"] else []
    return _table(f"{out}: the photo placed on the target, {info['seconds']:.1f} s", rows)


def photo_text(info: Mapping[str, Any]) -> str:
    """Return how far the photo was used and why.

    >>> photo_text({"guide_used": {"weight": 0.34, "unused": 0.1, "reason": "it helps"}})
    'used for 34%; it helps'
    """
    used = info["guide_used"]
    if used is None:
        return "none"
    if used["weight"] < NEARLY:
        return f"used for {used['weight']:.0%}: this is the result without it"
    nowhere = f"; not used in {used['unused']:.0%} of the image" if used["unused"] > 0.2 else ""
    return f"used for {used['weight']:.0%}{nowhere}; {used['reason']}"


def error_text(expected: Mapping[str, Any] | None) -> str:
    """Return the mean expected error of a result's first channels.

    >>> error_text({"mean": [0.1234, 2.0], "largest": [1.0, 9.0], "unit": "°C"}), error_text(None)
    ('±0.12, 2 °C', '')
    """
    return _errors(expected["mean"], expected["unit"]) if expected else ""


def _most(info: Mapping[str, Any]) -> str:
    expected = info["expected_error"]
    return f"{_errors(expected['largest'], expected['unit'])} where it is largest"


def _errors(values: list[float], unit: str) -> str:
    shown = ", ".join(f"{float(f'{value:.2g}'):g}" for value in values[:CHANNELS])
    more = ", …" if len(values) > CHANNELS else ""
    return f"±{shown}{more} {unit}".rstrip()


def hints(info: Mapping[str, Any]) -> list[str]:
    """Return what is worth trying where something about a run is doubtful."""
    found, used, alignment = [], info["guide_used"], info["alignment"]
    if alignment and alignment["refused"]:
        found.append(PLACE)
    elif used is not None and used["weight"] < NEARLY:
        preset = (
            "--preset default, which also bends the photo; " if info["preset"] == "fast" else ""
        )
        found.append(
            f"{preset}a photo from the same place and time, or --points if it is placed wrongly"
        )
    sure = info["kernel_confidence"]
    if sure is not None and sure < DOUBTFUL:
        found.append("--kernel NAME, if you know how the camera samples the scene")
    return found


def _chosen_p(arms: list[dict[str, Any]]) -> str:
    """Return which p was chosen, and how well each predicts held-out pixels."""

    def name(arm: dict[str, Any]) -> str:
        guide = "" if arm["guide_p"] == arm["p"] else f" (guide's branch {arm['guide_p']:g})"
        return f"{arm['p']:g}{guide}"

    best = next(arm for arm in arms if arm["chosen"])
    tried = ", ".join(f"{name(arm)}: {arm['held_out_db']:.2f} dB" for arm in arms)
    return f"{name(best)}; held-out pixels: {tried}"


def of_file(facts: Mapping[str, Any]) -> str:
    """Return what a file holds, from its record, for people."""
    bands = f"{facts['channels']} bands" if facts["channels"] > 1 else "1 band"
    alpha = " and alpha" if facts["alpha"] else ""
    unit = f" {facts['unit']}" if facts["unit"] else ""
    rows: Rows = [("size", f"{facts['size']} pixels, {bands}{alpha}, {facts['type']}")]
    if facts["minimum"] is not None:
        low, high, mean = (f"{facts[name]:.6g}" for name in ("minimum", "maximum", "mean"))
        rows.append(("values", f"{low} to {high}{unit}, mean {mean}"))
    marked = "" if facts["nodata"] is None else f" (marked by {facts['nodata']:g})"
    share = facts["valid_share"]
    holes = "none" if share == 1 else f"{1 - share:.2%} of the pixels{marked}"
    rows += [("holes", holes), ("on the map", facts["crs"] or "no georeference")]
    rows += _camera(facts.get("camera", {}))
    rows += [("note", note.removeprefix(f"{facts['file']}: ")) for note in facts["notes"]]
    return _table(facts["file"], rows)


_MEASURED = {
    "emissivity": "emissivity {:g}",
    "distance_m": "distance {:g} m",
    "reflected_temperature_c": "reflected {:g} °C",
    "atmospheric_temperature_c": "air {:g} °C",
    "humidity": "humidity {:.0%}",
    "window_temperature_c": "window {:g} °C",
    "window_transmission": "window transmission {:g}",
}
"""Parameters of a thermal camera's temperatures, in words."""


def _camera(camera: Mapping[str, Any]) -> Rows:
    """Return who made a thermal image, what its values are computed with, and its photo."""
    if not camera:
        return []
    name = camera["maker"] + (f", {camera['model']}" if camera["model"] else "")
    rows: Rows = [("camera", name)]
    used = [text.format(camera[key]) for key, text in _MEASURED.items() if key in camera]
    if used:
        rows.append(("measured with", ", ".join(used)))
    photo = camera.get("photo")
    return rows + ([("its photo", photo)] if photo else [])


def _placement(found: Mapping[str, Any]) -> str:
    if not found["stages"]:
        return f"not moved{_within(found)}"
    sure = "" if found["confidence"] is None else f", confidence {found['confidence']:.0%}"
    return (
        f"moved by {found['median_displacement']:.1f} of its pixels (median), "
        f"at most {found['largest_displacement']:.1f}{sure}{_within(found)}"
    )


def _within(found: Mapping[str, Any]) -> str:
    """Say how exact a placement is, where somebody has asked."""
    bound = found.get("expected_error")
    if bound is None:
        return ""
    return f"; right within {bound:.2g} pixels, as nine in ten of its kind are"


def _table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join([title, *(f"  {name:14}{text}" for name, text in rows)])
