"""The form: one field for each option of `Config`, as one argument on the command line."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import gradio as gr
from docstring_parser import parse_from_object

from cmsr.app import options
from cmsr.app.web import texts
from cmsr.config import Config
from cmsr.errors import OptionError
from cmsr.io.colour_map import boxes_of
from cmsr.presets import PRESETS
from cmsr.registration.points import COLUMNS
from cmsr.sensor.kernel_file import is_kernel_file

SERVER = ("device", "max_pixels", "max_memory")
"""Options that belong to the server."""

FILES = ("segments",)
"""Options that name a file, which would be one of the server's."""

INFO = {
    "preset": "default: the best result; fast: about half the time; paper: the published network, "
    "trained on this pair; paper-plus: the same with changes of our own.",
    "ratio": "Enlargement; if empty, the result is as fine as the photo.",
    "points": "Click the same place in the image and in the photo above, or type: two or more "
    "lines of target_x,target_y,photo_x,photo_y in pixels.",
    "rig": "Where the photos of these two cameras show the target, as cmsr rig found it: the file "
    "above, or its content. auto without one.",
    "kernel": "How the sensor blurred and sampled the scene: auto, bicubic, bilinear, box, nearest "
    "or gaussian:SIGMA.",
    "prior": "none; or learned: a network that was trained on photographs takes part, the one "
    "thing here that was not learned from this pair.",
}
"""The page's description of an option where that of the command line does not fit."""


def groups() -> dict[str, list[str]]:
    """Return the form's options in the groups of the command line; the first has no name."""
    hidden = (*SERVER, *FILES)
    found = {group: [name for name in every if name not in hidden]
             for group, every in options.GROUPS.items()}  # fmt: skip
    grouped = [name for every in options.GROUPS.values() for name in every]
    others = [option.name for option in dataclasses.fields(Config) if option.name not in grouped]
    found["method"] = [*found["method"], *(name for name in others if name not in hidden)]
    return {group: every for group, every in found.items() if every}


def names() -> list[str]:
    """Return the form's options, group by group."""
    return [name for every in groups().values() for name in every]


def field(name: str) -> Any:
    """Return the gradio component for an option."""
    meaning = {p.arg_name: p.description for p in parse_from_object(Config).params}
    about: dict[str, Any] = {
        "label": name.replace("_", " ").capitalize(),
        "info": INFO.get(name) or _sentence(meaning[name] or ""),
        "value": _shown(name, Config()),
        "elem_id": f"option-{name}",
    }
    kind = options.kinds(name)[0]
    if get_origin(kind) is Literal:
        return gr.Dropdown(list(get_args(kind)), **about)
    if kind is bool:
        return gr.Checkbox(**about)
    if name == "points":
        return gr.Textbox(**about, lines=3, placeholder=",".join(COLUMNS))
    if name == "rig":
        return gr.Textbox(**about, max_lines=3)
    # numbers are text, too: a browser's own numbers know no absence, and round large seeds
    return gr.Textbox(**about)


def _sentence(text: str) -> str:
    """Return the first part of an explanation, which the command line gives whole.

    >>> _sentence("Seed of all random numbers; the same seed gives the same bytes.")
    'Seed of all random numbers.'
    """
    return re.split(r"[.;:] ", " ".join(text.split()), maxsplit=1)[0].rstrip(".") + "."


def usual() -> dict[str, dict[str, Any]]:
    """Return what each preset puts into each field."""
    return {p: {n: _shown(n, Config.of(p)) for n in names() if n != "preset"} for p in PRESETS}


def from_query(query: Mapping[str, str]) -> list[Any]:
    """Return the values of all fields that a URL asks for, the preset's for all others."""
    preset = query.get("preset", "default")
    preset = preset if preset in PRESETS else "default"
    values = {"preset": preset, **usual()[preset]}
    for name in names():
        if name in query and name != "preset":
            boolean = isinstance(values[name], bool)
            values[name] = query[name] == "true" if boolean else query[name]
    return [values[name] for name in names()]


def preset_names() -> list[str]:
    """Return the options that presets set."""
    return [name for name in names() if any(name in preset for preset in PRESETS.values())]


def preset_values(preset: str) -> list[Any]:
    """Return the values of a preset's fields, in the order of `preset_names`."""
    config = Config.of(preset)
    return [_shown(name, config) for name in preset_names()]


def config_of(values: Mapping[str, Any], **limits: Any) -> Config:
    """Return the options of a form, or of a script; empty fields have the preset's values.

    Raises
    ------
    OptionError
        If a value is wrong, or the option is the server's or names a file there.
    """
    if forbidden := sorted(values.keys() - set(names())):
        raise OptionError(f"this page has no option called {', '.join(forbidden)}")
    filled = {name: value for name, value in values.items() if value is not None and value != ""}
    given = {name: options.parse(name, value) for name, value in filled.items()}
    if "points" in given:
        given["points"] = texts.points(given["points"])
    if is_kernel_file(str(given.get("kernel", "auto"))):
        raise OptionError(f"kernel is {given['kernel']!r}; this page takes a kernel's name only")
    if str(given.get("prior", "none")) not in ("none", "learned"):
        raise OptionError(f"prior is {given['prior']!r}; this page takes none or learned only")
    if given.get("ignore") and boxes_of(str(given["ignore"])) is None:
        raise OptionError("ignore must be x,y,w,h; this page takes no mask file")
    if "rig" in given:
        given["rig"] = texts.rig(given["rig"])
    return Config.of(given.pop("preset", "default"), **given, **limits)


def _shown(name: str, config: Config) -> Any:
    """Return the value of an option's field: text, or whether a box is ticked."""
    value = getattr(config, name)
    return value if isinstance(value, bool) else options.text(value)
