"""Options as text and back, by their types: command lines, form fields, `METHOD:OPTION=VALUE`."""

from __future__ import annotations

import shlex
import types
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cmsr.config import RADIOMETRIC, Config
from cmsr.errors import OptionError
from cmsr.option_checks import named

GROUPS: dict[str, tuple[str, ...]] = {
    "": ("preset", "ratio", "size"),
    "placing the photo": ("align", "points", "field_of_view", "rig", "segments", "extent"),
    "reading the target": (
        "kernel", "native_size", "invalid", "ignore", "fill", "bounds", "bands", "axis",
        "colour_mapped",
    ),
    "reading the photo": ("guide_bands", "guide_axis"),
    "temperatures of a radiometric JPEG": RADIOMETRIC,
    "method": ("method", "seed", "device"),
    "only with --preset default or fast": (
        "prior", "fuse", "solver_iterations", "denoising_rounds",
    ),
    "only with --preset paper or paper-plus": (
        "iterations", "iterations_guide_free", "crop", "crop_guide_free", "learning_rate", "p",
        "guide_p", "guide_rate", "guide_start", "warps", "steps", "ensemble",
        "back_projections",
    ),
    "limits": ("strip_metadata", "max_pixels", "max_memory"),
}  # fmt: skip
"""Options in groups, as people look for them; the first are what nearly everyone needs."""

PLACEHOLDERS = {
    "ratio": "R", "size": "W H", "points": "FILE", "field_of_view": "TARGET PHOTO",
    "rig": "FILE|auto|off", "colour_mapped": "NAME", "ignore": "X,Y,W,H|FILE",
    "segments": "FILE", "kernel": "NAME|FILE", "prior": "none|learned|FILE", "native_size": "W H",
    "invalid": "VALUE", "bounds": "MIN MAX", "bands": "N,N,…", "guide_bands": "N,N,…",
    "axis": "N", "guide_axis": "N",
    "emissivity": "0…1", "distance": "METRES", "reflected_temperature": "°C",
    "atmospheric_temperature": "°C", "humidity": "0…1", "max_memory": "GB", "steps": "R,R,…",
}  # fmt: skip
"""Placeholder of an option's value in help, where its type does not say enough."""


@cache
def kinds(name: str, of: type = Config) -> tuple[Any, ...]:
    """Return the types that an option, or a field of a command, may have, besides None."""
    kind = get_type_hints(of)[name]
    union = get_origin(kind) in (Union, types.UnionType)
    parts = get_args(kind) if union else (kind,)
    return tuple(part for part in parts if part is not type(None))


def parse(name: str, value: Any, of: type = Config) -> Any:
    """Return an option's value from text, or from a value as JSON has it.

    Empty text and None stand for the default.

    >>> parse("bands", "1, 4"), parse("p", "0.5"), parse("invalid", "auto"), parse("fill", True)
    ((1, 4), 0.5, 'auto', True)

    Raises
    ------
    OptionError
        If it should be a number, or one of some words, and is not.
    """
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "":
        return getattr(of, name)
    kind, *others = kinds(name, of)
    pair = isinstance(value, tuple | list) or (isinstance(value, str) and "," in value)
    if pair and others and get_origin(others[0]) is tuple:
        kind = others[0]
    if get_origin(kind) is tuple:
        element = get_args(kind)[0]
        if isinstance(value, str):
            value = (value if element is str else value.replace(" ", ",")).split(",")
        listed = value if isinstance(value, list | tuple) else [value]
        given = [part for part in listed if part != ""]
        read = given if element is str else [_number(name, element, part) for part in given]
        return tuple(read) or getattr(of, name)
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise OptionError(f"{name} is {value!r}; choose one of {', '.join(get_args(kind))}")
    if not isinstance(value, str):
        return value
    if kind is bool:
        return {"true": True, "false": False}.get(value, value)
    if kind in (int, float) and value not in _words(name, of):
        return _number(name, kind, value)
    url = str in others and "://" in value
    return Path(value) if kind is Path and not url else value


def text(value: Any) -> str:
    """Write a value so that `parse` reads the same again."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(text, value))
    return "" if value is None else str(value).removesuffix(".0")


def words(config: Config) -> list[str]:
    """Return the preset, the seed and all options unlike the preset's, for a command line.

    >>> " ".join(words(Config.of("fast", bands=(1, 4), fill=True)))
    '--preset fast --seed 0 --fill --bands 1,4'
    """
    line = ["--preset", config.preset, "--seed", str(config.seed)]
    for name, value in config.given().items():
        if isinstance(value, bool):
            line.append(named(name) if value else named(f"no_{name}"))
        elif name in ("native_size", "size", "field_of_view", "bounds"):
            line += [named(name), *map(text, value)]
        elif text(value).startswith("-"):  # else it could be taken for an option
            line.append(f"{named(name)}={text(value)}")
        elif name != "seed":
            line += [named(name), text(value)]
    return line


def upscale_command(
    target: Path, guide: Path | None, out: Path | str, config: Config, threads: int | None = None
) -> str:
    """Return the shell command that repeats a run.

    ``threads`` is the number of threads if it was set from outside: another number may change the
    last digits.
    """
    files = [str(target), *([str(guide)] if guide else []), "-o", str(out)]
    line = shlex.join(["cmsr", "upscale", *files, *words(config)])
    return f"OMP_NUM_THREADS={threads} {line}" if threads else line


def _words(name: str, of: type) -> tuple[Any, ...]:
    """Return the words that an option takes besides numbers."""
    return tuple(word for kind in kinds(name, of) if get_origin(kind) is Literal
                 for word in get_args(kind))  # fmt: skip


def _number(name: str, kind: type, value: Any) -> Any:
    try:
        number = kind(value)
        if isinstance(value, str) or number == value:
            return number
    except (TypeError, ValueError):
        pass
    whole = "whole " if kind is int else ""
    raise OptionError(f"{name} is {value!r}; it must be a {whole}number")
