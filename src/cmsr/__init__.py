"""Cross-modality super-resolution from a single pair."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmsr.api import align as align
    from cmsr.api import upscale as upscale
    from cmsr.config import Config as Config
    from cmsr.errors import CmsrError as CmsrError
    from cmsr.metrics import evaluate as evaluate
    from cmsr.registration.rig import Rig as Rig
    from cmsr.result import Registered as Registered
    from cmsr.result import Result as Result
    from cmsr.rigs import rig as rig

__version__ = "0.2.0"
__all__ = [
    "CmsrError", "Config", "Registered", "Result", "Rig", "align", "evaluate", "rig", "upscale",
]  # fmt: skip

_HOMES = {
    "CmsrError": "errors",
    "Config": "config",
    "Result": "result",
    "evaluate": "metrics",
    "align": "api",
    "Registered": "result",
    "Rig": "registration.rig",
    "rig": "rigs",
    "upscale": "api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that ``import cmsr`` costs nothing."""
    if name in _HOMES:
        return getattr(import_module(f"cmsr.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'cmsr' has no attribute {name!r}")
