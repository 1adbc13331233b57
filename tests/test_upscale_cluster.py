"""The tiles of one image, made by workers: the bytes of a run without them, whatever is killed."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

from cmsr.app.batch import engine, tiles
from cmsr.app.batch.clusters import Workers
from cmsr.app.cli import main
from cmsr.app.job import Job
from cmsr.config import Config
from cmsr.io import image_files
from cmsr.tiling import FADE, Plan
from tests.batches import QUICK
from tests.conftest import render_pair

PATIENCE = 90.0
"""Seconds to wait for what must happen."""

TARGET, RESULT = (480, 24), (1920, 96)
"""Heights and widths: narrow, so that three tiles are little work."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair of three tiles one below the other, and the result without workers."""
    folder, pair = tmp_path_factory.mktemp("scene"), render_pair(RESULT, TARGET)
    image_files.write(folder / "t.tif", pair.target)
    image_files.write(folder / "g.tif", pair.guide)
    assert main(words(folder, folder / "usual.tif")) == 0
    return folder


def words(folder: Path, out: Path, *more: str) -> list[str]:
    files = [str(folder / "t.tif"), str(folder / "g.tif"), "-o", str(out)]
    return ["upscale", *files, *QUICK, "--quiet", *more]


def pixels(file: Path) -> bytes:
    return image_files.read(file).data.tobytes()


def test_a_killed_worker_makes_no_difference(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients, killed = list[Client](), list[int]()

    def at_once(client: Client) -> int:
        clients.append(client)
        return engine.at_once(client)

    def kill(stage: str, step: int, count: int, loss: float) -> None:
        if stage == "solving" and step and not killed:
            assert count == 3
            busy = {worker for worker, keys in clients[0].processing().items() if keys}
            pids = clients[0].run(os.getpid)
            pid = next((pids[worker] for worker in pids if worker in busy), min(pids.values()))
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    monkeypatch.setattr(tiles, "at_once", at_once)
    out = tmp_path / "out.tif"
    Job(
        target=scene / "t.tif",
        guide=scene / "g.tif",
        out=out,
        json=None,
        preview=None,
        report=None,
        colour_map="inferno",
        overwrite=False,
        config=Config.of("fast", align="off", kernel="bicubic"),
        cluster=partial(tiles.on_workers, Workers(count=2, retries=tiles.RETRIES)),
    ).run(kill)
    assert killed
    assert pixels(out) == pixels(scene / "usual.tif")
    assert list(tmp_path.iterdir()) == [out]


def test_a_killed_command_goes_on_with_its_tiles(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    line = words(scene, out, "--workers", "1")
    code = "import sys; from cmsr.app.cli import main; sys.exit(main())"
    command = subprocess.Popen([sys.executable, "-c", code, *line], start_new_session=True)
    deadline = time.monotonic() + PATIENCE
    while not (made := list(tmp_path.glob(".out.tif.tiles-*/[0-2].npy"))):
        assert time.monotonic() < deadline
        assert command.poll() is None
        time.sleep(0.02)
    os.killpg(command.pid, signal.SIGKILL)
    command.wait()
    assert not out.exists()
    kept, layers = made[0], np.load(made[0], allow_pickle=False)
    for other in kept.parent.glob("*.npy"):
        if other != kept:
            other.unlink()
    kept.with_name(f"{(int(kept.stem) + 1) % 3}.npy").write_bytes(b"\x93NUMPY damaged")
    np.save(kept, layers + 0.25)
    assert main(line) == 0
    image, usual = (image_files.read(file).data[0] for file in (out, scene / "usual.tif"))
    for index, (top, bottom) in enumerate(Plan.of(TARGET, RESULT).row_parts()):
        at = np.s_[4 * (top + FADE) : 4 * (bottom - FADE)]
        assert np.array_equal(image[at], usual[at]) == (index != int(kept.stem))
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["-o", "{folder}/o.png"], "workers write .tif only"),
        (["--preset", "paper", "--align", "cpab"], "workers cannot make tiles with preset paper"),
        (["--report", "{folder}/r.html"], "--report cannot be combined"),
        (["--scheduler", "tcp://a:1"], "workers of its own"),
    ],
)
def test_what_workers_cannot_do_is_refused(
    scene: Path,
    tmp_path: Path,
    more: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [str(scene / "t.tif"), str(scene / "g.tif"), "-o", str(tmp_path / "o.tif")]
    more = [word.format(folder=tmp_path) for word in more]
    assert main(["upscale", *files, "--workers", "2", *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())
