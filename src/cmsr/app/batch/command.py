"""The command `cmsr batch` with its options.

Only what parsing needs is imported at the top, so that help is instant.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from cmsr.app.extras import needing
from cmsr.config import Config
from cmsr.errors import RunError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Upscale any number of pairs on all cores, or on a cluster; finished pairs are skipped."""

    pairs: Positional[str]
    """CSV file with the columns name,target,guide; paths in it are relative to it. Like
    every file here it may be a URL: s3://…, gs://…"""

    out: Annotated[str, arg(aliases=["-o"])]
    """Folder for the results NAME.tif, their records NAME.json, batch.jsonl and a contact sheet."""

    format: Literal["tif", "png", "npy", "exr"] = "tif"
    """Format of the results."""

    workers: int | None = None
    """Processes, each with one pair at a time; by default one for each core, or each GPU."""

    threads: int = 1
    """Threads of each process."""

    scheduler: str | None = None
    """Address of a Dask scheduler with workers of its own, for example tcp://10.0.0.1:8786."""

    cluster: Literal["slurm", "kubernetes"] | None = None
    """Start the workers as jobs or pods, as Dask's own configuration describes them."""

    retries: int = 1
    """Further attempts at a pair that fails."""

    series: bool = False
    """The rows are frames of one camera in order (of several, where there is a column series):
    each starts from the state of the one before."""

    report: bool = False
    """Also write a report NAME.html for each pair, as upscale --report does."""

    quiet: bool = False
    """Print nothing but errors."""

    overwrite: bool = False
    """Replace files that no batch has written."""

    config: OmitArgPrefixes[Config]
    """Options of the method; the preset sets those that are not given."""

    def run(self) -> None:
        """Run the batch and print its summary."""
        with needing("batch"):
            from cmsr.app.batch.progress import display
            from cmsr.app.batch.run import run_batch

        with display(quiet=self.quiet) as shown:
            tally = run_batch(self, shown)
        if not self.quiet:
            print(tally.summary(self.out))
        if tally.failed:
            raise RunError(f"{len(tally.failed)} of {tally.total} pairs failed")
