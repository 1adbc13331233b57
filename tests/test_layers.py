"""Imports run downward only, and asking for help imports nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import cmsr

PACKAGE = Path(cmsr.__file__).parent

LAYERS = [
    ["cli"],
    ["bench_commands"],
    ["commands"],
    ["progress"],
    ["server"],
    ["layout"],
    ["app"],
    ["form", "killable", "private", "tasks", "time_left"],
    ["comparison", "demo", "run", "training"],
    ["figures", "runner"],
    ["ablations", "crops", "measure", "plots", "results", "schemes", "tables"],
    ["learned", "summary"],
    ["learners", "records", "weights_file"],
    ["djf", "provenance", "variants", "vtsr"],
    ["methods"],
    ["classic", "pixtransform"],
    ["supervised"],
    ["cases"],
    ["clusters", "engine", "journal", "lock", "progress", "sheet"],
    ["plan", "worker"],
    ["storage"],
    ["receipt", "task"],
    ["job"],
    ["page"],
    ["command", "contents"],
    ["preview", "record", "windows"],
    ["registered"],
    ["pipeline"],
    ["notebook"],
    ["segmented"],
    ["compared", "template"],
    ["chart", "image", "residual"],
    ["scale"],
    ["evidence"],
    ["series"],
    ["closed_form", "quick", "segment_map", "two_branch"],
    ["trial"],
    ["infer", "measurement", "tiles"],
    ["imaging"],
    ["compression", "kernel_file", "kernel_search", "noise"],
    ["kernel_from_guide", "kernel_from_target"],
    ["train"],
    ["chain", "solution"],
    ["follow"],
    ["alignment"],
    ["refine", "trust"],
    ["guided"],
    ["examples", "local_linear", "network", "sparse", "wedgelets"],
    ["pair"],
    ["metrics", "pictures"],
    ["tearing"],
    ["layers", "residual_field"],
    ["bending", "deform", "matching", "register"],
    ["belief", "cost_volume", "piecewise", "superpixels"],
    ["view"],
    ["inputs"],
    ["io"],
    ["array_io", "geo", "raster_output"],
    ["raster_io"],
    ["flir", "native", "parallax"],
    ["raster"],
    ["cosine", "cpab", "degrade", "dji", "freeform", "planck", "similarity"],
    ["atomic", "jpeg", "warp", "whole"],
    ["config", "parallel", "point_spread", "resampling"],
    ["errors"],
]


def imports(path: Path) -> set[str]:
    """Names, without their folders, of the modules of the package that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cmsr":
            found |= {*str(node.module).split("."), *(alias.name for alias in node.names)}
    return found & {name for names in LAYERS for name in names}


def test_imports_run_downward() -> None:
    height = {name: -depth for depth, names in enumerate(LAYERS) for name in names}
    for path in PACKAGE.rglob("*.py"):
        home = "demo" if "demo" in path.parts else path.stem
        if home == "__init__":
            continue
        assert home in height, f"{path.name} has no layer"
        upward = {name for name in imports(path) if height[name] >= height[home]} - {home}
        assert not upward, f"{path.name} imports upward: {upward}"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom cmsr.app.cli import main\n"
        "try: main(['upscale', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'rasterio', 'matplotlib'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert printed.splitlines()[-1] == "[]"
    assert "--preset" in printed


def test_every_public_name_exists() -> None:
    for name in cmsr.__all__:
        assert getattr(cmsr, name).__doc__
