"""Packages that only some commands need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cmsr.errors import OptionError

OWN = ("cmsr", "cmsr_bench")


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Import, within, what an extra of the package brings.

    Raises
    ------
    OptionError
        If a package is missing; the message says how to install the extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or OWN[0]).partition(".")[0]
        if package in OWN:
            raise
        raise OptionError(f"{package} is missing: pip install 'cmsr[{extra}]'") from error
