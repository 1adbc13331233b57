"""The command `cmsr batch` with its options.

Only what parsing needs is imported at the top, so that help is instant.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from cmsr.app.arguments import Argument, Command
from cmsr.app.extras import needing
from cmsr.config import Config
from cmsr.errors import RunError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch(Command):
    """Upscale any number of pairs on all cores or on a cluster; finished pairs are skipped."""

    examples: ClassVar[tuple[str, ...]] = (
        "cmsr batch pairs.csv -o results --preset fast",
        "cmsr batch DCIM -o results --pairs-out pairs.csv --dry-run",
    )

    surplus: ClassVar[str] = "name their folder, or a CSV file that lists the pairs"

    pairs: Annotated[str, Argument(positional=True, placeholder="PAIRS.csv")]
    """CSV file with the columns name,target,guide, to which the paths in it are relative, or a
    folder of images, whose pairs are found. Like every file here the CSV file may be a URL:
    s3://…, gs://…"""

    out: Annotated[str, Argument(short="-o", placeholder="FOLDER")]
    """Folder for the results NAME.tif, their records NAME.json, batch.jsonl and a contact sheet."""

    config: Config
    """Options of the method; the preset sets those that are not given."""

    report: bool = False
    """Also write a report NAME.html for each pair, as upscale --report does, and index.html, a page
    over them."""

    preview: bool = False
    """Also write a false-colour picture NAME.preview.png for each pair."""

    error_map: bool = False
    """Also write the expected absolute error of each pixel, NAME.error.tif, for each pair."""

    pairs_out: Path | None = None
    """Also write the pairs that were found in the folder, for editing, as CSV."""

    dry_run: bool = False
    """Only show the pairs, and write --pairs-out."""

    format: Literal["tif", "png", "npy", "exr"] = "tif"
    """Format of the results."""

    series: bool = False
    """Treat the rows as successive frames of one camera (or of several, named in a column series):
    each starts from the state of the one before."""

    quiet: bool = False
    """Print errors only."""

    overwrite: bool = False
    """Replace files that were not written by a batch."""

    workers: Annotated[int | None, Argument(group="workers")] = None
    """Processes, each with one pair at a time; by default one for each core, or each GPU."""

    threads: Annotated[int, Argument(group="workers")] = 1
    """Threads of each process."""

    scheduler: Annotated[str | None, Argument(placeholder="URL", group="workers")] = None
    """Address of a Dask scheduler with workers of its own, for example tcp://10.0.0.1:8786."""

    cluster: Annotated[Literal["slurm", "kubernetes"] | None, Argument(group="workers")] = None
    """Start the workers as jobs or pods, as Dask's own configuration describes them."""

    retries: Annotated[int, Argument(group="workers")] = 1
    """Further attempts at a pair that fails."""

    def run(self) -> None:
        """Run the batch and print its summary."""
        with needing("batch"):
            from cmsr.app.batch.progress import display
            from cmsr.app.batch.run import run_batch, show_pairs

        if self.dry_run:
            print(show_pairs(self))
            return
        with display(quiet=self.quiet) as shown:
            tally = run_batch(self, shown)
        if not self.quiet:
            print(tally.summary(self.out))
        if tally.failed:
            raise RunError(f"{len(tally.failed)} of {tally.total} pairs failed")
