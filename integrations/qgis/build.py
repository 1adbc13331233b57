"""Describe the options of cmsr for the QGIS plugin, and pack the plugin as a zip.

python integrations/qgis/build.py      # writes parameters.json and dist/cmsr_qgis-VERSION.zip
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cmsr import __version__
from cmsr.app import options
from cmsr.app.arguments import Command, Option, options_of
from cmsr.app.batch.command import Batch
from cmsr.app.pair_commands import Align, Upscale
from cmsr.config import Config

PLUGIN = Path(__file__).parent / "cmsr_qgis"
DIST = Path(__file__).parents[2] / "dist"

COMMANDS: dict[str, type[Command]] = {"upscale": Upscale, "align": Align, "batch": Batch}

RESULTS: dict[type[Command], str] = {
    Upscale: "Sharpened image", Align: "Placed photo", Batch: "Folder for the results",
}  # fmt: skip
"""What `-o` of each command names; the layer in QGIS is called so."""

LABELS = {"guide": "Photo", "pairs": "Folder of images", "json": "Record of the run"}
"""Labels of those whose names say too little."""

LEFT_OUT = ("quiet", "axis", "guide_axis", "dry_run", "pairs_out", "colour_map", "preview_range")
"""Options without a use in QGIS: for arrays, for the terminal, and for a picture's colours."""

REPLACES = ("upscale", "align")
"""Commands that may replace files: QGIS has asked before; a folder is never cleared that way."""

ENDINGS = {"report": "html", "preview": "png", "json": "json", "points_out": "csv"}
"""Endings of what is written besides; all else is an image on the map."""

RASTERS = ("target", "guide")
FOLDERS = ("pairs",)

LARGEST = 2**31 - 1
"""Largest whole number that a field of QGIS holds."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every file in the zip, so that the same files give the same bytes."""


def parameters() -> dict[str, list[dict[str, Any]]]:
    """Return the parameters of each command, in the order of its help."""
    return {
        name: [
            _described(option, command)
            for option in options_of(command)
            if option.name not in LEFT_OUT and not (name in REPLACES and option.name == "overwrite")
        ]
        for name, command in COMMANDS.items()
    }


def _described(option: Option, command: type[Command]) -> dict[str, Any]:
    """Return one parameter: what it is, and how it stands on the command line."""
    kind = _kind(option, command)
    about: dict[str, Any] = {
        "name": option.name,
        "kind": kind,
        "label": RESULTS[command] if option.name == "out" else _label(option, kind),
        "help": option.help,
        "flag": "" if option.about.positional else option.flag,
        "group": option.about.group,
    }
    if option.required or option.name == "preset":
        about["required"] = True
    if kind in ("choice", "flag"):
        about["default"] = option.default
    if kind == "choice":
        about["choices"] = list(get_args(options.kinds(option.name, option.of)[0]))
    if kind == "text" and len(option.placeholders) > 1:
        about["words"] = len(option.placeholders)
    if kind == "output" and not (command is Batch and option.name == "out"):
        about["ending"] = ENDINGS.get(option.name, "tif")
    if kind in ("integer", "number"):
        about |= _range(option)
    return about


def _kind(option: Option, command: type[Command]) -> str:
    """Return what an option takes, in the words of the plugin's `parameters.py`."""
    types = options.kinds(option.name, option.of)
    if option.name in RASTERS:
        return "raster"
    if option.name in FOLDERS:
        return "folder"
    if option.name == "out" or (types[0] is Path and option.help.startswith("Also write")):
        return "output"
    if get_origin(types[0]) is Literal:
        return "choice"
    if types[0] is bool:
        return "flag"
    if types[0] is Path or option.placeholders == ["FILE"]:
        return "file"
    plain = {int: "integer", float: "number"}
    return plain.get(types[0], "text") if len(types) == 1 else "text"


def _label(option: Option, kind: str) -> str:
    """Return what stands beside the field, with what the command line says of its value."""
    label = LABELS.get(option.name) or option.flag.strip("-").replace("-", " ").capitalize()
    return f"{label} ({' '.join(option.placeholders)})" if kind == "text" else label


def _range(option: Option) -> dict[str, Any]:
    """Return the least and the largest value, where there are any that QGIS can hold."""
    fields = {field.name: field for field in dataclasses.fields(Config)}
    bounds = fields[option.name].metadata.get("range") if option.of is Config else None
    if bounds is None:
        return {"minimum": 0}
    low, high = bounds
    return {"minimum": low} | ({"maximum": high} if high <= LARGEST else {})


def write_parameters(path: Path = PLUGIN / "parameters.json") -> None:
    """Write `parameters` where the plugin reads them."""
    text = json.dumps(parameters(), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_zip(folder: Path = DIST) -> Path:
    """Pack the plugin, with the version of cmsr; return the zip's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{PLUGIN.name}-{__version__}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(PLUGIN.iterdir()):
            if not file.is_file():
                continue
            content = file.read_bytes()
            if file.name == "metadata.txt":
                content = content.replace(b"version=dev", f"version={__version__}".encode())
            archive.writestr(zipfile.ZipInfo(f"{PLUGIN.name}/{file.name}", EPOCH), content)
    return path


if __name__ == "__main__":
    write_parameters()
    print(write_zip())
