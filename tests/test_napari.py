"""The plugin works in napari: `tests/in_napari` passes, in a process of its own.

Qt ends a process where it lacks a library of the system, and napari warns of its own age.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "in_napari"

QT = "libdbus-1-3 libegl1 libfontconfig1 libgl1 libglib2.0-0 libgssapi-krb5-2 libxkbcommon0"
"""Debian's packages that Qt needs without a screen, beside its wheel."""

START = """
import napari, pytestqt.plugin
from PyQt6 import QtOpenGLWidgets, QtWidgets
QtWidgets.QApplication([])
"""


def test_the_plugin_in_napari(tmp_path: Path) -> None:
    settings = {"QT_QPA_PLATFORM": "offscreen", "NAPARI_CONFIG": str(tmp_path / "settings.yaml")}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *words]
        return subprocess.run(
            command, env={**os.environ, **settings}, capture_output=True, text=True
        )

    tried = run("-W", "ignore", "-c", START)
    if tried.returncode:
        (*_, why) = tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"]
        pytest.skip(f"no napari ({why}): pip install 'cmsr[napari]', and on Debian {QT}")
    ended = run("-m", "pytest", "-c", str(FOLDER / "pytest.ini"), str(FOLDER))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "passed" in ended.stdout
