"""Where a batch's workers come from: cores, GPUs, a cluster's jobs."""

import sys
from pathlib import Path

import dask
import pytest

from cmsr.app.batch import clusters
from cmsr.app.batch.clusters import Workers
from cmsr.app.batch.command import Batch
from cmsr.app.batch.progress import Display
from cmsr.app.batch.run import run_batch
from cmsr.config import Config
from cmsr.errors import OptionError
from tests.batches import all_recorded, events, make_table

pytest.importorskip("dask_jobqueue")

SBATCH = """#!/bin/sh
test "$1" = --version && exit
cp "$1" {folder}/script
sh {folder}/script >{folder}/log 2>&1 &
echo $! >{folder}/job
echo "Submitted batch job 17"
"""
SCANCEL = """#!/bin/sh
test "$1" = 17 && touch {folder}/cancelled
"""


def test_one_process_a_core_or_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CPU_COUNT", 12)
    monkeypatch.setattr(clusters, "MEMORY", 1)
    assert Workers().fitting() == 12
    assert Workers(threads=5).fitting() == 2
    assert Workers(gpus=3).fitting() == 3
    seen = [
        clusters._worker(Workers(gpus=2), 4, index, "/scratch")["options"]["env"]
        for index in range(4)
    ]
    assert [env["CUDA_VISIBLE_DEVICES"] for env in seen] == ["0", "1", "0", "1"]
    monkeypatch.setattr(clusters, "MEMORY", 2**62)
    assert Workers().fitting() == 1


def test_jobs_of_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for SLURM starts the very script that SLURM would."""
    for name, script in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(script.format(folder=tmp_path))
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    table, out = make_table(tmp_path, 2), tmp_path / "out"
    settings = {
        "jobqueue.slurm.memory": "2GB",
        "jobqueue.slurm.local-directory": str(tmp_path),
        "jobqueue.slurm.scheduler-options": {"host": "127.0.0.1"},
    }
    with dask.config.set(settings):
        where = {"pairs": str(table), "out": str(out), "cluster": "slurm", "workers": 1}
        config = Config.of("fast", align="off", kernel="bicubic")
        tally = run_batch(Batch(**where, config=config), Display())
    assert (tally.done, tally.failed) == (2, [])
    assert all_recorded(out)
    assert len(events(out, "pair")) == 2
    script = (tmp_path / "script").read_text()
    assert "#SBATCH --cpus-per-task=1" in script
    assert "export OMP_NUM_THREADS=1" in script
    assert (tmp_path / "cancelled").exists()


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_kubernetes.operator", None)
    with (
        pytest.raises(OptionError, match="dask_kubernetes is missing: pip install"),
        Workers(cluster="kubernetes").client(1),
    ):
        pass
