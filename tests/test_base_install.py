"""`pip install cmsr` brings few packages: those of some commands only are extras."""

import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]

MOST = 12
"""Packages besides torch and those that it needs."""


def closure(names: Iterable[str]) -> set[str]:
    """Return packages and all that they need here, without extras."""
    found, open_names = set[str](), [canonicalize_name(name) for name in names]
    while open_names:
        name = open_names.pop()
        if name in found:
            continue
        found.add(name)
        for line in requires(name) or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                open_names.append(canonicalize_name(wanted.name))
    return found


def test_the_base_install_is_small() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [Requirement(line).name for line in project["dependencies"]]
    own = closure(named) - closure(["torch"])
    assert {"numpy", "pillow", "rasterio", "scipy"} <= own
    assert len(own) <= MOST, sorted(own)
    assert not own & {"matplotlib", "scikit-image", "rich", "psutil", "shtab"}
