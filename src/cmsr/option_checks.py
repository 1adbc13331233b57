"""Checks of the options: the range and choices of each, and what cannot be combined."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from cmsr.errors import OptionError

if TYPE_CHECKING:
    from cmsr.config import Config


def named(option: str) -> str:
    """Return an option's name on the command line."""
    return f"--{option.replace('_', '-')}"


def check_values(config: Config) -> None:
    """Refuse a value outside its option's range or choices."""
    for option in dataclasses.fields(config):
        value = getattr(config, option.name)
        if value is None and option.default is not None:
            raise OptionError(f"{option.name} is None; leave it out for {option.default!r}")
        if (option.name, value) != ("p", "auto"):
            _check_range(option.name, value, option.metadata.get("range"))
    if isinstance(config.invalid, str) and config.invalid not in ("auto", "none"):
        raise OptionError(f"invalid is {config.invalid!r}; choose a number, auto or none")
    if isinstance(config.p, str) and config.p != "auto":
        raise OptionError(f"p is {config.p!r}; choose a number from 0 to 1, or auto")
    options: Any = type(config)
    for name, choices in _choices(options).items():
        if getattr(config, name) not in choices:
            raise OptionError(
                f"{name} is {getattr(config, name)!r}; choose one of {', '.join(choices)}"
            )


def check_combined(config: Config) -> None:
    """Refuse options that have no effect with one another."""
    if config.ratio is not None and config.size is not None:
        raise OptionError("--ratio and --size cannot be combined")
    if config.bounds is not None and config.bounds[0] >= config.bounds[1]:
        raise OptionError(
            f"--bounds {config.bounds[0]:g} {config.bounds[1]:g}: MIN must be below MAX"
        )
    if config.points is not None and config.field_of_view is not None:
        raise OptionError("--points and --field-of-view cannot be combined")
    if config.points is not None and config.rig_file is not None:
        raise OptionError("--points and --rig cannot be combined")
    if config.segments is not None and config.align not in ("auto", "segments"):
        raise OptionError("--segments requires --align auto or segments")
    if config.p == "auto" and config.steps:
        raise OptionError("--p auto and --steps cannot be combined")
    if config.p == "auto" and config.guide_p is not None:
        raise OptionError("--p auto chooses --guide-p, too; leave it out, or name --p")
    if config.method == "two-branch" and (config.segments or config.align == "segments"):
        raise OptionError("--segments and --align segments require --preset default or fast")


def check_guided(config: Config, guided: bool) -> None:
    """Refuse options that have no effect with, or without, a guide."""
    if guided:
        return
    config.refuse([] if config.align == "off" else ["align"], "requires a guide")
    config.refuse(
        ["segments", "field_of_view", "points", "guide_bands", "guide_axis", "extent"],
        "requires a guide",
    )
    config.refuse(["rig"] if config.rig_file else [], "requires a guide")
    for name in ("iterations", "crop"):
        config.refuse([name], f"requires a guide; use {named(name)}-guide-free")


@cache
def _choices(options: type[Any]) -> dict[str, tuple[str, ...]]:
    """Return the choices of the options that have some, by name."""
    return {
        name: get_args(kind)
        for name, kind in get_type_hints(options).items()
        if get_origin(kind) is Literal
    }


def _check_range(name: str, value: Any, bounds: tuple[float, float] | None) -> None:
    """Refuse numbers outside a range."""
    if bounds is None or value is None:
        return
    low, high = bounds
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise OptionError(f"{name} is {number!r}; it must be a number from {low} to {high}")
        if not low <= number <= high:
            raise OptionError(f"{name} is {number}; it must lie from {low} to {high}")
