"""The form: one field for each option of `Config`, as the command line has one argument."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import gradio as gr
from docstring_parser import parse_from_object

from cmsr.config import PRESETS, Config
from cmsr.errors import OptionError
from cmsr.sensor.kernel_file import is_kernel_file

FIRST = ("preset", "seed", "kernel", "align", "ratio")
"""Options shown at once; the others wait behind a heading."""

SERVER = ("device", "max_pixels", "max_memory")
"""Options that whoever runs the server decides."""

FILES = ("segments",)
"""Options that name a file: a visitor cannot name the server's files."""

_TYPES = get_type_hints(Config)


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
        "value": _shown(getattr(Config(), name)),
        "elem_id": f"option-{name}",
    }
    kinds = _kinds(name)
    if get_origin(kinds[0]) is Literal:
        return gr.Dropdown(list(get_args(kinds[0])), **about)
    if kinds == [bool]:
        return gr.Checkbox(**about)
    # numbers are text, too: a browser's own numbers know no absence, and round large seeds
    return gr.Textbox(**about)


def ruled() -> list[str]:
    """Return the options that choosing a preset sets."""
    return [name for name in names() if any(name in preset for preset in PRESETS.values())]


def preset_values(preset: str) -> list[Any]:
    """Return what the form shows for a preset, in the order of `ruled`."""
    config = Config.of(preset)
    return [_shown(getattr(config, name)) for name in ruled()]


def config_of(values: Mapping[str, Any], **limits: Any) -> Config:
    """Return the options that a form, or a script, has filled in.

    Raises
    ------
    OptionError
        If a value is wrong, the option is the server's, or it names a file there.
    """
    given = {name: _read(name, value) for name, value in values.items()}
    if forbidden := sorted(given.keys() - set(names())):
        raise OptionError(f"no option of this page is called {', '.join(forbidden)}")
    if is_kernel_file(str(given.get("kernel", "auto"))):
        raise OptionError(f"kernel is {given['kernel']!r}; on this page it is a kernel's name")
    return Config.of(given.pop("preset", "default"), **given, **limits)


def _kinds(name: str) -> list[Any]:
    """Return the types that an option may have, besides None."""
    kind = _TYPES[name]
    union = get_origin(kind) in (Union, types.UnionType)
    return [part for part in (get_args(kind) if union else (kind,)) if part is not type(None)]


def _shown(value: Any) -> Any:
    if isinstance(value, tuple):
        return ",".join(f"{part:g}" for part in value)
    return value if isinstance(value, bool | str) or value is None else f"{value}"


def _read(name: str, value: Any) -> Any:
    """Turn what a field holds into the option's type."""
    if name not in _TYPES:
        return value
    kinds, text = _kinds(name), str(value).strip()
    empty = value is None or text == ""
    if get_origin(kinds[0]) is tuple:
        number = get_args(kinds[0])[0]
        parts = value if isinstance(value, list | tuple) else text.replace(" ", ",").split(",")
        read = () if empty else tuple(_number(name, number, part) for part in parts if part != "")
        return read or getattr(Config(), name)
    if empty:
        return getattr(Config(), name)
    if isinstance(value, str) and kinds[0] in (int, float) and text not in ("auto", "none"):
        return _number(name, kinds[0], text)
    return text if isinstance(value, str) else value


def _number(name: str, kind: type, text: Any) -> Any:
    try:
        return kind(text)
    except (TypeError, ValueError):
        raise OptionError(f"{name} is {text!r}; it must be a number") from None
