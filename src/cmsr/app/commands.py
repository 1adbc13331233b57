"""What one can ask for, with all options: each command calls the library and prints.

Only what parsing needs is imported at the top, so that help is instant.
"""

from __future__ import annotations

import dataclasses
import json as json_text
import sys
from pathlib import Path
from typing import Annotated, Literal, Protocol

from tyro.conf import OmitArgPrefixes, Positional, arg

from cmsr.app.extras import needing
from cmsr.app.progress import progress_bar
from cmsr.config import Config
from cmsr.errors import RunError

Out = Annotated[Path, arg(aliases=["-o"])]


class Command(Protocol):
    """Arguments of one command, and what to do with them."""

    def run(self) -> None:
        """Do it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upscale:
    """Bring a low-resolution image to the resolution of an RGB photo of the same scene."""

    target: Positional[Path]
    """Low-resolution image of any sensor."""

    guide: Positional[Path | None] = None
    """Photo of the same scene; without one, --ratio says how much to enlarge."""

    out: Out
    """Where to write the result; the ending chooses the format."""

    json: Path | None = None
    """Also write what was done and found, as JSON."""

    quiet: bool = False
    """Print nothing but errors."""

    overwrite: bool = False
    """Replace files that exist."""

    config: OmitArgPrefixes[Config]
    """How to do it; the preset decides what is not given."""

    preview: Path | None = None
    """Also write a picture in colours with a scale bar, as PNG."""

    report: Path | None = None
    """Also write a page that shows before and after, alignment, trust and residual, as HTML."""

    colour_map: str = "inferno"
    """Colour map of the preview: any of matplotlib's."""

    def run(self) -> None:
        """Read, upscale, write."""
        from cmsr.app import job, record

        asked = vars(self).keys() & {field.name for field in dataclasses.fields(job.Job)}
        options = {name: getattr(self, name) for name in asked}
        with progress_bar(self.quiet) as progress:
            facts = job.Job(**options).run(progress)
        for page in facts:
            _complain(page["warnings"])
        if not self.quiet:
            for note in dict.fromkeys(note for page in facts for note in page["notes"]):
                print(f"note: {note}", file=sys.stderr)
            print(f"{self.out}: {record.summary(facts[0])}", end="")
            print(f", {len(facts)} pages" if len(facts) > 1 else "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Align:
    """Lay an RGB photo over an image of another sensor, and show how well it lies."""

    target: Positional[Path]
    """Image of any sensor."""

    guide: Positional[Path | None] = None
    """Photo of the same scene, at least as large; a radiometric JPEG may hold its own."""

    out: Out
    """Where to write the moved photo."""

    field: Path | None = None
    """Also write the displacement (right, down) in the photo's pixels, as .tif or .npz."""

    mask: Path | None = None
    """Also write where the photo reaches: 255, else 0."""

    overlay: Path | None = None
    """Also write target and photo in a checkerboard, to judge by eye."""

    json: Path | None = None
    """Also write the warps and what was found, as JSON."""

    how: Annotated[Literal["auto", "affine", "segments"], arg(name="align")] = "auto"
    """How freely the photo is moved: by an affine map alone, by all that helps, or by that with
    every object moved by itself."""

    segments: Path | None = None
    """Label image of the photo's size, a whole number for each object."""

    quiet: bool = False
    """Print nothing but errors and warnings."""

    overwrite: bool = False
    """Replace files that exist."""

    def run(self) -> None:
        """Read, align, write."""
        from cmsr import api
        from cmsr.app import record
        from cmsr.io import image_files

        self._check_outputs()
        options = {"align": self.how, "segments": self.segments and str(self.segments)}
        pair = api.opened_with_guide(self.target, self.guide, Config.of("default", **options))
        guide = pair.photo
        image_files.check_output(self.out, like=guide, overwrite=True)
        found = api.registered(pair)
        image_files.write(self.out, found.guide, found.valid, like=guide)
        if self.field:
            api.write_field(self.field, found.displacement, like=guide)
        if self.mask:
            image_files.write(self.mask, found.valid.astype("uint8") * 255)
        if self.overlay:
            image_files.write(self.overlay, found.overlay)
        if self.json:
            record.write_json(self.json, found.info)
        _complain(found.info["warnings"])
        if not self.quiet:
            for note in found.info["notes"]:
                print(f"note: {note}", file=sys.stderr)
            print(f"{self.out}: {record.alignment_summary(found.info)}")

    def _check_outputs(self) -> None:
        from cmsr.io import image_files

        named = (self.target, self.guide, self.segments)
        inputs = [image_files.locate(path)[0] for path in named if path is not None]
        outputs = (self.out, self.field, self.mask, self.overlay, self.json)
        given = [path for path in outputs if path is not None]
        image_files.check_distinct(given)
        for path in given:
            image_files.check_output(path, inputs=inputs, overwrite=self.overwrite)


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
    """How often a pair that fails is tried again."""

    series: bool = False
    """The rows are frames of one camera in order (of several, where there is a column series):
    each starts from the state of the one before."""

    report: bool = False
    """Also write a page NAME.html for each pair, as upscale --report does."""

    quiet: bool = False
    """Print nothing but errors."""

    overwrite: bool = False
    """Replace files that no batch has made."""

    config: OmitArgPrefixes[Config]
    """How to do it; the preset decides what is not given."""

    def run(self) -> None:
        """Run the batch and print its summary."""
        with needing("batch"):
            from cmsr.app.batch import clusters, progress, run

        workers = clusters.Workers(
            count=self.workers,
            threads=self.threads,
            scheduler=self.scheduler,
            cluster=self.cluster,
            retries=self.retries,
        )
        batch = run.Batch(
            pairs=self.pairs,
            out=self.out,
            ending=self.format,
            series=self.series,
            report=self.report,
            overwrite=self.overwrite,
            workers=workers,
            config=self.config,
        )
        with progress.display(quiet=self.quiet) as display:
            tally = batch.run(display)
        if not self.quiet:
            print(tally.summary(self.out))
        if tally.failed:
            raise RunError(f"{len(tally.failed)} of {tally.total} pairs failed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Compare an image with the truth: PSNR, SSIM, and RMSE in the data's own units."""

    image: Positional[Path]
    """Image to judge."""

    truth: Positional[Path]
    """What it should be."""

    json: Path | None = None
    """Also write the figures as JSON."""

    overwrite: bool = False
    """Replace the JSON file if it exists."""

    def run(self) -> None:
        """Read both, compare, print."""
        from cmsr import metrics
        from cmsr.app import record
        from cmsr.io import image_files

        if self.json:
            inputs = [self.image, self.truth]
            image_files.check_output(self.json, inputs=inputs, overwrite=self.overwrite)
        figures = metrics.evaluate(image_files.read(self.image), image_files.read(self.truth))
        if self.json:
            record.write_json(self.json, figures)
        print(
            f"PSNR {figures['psnr']:.2f} dB (peak {figures['peak']:g})  "
            f"SSIM {figures['ssim']:.4f}  RMSE {figures['rmse']:.4g}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Info:
    """Say what a file holds: size, type, range, holes, georeference."""

    file: Positional[Path]
    """Image file."""

    json: bool = False
    """Print JSON."""

    def run(self) -> None:
        """Read and describe."""
        from cmsr.app import record
        from cmsr.io import inputs

        raster, notes = inputs.read_alone(self.file)
        facts = record.of_file(raster) | {"notes": notes}
        if self.json:
            print(json_text.dumps(facts, indent=2))
        else:
            print("\n".join(f"{name + ':':10} {value}" for name, value in facts.items()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Demo:
    """Upscale a rendered street seen by two cameras, and show before and after."""

    out: Out = Path("cmsr-demo")
    """Folder for the pictures; it is made if it does not exist."""

    seed: int = 0
    """Seed of the run; the scene is always the same."""

    quiet: bool = False
    """Print nothing but errors."""

    overwrite: bool = False
    """Replace pictures of an earlier run."""

    def run(self) -> None:
        """Upscale, compare, write."""
        from cmsr.app.demo import run

        with progress_bar(self.quiet) as progress:
            report = run(self.out, self.seed, overwrite=self.overwrite, progress=progress)
        if not self.quiet:
            print(report)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Web:
    """Open a page for the browser that does what upscale does."""

    port: int = 7860
    """Port to listen on."""

    host: str = "127.0.0.1"
    """Address to listen on. 127.0.0.1 serves this machine alone; 0.0.0.0 serves everyone who can
    reach it over the network, without a password."""

    max_upload: int = 512
    """Largest file that is taken, in MB."""

    max_pixels: int = 2**25
    """Largest image, read or made, in pixels."""

    max_memory: float = 4.0
    """Memory to plan for, in GB."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""

    def run(self) -> None:
        """Serve until interrupted."""
        from cmsr.app.web.server import serve

        Config(device=self.device, max_pixels=self.max_pixels, max_memory=self.max_memory)
        serve(**vars(self))


def _complain(warnings: list[str]) -> None:
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
