"""Faults that really happen: killed processes, a lost scheduler, a full disk, Ctrl-C, two runs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from distributed import Client

from cmsr.app.batch.command import Batch
from cmsr.app.batch.progress import Display, Tally
from cmsr.app.batch.run import run_batch
from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.errors import RunError
from tests.batches import QUICK, all_recorded, batch, command, events, make_table, results

SLOW = (160, 208)
"""Size of pairs that take long enough to be interrupted."""

PATIENCE = 90.0
"""Seconds to wait for what must happen."""


def until(happened: Callable[[], object]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def ended(processes: list[psutil.Process]) -> bool:
    """Tell whether processes run no more, whether or not somebody has collected them."""
    return not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes
    )


class Abroad:
    """A scheduler and its workers, each a process of its own, joined over TCP."""

    def __init__(self, folder: Path, workers: int) -> None:
        file = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", file)
        until(file.exists)
        self.workers = self._start(
            "worker", "--scheduler-file", file, "--nworkers", workers, "--nthreads", 1
        )
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=PATIENCE)
            self.address = str(client.scheduler.address)

    def _start(self, kind: str, *options: object) -> subprocess.Popen[bytes]:
        module = f"distributed.cli.dask_{kind}"
        words = [sys.executable, "-m", module, "--host", "127.0.0.1", "--no-dashboard"]
        return subprocess.Popen([*words, *map(str, options)], stderr=subprocess.DEVNULL)

    def batch(self, table: Path, out: Path) -> Tally:
        """Run a batch on these workers."""
        config = Config.of("fast", align="off", kernel="bicubic")
        where = {"pairs": str(table), "out": str(out), "scheduler": self.address}
        return run_batch(Batch(**where, config=config), Display())

    def close(self) -> None:
        """End all processes."""
        for process in (self.workers, self.scheduler):
            process.terminate()
            process.wait(PATIENCE)


@pytest.fixture(scope="module")
def abroad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Abroad]:
    started = Abroad(tmp_path_factory.mktemp("abroad"), workers=2)
    yield started
    started.close()


def test_same_bytes_elsewhere(abroad: Abroad, tmp_path: Path) -> None:
    table = make_table(tmp_path, 4)
    assert abroad.batch(table, tmp_path / "there").done == 4
    assert batch(table, tmp_path / "here").done == 4
    assert results(tmp_path / "there") == results(tmp_path / "here")
    assert len({event["worker"] for event in events(tmp_path / "there", "pair")}) == 2


def test_one_corrupted_of_fifty(
    abroad: Abroad, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = make_table(tmp_path, 50, (24, 32)), tmp_path / "out"
    content = (tmp_path / "t17.png").read_bytes()
    (tmp_path / "t17.png").write_bytes(content[:40])
    arguments = ["batch", str(table), "-o", str(out), "--scheduler", abroad.address, *QUICK]
    assert main(arguments) == 1
    assert len(results(out)) == 49
    assert all_recorded(out)
    (failed,) = (event for event in events(out, "pair") if event["status"] == "failed")
    assert (failed["name"], failed["tries"]) == ("p17", 2)
    assert "t17.png" in failed["error"]
    printed = capsys.readouterr()
    assert "50 pairs, 0 done before, 49 done now, 1 failed" in printed.out
    assert "failed: p17: " in printed.out
    assert printed.err.splitlines()[-1] == "cmsr: 1 of 50 pairs failed"


def test_a_killed_worker_loses_nothing(abroad: Abroad, tmp_path: Path) -> None:
    table, out = make_table(tmp_path, 4, SLOW), tmp_path / "out"
    with ThreadPoolExecutor() as pool, Client(abroad.address, set_as_default=False) as client:
        running = pool.submit(abroad.batch, table, out)
        until(lambda: list((out / ".batch").glob("*/*")))
        victim, started = next(iter(client.run(os.getpid).items()))
        until(lambda: running.done() or client.processing().get(victim))
        os.kill(started, signal.SIGKILL)
        tally = running.result(PATIENCE)
        client.wait_for_workers(2, timeout=PATIENCE)
    assert (tally.done, tally.failed) == (4, [])
    assert all_recorded(out)
    assert all(not event["worker"].endswith(f":{started}") for event in events(out, "pair")[-1:])


def test_a_lost_scheduler(tmp_path: Path) -> None:
    table, out = make_table(tmp_path, 4, SLOW), tmp_path / "out"
    own = Abroad(tmp_path, workers=1)
    try:
        with ThreadPoolExecutor() as pool:
            running = pool.submit(own.batch, table, out)
            until(lambda: results(out, "json"))
            own.scheduler.kill()
            with pytest.raises(RunError, match=r"lost the scheduler .*; finished pairs are kept"):
                running.result(PATIENCE)
    finally:
        own.close()
    assert all_recorded(out)
    made = len(results(out))
    tally = batch(table, out)
    assert 1 <= tally.before == made < 4
    assert tally.before + tally.done == 4


def test_interrupted_killed_and_taken_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = make_table(tmp_path, 8, SLOW), tmp_path / "out"
    killed = command(table, "-o", out, "--workers", 2)
    until(lambda: results(out, "json"))
    assert main(["batch", str(table), "-o", str(out), *QUICK]) == 2
    assert "another batch is running there" in capsys.readouterr().err
    children = psutil.Process(killed.pid).children(recursive=True)
    killed.kill()
    killed.communicate()
    until(lambda: ended(children))

    first = len(results(out, "json"))
    interrupted = command(table, "-o", out, "--workers", 2)
    until(lambda: len(results(out, "json")) > first)
    children = psutil.Process(interrupted.pid).children(recursive=True)
    os.killpg(interrupted.pid, signal.SIGINT)
    started = time.monotonic()
    _, told = interrupted.communicate(timeout=PATIENCE)
    assert time.monotonic() - started < 5
    assert interrupted.returncode == 130
    assert told.splitlines()[-1] == "cmsr: interrupted"
    until(lambda: ended(children))  # the resource tracker ends just after its parent
    assert all_recorded(out)

    second = len(results(out))
    tally = batch(table, out)
    assert (tally.before, tally.done) == (second, 8 - second)
    assert first < second < 8


FULL = """
mount -t tmpfs -o size=72k none {out} || exit 77
{python} -m tests.batches {table} {out}
echo code $?
mount -o remount,size=2m {out}
{python} -m tests.batches {table} {out}
"""


def test_full_disk(tmp_path: Path) -> None:
    table, out = make_table(tmp_path, 12, (96, 128)), tmp_path / "out"
    out.mkdir()
    script = FULL.format(out=out, table=table, python=sys.executable)
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    try:
        root = Path(__file__).parents[1]
        ran = subprocess.run(namespace, capture_output=True, text=True, cwd=root)
    except FileNotFoundError:
        pytest.skip("no unshare, so no small disk")
    if ran.returncode == 77 or "unshare:" in ran.stderr:
        pytest.skip("not allowed to mount a small disk")
    lines = [line for line in ran.stdout.splitlines() if not line.startswith("dashboard")]
    assert lines[0].startswith("12 pairs: 0 done before, 0 changed, 12 new")
    assert f"RunError: {out}/p" in ran.stderr
    assert "No space left on device" in ran.stderr
    assert lines[1] == "code 1"
    before = int(lines[2].split()[2])
    assert lines[2:] == [
        f"12 pairs: {before} done before, 0 changed, {12 - before} new",
        "complete",
    ]
