"""The form: one field for each option of `Config`, as one argument on the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import gradio as gr
from docstring_parser import parse_from_object

from cmsr.app import options
from cmsr.config import PRESETS, Config
from cmsr.errors import OptionError
from cmsr.sensor.kernel_file import is_kernel_file

FIRST = ("preset", "seed", "kernel", "align", "ratio")
"""Options that are always visible; the others are folded away."""

SERVER = ("device", "max_pixels", "max_memory")
"""Options that belong to the server."""

FILES = ("segments",)
"""Options that name a file, which would be one of the server's."""


def names() -> list[str]:
    """Return the form's options, `FIRST` first."""
    every = [option.name for option in dataclasses.fields(Config)]
    return [*FIRST, *(name for name in every if name not in (*FIRST, *SERVER, *FILES))]


def field(name: str) -> Any:
    """Return the gradio component for an option."""
    meaning = {p.arg_name: p.description for p in parse_from_object(Config).params}
    about: dict[str, Any] = {
        "label": name.replace("_", " ").capitalize(),
        "info": " ".join((meaning[name] or "").split()),
        "value": _shown(name, Config()),
        "elem_id": f"option-{name}",
    }
    kind = options.kinds(name)[0]
    if get_origin(kind) is Literal:
        return gr.Dropdown(list(get_args(kind)), **about)
    if kind is bool:
        return gr.Checkbox(**about)
    # numbers are text, too: a browser's own numbers know no absence, and round large seeds
    return gr.Textbox(**about)


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
    if is_kernel_file(str(given.get("kernel", "auto"))):
        raise OptionError(f"kernel is {given['kernel']!r}; this page takes a kernel's name only")
    return Config.of(given.pop("preset", "default"), **given, **limits)


def _shown(name: str, config: Config) -> Any:
    """Return the value of an option's field: text, or whether a box is ticked."""
    value = getattr(config, name)
    return value if isinstance(value, bool) else options.text(value)
