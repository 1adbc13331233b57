"""Imports run downward only, and asking for help imports nothing heavy."""

import subprocess
import sys
from pathlib import Path

from importlinter import cli

import cmsr

ROOT = Path(__file__).parents[1]


def test_imports_run_downward() -> None:
    assert cli.lint_imports(str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom cmsr.app.cli import main\n"
        "try: main(['upscale', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'rasterio', 'matplotlib'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert printed.splitlines()[-1] == "[]"
    assert "--preset" in printed


def test_comparing_images_does_without_torch() -> None:
    code = (
        "import sys, numpy as np\nimport cmsr\nfrom cmsr.app import record\n"
        "from cmsr.io.image_files import from_array\n"
        "image = from_array(np.eye(16), 'image')\n"
        "print(cmsr.evaluate(image, image)['rmse'], 'torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "0.0 False\n"


def test_every_public_name_exists() -> None:
    for name in cmsr.__all__:
        assert getattr(cmsr, name).__doc__
