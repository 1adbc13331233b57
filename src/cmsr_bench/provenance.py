"""Provenance of records: code, versions, commit, machine."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import cmsr

SOURCES = Path(cmsr.__file__).parents[1]
PACKAGES = ("cmsr", "cmsr_bench")


@cache
def code_version(module: str) -> str:
    """Hash the code of a module and of all modules of this project that it imports.

    Comments, docstrings and layout do not count.

    Parameters
    ----------
    module : str
        Dotted name, such as ``cmsr.api``.
    """
    digest = hashlib.sha256()
    for path in sorted(_reached(_file(module))):
        digest.update(str(path.relative_to(SOURCES)).encode())
        digest.update(ast.dump(_without_docstrings(ast.parse(path.read_bytes()))).encode())
    return digest.hexdigest()[:16]


def _reached(start: Path | None) -> set[Path]:
    reached: set[Path] = set()
    ahead = [start]
    while ahead:
        path = ahead.pop()
        if path is None or path in reached:
            continue
        reached.add(path)
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES:
                ahead.append(_file(str(node.module)))
                ahead += [_file(f"{node.module}.{alias.name}") for alias in node.names]
    return reached


def _file(module: str) -> Path | None:
    """Return the file of a module of this project, or None."""
    place = SOURCES.joinpath(*module.split("."))
    inside = "." in module
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if inside and path.is_file():
            return path
    return None


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
    return tree


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def versions() -> dict[str, str]:
    """Return the versions that results may depend on."""
    return {
        "cmsr": cmsr.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


@cache
def commit() -> str | None:
    """Return the commit of the source, with ``+`` where it was changed; None outside git."""
    try:
        found = [
            subprocess.run(  # noqa: S603
                ["git", "-C", str(SOURCES), *words],  # noqa: S607
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            ).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."])
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return found[0] + ("+" if found[1] else "")


@cache
def machine() -> dict[str, Any]:
    """Return processor, number of cores and system."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    """Return the processor's name: Linux writes it into a file, other systems say it themselves."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
