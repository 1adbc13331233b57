"""Files and functions stay short enough to be read at a glance."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FOLDERS = {"src": 300, "tests": 500, "benchmarks": 300, "docs": 300, "examples": 300,
           "integrations": 300}  # fmt: skip
"""Lines of a file, at most, by folder."""

FUNCTION = 60
"""Lines of a function, at most."""


def long_functions(source: str) -> dict[str, int]:
    """Return the functions over the limit, with their lines."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, functions)]
    lines = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in found}
    return {name: count for name, count in lines.items() if count > FUNCTION}


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_and_functions_are_short(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    sources = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in files}
    lines = {name: len(source.splitlines()) for name, source in sources.items()}
    assert {name: count for name, count in lines.items() if count > FOLDERS[folder]} == {}
    too_long = {name: long_functions(source) for name, source in sources.items()}
    assert {name: found for name, found in too_long.items() if found} == {}


def test_long_functions_are_found():
    body = "".join(f"    x{line} = 0\n" for line in range(FUNCTION))
    assert long_functions(f"def short(): pass\nclass A:\n  def long(self):\n{body}") == {"long": 61}
