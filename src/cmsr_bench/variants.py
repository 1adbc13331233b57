"""Methods with changed options, written METHOD:OPTION=VALUE."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any, Self

from cmsr.app import options
from cmsr.config import Config
from cmsr.errors import OptionError
from cmsr_bench.methods import METHODS, Method


@dataclass(frozen=True)
class Variant:
    """A method and the options changed from its own."""

    method: Method
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> Self:
        """Read METHOD or METHOD:OPTION=VALUE:OPTION=VALUE.

        Raises
        ------
        OptionError
            If there is no such method or option, or the value is outside its range.

        Examples
        --------
        >>> Variant.of("cmsr-paper:p=0.3").options
        {'p': 0.3}
        """
        name, *changes = re.split(r":(?=[\w-]+=)", text)
        if name not in METHODS:
            raise OptionError(f"no method is called {name!r}; choose from {', '.join(METHODS)}")
        method = METHODS[name]
        variant = cls(method, dict(_change(method, text, change) for change in changes))
        variant.config(0)
        return variant

    @property
    def label(self) -> str:
        """Name with the changed options, as the user would write it."""
        changes = (f"{name}={options.text(value)}" for name, value in self.options.items())
        return ":".join([self.method.name, *changes])

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as text."""
        return Variant.of, (self.label,)

    def config(self, seed: int) -> Config:
        """All options of a run with this seed."""
        return Config.of(self.method.preset, **{**self.method.options, **self.options}, seed=seed)


def variants(texts: list[str]) -> list[Variant]:
    """Read several, without repetitions; ``all`` stands for every method.

    Raises
    ------
    OptionError
        If one cannot be read, or there is none.
    """
    named = [name for text in texts for name in (METHODS if text == "all" else [text])]
    found = [Variant.of(text) for text in dict.fromkeys(named) if text]
    if not found:
        raise OptionError(f"no method is named; choose from {', '.join(METHODS)}")
    return found


def _change(method: Method, label: str, change: str) -> tuple[str, Any]:
    """Read OPTION=VALUE, an option of `cmsr upscale` that has an effect on the method."""
    name, equals, value = change.partition("=")
    name = name.replace("-", "_")
    fixed = {"preset", "seed", "device"}
    if not equals or name in fixed or name not in {f.name for f in dataclasses.fields(Config)}:
        raise OptionError(
            f"{label!r}: {change!r} is not an option; write METHOD:OPTION=VALUE with an option of "
            "`cmsr upscale`, for example cmsr-paper:p=0.3"
        )
    if method.takes is not None and name not in method.takes:
        raise OptionError(f"{label!r}: {name} has no effect on {method.name}")
    return name, options.parse(name, value)
