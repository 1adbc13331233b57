"""Workers of a batch: processes of this machine, those of a running scheduler, a cluster's jobs."""

from __future__ import annotations

import importlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import dask
import psutil
from dask.system import CPU_COUNT
from distributed import Client, Nanny, Scheduler, SpecCluster
from distributed import Worker as DaskWorker

from cmsr import __version__
from cmsr.app.extras import needing
from cmsr.errors import OptionError

MEMORY = 2**30
"""Free memory to count on for each worker, in bytes."""

CONNECT = "15s"
"""Time limit for reaching a scheduler, as Dask writes it."""

Kind = Literal["slurm", "kubernetes"]

_CLASSES = {
    "slurm": ("dask_jobqueue", "SLURMCluster"),
    "kubernetes": ("dask_kubernetes.operator", "KubeCluster"),
}


@dataclass(frozen=True)
class Workers:
    """Number and place of the workers.

    Attributes
    ----------
    count : int or None
        Processes; chosen from the cores, the memory and the pairs if None.
    threads : int
        Torch's threads in each.
    scheduler : str or None
        Address of a scheduler with workers of its own.
    cluster : {"slurm", "kubernetes"} or None
        Where to start workers, if not on this machine.
    gpus : int
        GPUs of this machine to be used, each by one process.
    retries : int
        Further attempts at a pair that fails.
    in_process : bool
        Whether the one worker is a thread of this process, which alone sees ``memory://``.
    """

    count: int | None = None
    threads: int = 1
    scheduler: str | None = None
    cluster: Kind | None = None
    gpus: int = 0
    retries: int = 1
    in_process: bool = False

    def __post_init__(self) -> None:
        """Check the numbers, and that there is one place to work at."""
        limits = (
            ("workers", self.count, 1), ("threads", self.threads, 1), ("retries", self.retries, 0)
        )  # fmt: skip
        for name, value, least in limits:
            if value is not None and value < least:
                raise OptionError(f"{name} is {value}; it must be at least {least}")
        if self.scheduler and (self.cluster or self.count):
            raise OptionError(
                "--scheduler brings workers of its own; leave out --workers and --cluster"
            )

    @contextmanager
    def client(self, pairs: int) -> Iterator[Client]:
        """Start the workers for a number of pairs, or reach them, and yield a client of theirs.

        Raises
        ------
        OptionError
            If the scheduler or the cluster cannot be used.
        """
        if self.scheduler is not None:
            opened = _connected(self.scheduler)
        elif self.cluster is not None:
            opened = _submitted(self.cluster, self.count or 1, self.threads)
        else:
            opened = _local(self, min(pairs, self.count or self.fitting()))
        with opened as client:
            yield client

    def fitting(self) -> int:
        """Return the number of workers that fit this machine: one a GPU, or one a core."""
        if self.in_process:
            return 1
        if self.gpus:
            return self.gpus
        memory = psutil.virtual_memory().available // MEMORY
        return max(1, min(CPU_COUNT // self.threads, int(memory)))


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    try:
        client = Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OptionError(f"scheduler {address}: cannot be reached ({error})") from error
    with client:
        _check_versions(client, address)
        yield client


def _check_versions(client: Client, address: str) -> None:
    """Refuse workers that run another version."""
    try:
        found = client.run(_version)
    except ModuleNotFoundError as error:
        raise OptionError(f"scheduler {address}: its workers have no {error.name}") from error
    other = {version for version in found.values() if version != __version__}
    if other:
        raise OptionError(
            f"scheduler {address}: its workers have cmsr {', '.join(other)}, this is {__version__}"
        )


def _version() -> str:
    import cmsr

    return cmsr.__version__


@contextmanager
def _submitted(kind: Kind, workers: int, threads: int) -> Iterator[Client]:
    """Start workers as jobs or pods, as Dask's own configuration describes them."""
    module, name = _CLASSES[kind]
    with needing(kind):
        factory = getattr(importlib.import_module(module), name)
    single = {variable: str(threads) for variable in _THREADS}
    try:
        if kind == "slurm":
            prologue = [f"export {variable}={count}" for variable, count in single.items()]
            prologue += dask.config.get("jobqueue.slurm.job-script-prologue", [])
            own = dask.config.get("jobqueue.slurm.scheduler-options", {})
            cluster = factory(
                cores=threads,
                processes=1,
                job_script_prologue=prologue,
                worker_extra_args=["--nthreads", "1"],
                scheduler_options={"dashboard_address": ":0", **own},
            )
            cluster.scale(workers)
        else:
            env = {**single, **dask.config.get("kubernetes.env")}
            cluster = factory(n_workers=workers, env=env, quiet=True)
    except Exception as error:
        raise OptionError(f"cluster {kind}: {error}") from error
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client


_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextmanager
def _local(chosen: Workers, count: int) -> Iterator[Client]:
    """Start a scheduler in this process, and workers beside it."""
    settings = {
        "distributed.scheduler.allowed-failures": chosen.retries,
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.worker.profile.enabled": False,  # would record a call tree every second
    }
    with (
        tempfile.TemporaryDirectory(prefix="cmsr-batch-", ignore_cleanup_errors=True) as scratch,
        dask.config.set(settings),
        SpecCluster(
            workers={index: _worker(chosen, count, index, scratch) for index in range(count)},
            scheduler={"cls": Scheduler, "options": _scheduler(chosen)},
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        try:
            yield client
        except BaseException:
            _kill(cluster)
            raise


def _scheduler(chosen: Workers) -> dict[str, Any]:
    at = {"dashboard_address": "127.0.0.1:0"}
    if chosen.in_process:
        return {"protocol": "inproc://", "dashboard": False, **at}
    return {"host": "127.0.0.1", "dashboard": True, **at}


def _worker(chosen: Workers, count: int, index: int, scratch: str) -> dict[str, Any]:
    """Specify one worker: a process on one core or GPU, with one pair at a time."""
    if chosen.in_process:
        options = {"protocol": "inproc://", "nthreads": 1, "dashboard": False}
        return {"cls": DaskWorker, "options": options}
    env = {variable: str(chosen.threads) for variable in _THREADS} | {"TMPDIR": scratch}
    if chosen.gpus:
        env["CUDA_VISIBLE_DEVICES"] = str(index % chosen.gpus)
    options = {
        "host": "127.0.0.1",
        "nthreads": 1,
        "env": env,
        "local_directory": scratch,
        "memory_limit": int(psutil.virtual_memory().total / count),
        "dashboard": False,
        "silence_logs": logging.ERROR,
    }
    return {"cls": Nanny, "options": options}


def _kill(cluster: SpecCluster) -> None:
    """Kill the workers; their work under way is lost."""
    for worker in cluster.workers.values():
        if isinstance(worker, Nanny) and worker.pid is not None:
            worker.close_gracefully()  # keeps the nanny from restarting it
            with suppress(psutil.NoSuchProcess):
                psutil.Process(worker.pid).kill()
