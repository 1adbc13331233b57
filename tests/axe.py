"""axe-core in a page: rules of accessibility that a machine can check."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

VERSION = "4.10.3"


@cache
def _source() -> str | None:
    """Return the script, from npm or from an earlier time; None where there is no npm."""
    kept = Path(tempfile.gettempdir(), f"axe-core-{VERSION}.min.js")
    if not kept.exists():
        npm = shutil.which("npm")
        if npm is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            command = [npm, "pack", f"axe-core@{VERSION}", "--silent"]
            got = subprocess.run(command, cwd=folder, capture_output=True, timeout=60)
            if got.returncode:
                return None
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                script = archive.extractfile("package/axe.min.js")
                assert script is not None
                kept.write_bytes(script.read())
    return kept.read_text("utf-8")


def faults(tab: Any) -> list[str]:
    """Return what axe-core finds serious or critical in a page; skip where it cannot be had."""
    source = _source()
    if source is None:
        pytest.skip("no axe-core: npm cannot get it")
    tab.evaluate(source)
    found = tab.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{fault['id']}: {node['html'][:120]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
