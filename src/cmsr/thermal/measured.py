"""Parameters of temperatures, the file's or the user's: checked and reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cmsr.config import Config
from cmsr.thermal.planck import KELVIN, Conditions


@dataclass(frozen=True)
class _Parameter:
    """One of the conditions: its name in records, its option if it has one, and its limits."""

    record: str
    option: str | None
    low: float
    high: float
    unit: str = ""


_PARAMETERS = {
    "emissivity": _Parameter("emissivity", "emissivity", 0.01, 1),
    "distance": _Parameter("distance_m", "distance", 0, 10_000, " m"),
    "reflected": _Parameter("reflected_temperature_c", "reflected_temperature", -100, 200, " °C"),
    "atmospheric": _Parameter(
        "atmospheric_temperature_c", "atmospheric_temperature", -90, 100, " °C"
    ),
    "humidity": _Parameter("humidity", "humidity", 0, 1),
    "window_temperature": _Parameter("window_temperature_c", None, -90, 200, " °C"),
    "window_transmission": _Parameter("window_transmission", None, 0.01, 1),
}
"""Limits: what a scene can have; a clear sky has −100 °C, an oven behind the camera 200."""


def overrides(config: Config) -> dict[str, float]:
    """Return the conditions that the options replace."""
    return {
        name: getattr(config, parameter.option)
        for name, parameter in _PARAMETERS.items()
        if parameter.option is not None and getattr(config, parameter.option) is not None
    }


def facts(conditions: Conditions) -> dict[str, Any]:
    """Return the conditions as a record has them.

    >>> facts(Conditions(0.95, 1.5, 20, 20, 0.5))["distance_m"]
    1.5
    """
    return {
        parameter.record: _short(getattr(conditions, name))
        for name, parameter in _PARAMETERS.items()
    }


def impossible(conditions: Conditions) -> list[str]:
    """Return a line for each value that no scene can have, with what it may mean and what to type.

    >>> impossible(Conditions(0.95, 1, 298, 20, 0.5))
    ['its reflected temperature is 298 °C, hardly possible; if 298 K is meant: \
--reflected-temperature 24.9']
    """
    return [
        _doubt(name, parameter, float(getattr(conditions, name)))
        for name, parameter in _PARAMETERS.items()
        if not parameter.low <= getattr(conditions, name) <= parameter.high
    ]


def _doubt(name: str, parameter: _Parameter, value: float) -> str:
    label = f"{name} temperature" if name in ("reflected", "atmospheric") else name
    text = f"its {label.replace('_', ' ')} is {value:.4g}{parameter.unit}, hardly possible"
    for meant, guess in _MISTAKEN.get(parameter.unit, ()):
        if parameter.low <= guess(value) <= parameter.high and parameter.option:
            return f"{text}; if {value:.4g} {meant} is meant: {_flag(parameter)} {guess(value):.3g}"
    return f"{text}; {_flag(parameter)} VALUE replaces it" if parameter.option else text


_MISTAKEN: dict[str, list[tuple[str, Callable[[float], float]]]] = {
    " °C": [("K", lambda value: value - KELVIN)],
    "": [("%", lambda value: value / 100)],
}
"""Units in which a camera may have stored a value: their names, and the value in the right one."""


def _flag(parameter: _Parameter) -> str:
    return f"--{(parameter.option or '').replace('_', '-')}"


def _short(value: float) -> float:
    """Return a value without the digits that a 32-bit float adds."""
    return float(f"{value:.6g}")
