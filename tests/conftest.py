"""Synthetic scenes whose truth is known, and the real pairs where they are."""

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

from cmsr.config import Config
from cmsr.io import image_files
from cmsr.operators.resampling import resampler
from cmsr.pair import Pair
from cmsr.prologue import opened

collect_ignore = ["in_napari"]
"""`test_napari.py` runs them."""

if sys.platform == "win32":
    # These use signals, links, limits and terminals as only POSIX has them.
    collect_ignore += [
        "test_batch_clusters.py", "test_batch_faults.py", "test_command_line.py",
        "test_folders.py", "test_hostile.py", "test_io.py", "test_raster_output.py",
        "test_thermal_dji.py", "test_upscale_cluster.py",
    ]  # fmt: skip

# The same cases at every run; `pytest --hypothesis-profile=explore` looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("repeatable")


@dataclass(frozen=True)
class SyntheticPair:
    """truth (H, W) in [0, 1]; guide (H, W, 3) uint8; target (h, w), the reduced truth."""

    truth: np.ndarray
    guide: np.ndarray
    target: np.ndarray


def smooth_field(shape: tuple[int, int], seed: int, finest: float = 24.0) -> np.ndarray:
    """Twelve random waves no shorter than ``finest`` pixels, even at the border, in [0, 1]."""
    rng = np.random.default_rng(seed)
    field = np.zeros(shape)
    for _ in range(12):
        y, x = (
            np.cos(np.pi * rng.integers(0, int(2 * n / finest) + 1) * (np.arange(n) + 0.5) / n)
            for n in shape
        )
        field += rng.normal() * np.outer(y, x)
    return (field - field.min()) / np.ptp(field)


def render_pair(
    shape: tuple[int, int] = (96, 128), low: tuple[int, int] = (24, 32), seed: int = 0
) -> SyntheticPair:
    """Flat regions with sharp borders that the guide shows in other colours."""
    field = smooth_field(shape, seed, finest=40)
    regions = np.digitize(field, np.linspace(0.2, 0.8, 5))
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.linspace(0.1, 0.9, 6))[regions]
    guide = rng.uniform(20, 235, (6, 3))[regions] + rng.normal(0, 2, (*shape, 3))
    reduce = resampler(shape, low)
    target = reduce(torch.from_numpy(truth).float()).numpy()
    return SyntheticPair(truth, np.clip(np.rint(guide), 0, 255).astype(np.uint8), target)


def pair_of(
    target: np.ndarray, guide: np.ndarray | None = None, ratio: float | None = None
) -> Pair:
    """A pair as it is computed on, from a target as its values are."""
    raster = image_files.from_array(target, "target")
    return opened(raster, guide, Config(ratio=ratio)).whole


@pytest.fixture
def pair() -> SyntheticPair:
    return render_pair()


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the real pairs."""
    folder = Path(os.environ.get("CMSR_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "pairs.csv").exists():
        pytest.skip(f"no real pairs at {folder}; set CMSR_DATA")
    return folder


@pytest.fixture(scope="session")
def real_pairs(data: Path) -> Callable[[str], Iterator[dict[str, str]]]:
    """Rows of pairs.csv of one data set."""

    def rows(dataset: str) -> Iterator[dict[str, str]]:
        with (data / "pairs.csv").open(newline="") as file:
            yield from (row for row in csv.DictReader(file) if row["dataset"] == dataset)

    return rows


@pytest.fixture(scope="session")
def web_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair t.tif (°C) and g.png, a large_ one, a pages.tif of two, and what is no image."""
    path = tmp_path_factory.mktemp("web")
    celsius = {"scales": [0.01], "offsets": [-273.15], "units": ["°C"]}
    for prefix, pair in (("large_", render_pair((384, 512), (96, 128))), ("", render_pair())):
        target = np.rint(29000 + 1500 * pair.target).astype(np.uint16)
        image_files.write(
            path / f"{prefix}t.tif", target, like=image_files.from_array(target, "t", **celsius)
        )
        image_files.write(path / f"{prefix}g.png", pair.guide)
    image_files.write_pages(path / "pages.tif", [(target, None, None), (target[::-1], None, None)])
    (path / "broken.png").write_bytes(b"")
    (path / "text.tif").write_bytes(b"not an image")
    return path


@pytest.fixture(scope="session")
def web_url() -> Iterator[str]:
    """`cmsr web` in a process of its own: 1 MB a file, 200 000 pixels an image."""
    pytest.importorskip("gradio", reason="no gradio: pip install 'cmsr[web]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "import sys; from cmsr.app.cli import main; sys.exit(main(sys.argv[1:]))"
    limits = ["--max-upload", "1", "--max-pixels", "200000"]
    command = [sys.executable, "-c", code, "web", "--port", str(port), *limits]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert f"http://127.0.0.1:{port}" in server.stdout.readline()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install it")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium: on Debian, apt-get install chromium")
    with playwright.sync_playwright() as driver:
        # As root, as in a container, Chromium runs without its sandbox or not at all.
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()
