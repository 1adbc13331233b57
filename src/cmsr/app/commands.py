"""The commands with their options; each calls the library and prints.

Only what parsing needs is imported at the top, so that help is instant.
"""

from __future__ import annotations

import dataclasses
import json as json_text
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from tyro.conf import OmitArgPrefixes, Positional, arg

from cmsr.app.extras import needing
from cmsr.app.progress import progress_bar
from cmsr.config import Config
from cmsr.errors import OptionError

if TYPE_CHECKING:
    from cmsr.app.job import Cluster

Out = Annotated[Path, arg(aliases=["-o"])]


class Command(Protocol):
    """A command: its arguments, and its action."""

    def run(self) -> None:
        """Run the command."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upscale:
    """Upscale a low-resolution image to the resolution of an RGB photo of the same scene."""

    target: Positional[Path]
    """Low-resolution image from any sensor."""

    guide: Positional[Path | None] = None
    """Photo of the same scene; without one, --ratio sets the enlargement."""

    out: Out
    """File of the result; its ending chooses the format."""

    json: Path | None = None
    """Also write the record of the run, as JSON."""

    quiet: bool = False
    """Print nothing but errors."""

    overwrite: bool = False
    """Replace files that exist."""

    config: OmitArgPrefixes[Config]
    """Options of the method; the preset sets those that are not given."""

    preview: Path | None = None
    """Also write a false-colour picture with a scale bar, as PNG."""

    report: Path | None = None
    """Also write a page with before and after, alignment, guide weight and residual, as HTML."""

    colour_map: str = "inferno"
    """Colour map of the preview: any of matplotlib's."""

    workers: int | None = None
    """Make the tiles of a huge image by so many processes; what a killed run made is used again."""

    scheduler: str | None = None
    """Make them by the workers of a Dask scheduler, for example tcp://10.0.0.1:8786."""

    cluster: Literal["slurm", "kubernetes"] | None = None
    """Make them by jobs or pods, as Dask's own configuration describes them."""

    def run(self) -> None:
        """Read, upscale, write."""
        from cmsr.app import job, record

        if self.preview is None and self.colour_map != Upscale.colour_map:
            raise OptionError("--colour-map requires --preview")
        asked = vars(self).keys() & {field.name for field in dataclasses.fields(job.Job)}
        options = {name: getattr(self, name) for name in asked} | {"cluster": self._cluster()}
        with progress_bar(self.quiet) as progress:
            facts = job.Job(**options).run(progress)
        for page in facts:
            _complain(page["warnings"])
        if not self.quiet:
            for note in dict.fromkeys(note for page in facts for note in page["notes"]):
                print(f"note: {note}", file=sys.stderr)
            print(f"{self.out}: {record.summary(facts[0])}", end="")
            print(f", {len(facts)} pages" if len(facts) > 1 else "")

    def _cluster(self) -> Cluster | None:
        """Return where to make tiles, if not in this process."""
        if (self.workers, self.scheduler, self.cluster) == (None, None, None):
            return None
        with needing("batch"):
            from cmsr.app.batch import clusters, tiles

        workers = clusters.Workers(
            count=self.workers,
            scheduler=self.scheduler,
            cluster=self.cluster,
            retries=tiles.RETRIES,
        )
        return partial(tiles.on_workers, workers)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Align:
    """Align an RGB photo with an image from another sensor."""

    target: Positional[Path]
    """Image from any sensor."""

    guide: Positional[Path | None] = None
    """Photo of the same scene, at least as large; a radiometric JPEG may hold its own."""

    out: Out
    """File of the aligned photo."""

    field: Path | None = None
    """Also write the displacement (right, down) in the photo's pixels, as .tif or .npz."""

    mask: Path | None = None
    """Also write a mask of the pixels that the photo covers: 255, else 0."""

    overlay: Path | None = None
    """Also write a checkerboard of target and photo, for visual inspection."""

    json: Path | None = None
    """Also write the transforms and the record of the alignment, as JSON."""

    how: Annotated[Literal["auto", "affine", "segments"], arg(name="align")] = "auto"
    """Transform of the photo: an affine map, the one that predicts held-out pixels best, or one for
    each object."""

    segments: Path | None = None
    """Label image of the photo's size, a whole number for each object."""

    points: Path | None = None
    """CSV file of places that are the same in both images; as for upscale."""

    points_out: Path | None = None
    """Also write where nine places of the target lie in the photo, for editing, as CSV."""

    field_of_view: tuple[float, float] | None = None
    """Horizontal fields of view of target and photo, in degrees, where they are known."""

    quiet: bool = False
    """Print nothing but errors and warnings."""

    overwrite: bool = False
    """Replace files that exist."""

    def run(self) -> None:
        """Read, align, write."""
        from cmsr import api
        from cmsr.app import record
        from cmsr.io import image_files
        from cmsr.prologue import opened

        self._check_outputs()
        options = {
            "align": self.how,
            "segments": self.segments and str(self.segments),
            "points": self.points and str(self.points),
            "field_of_view": self.field_of_view,
        }
        config = Config.of("default", **options)
        pair = opened(self.target, self.guide, config, guided=True)
        guide = pair.photo
        image_files.check_output(self.out, like=guide, overwrite=True)
        found = api.registered(pair)
        image_files.write(self.out, found.guide, found.valid, like=guide)
        if self.field:
            api.write_field(self.field, found.displacement, like=guide)
        if self.points_out:
            api.write_points(self.points_out, found.displacement, pair.target.shape)
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

        named = (self.target, self.guide, self.segments, self.points)
        inputs = [image_files.locate(path)[0] for path in named if path is not None]
        outputs = (self.out, self.field, self.points_out, self.mask, self.overlay, self.json)
        given = [path for path in outputs if path is not None]
        image_files.check_distinct(given)
        for path in given:
            image_files.check_output(path, inputs=inputs, overwrite=self.overwrite)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Compare an image with the truth: PSNR, SSIM, and RMSE in the data's own units."""

    image: Positional[Path]
    """Image to evaluate."""

    truth: Positional[Path]
    """Truth to compare it with."""

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
    """Describe a file: size, type, range, holes, georeference."""

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
    """Serve a web page that does what upscale does."""

    port: int = 7860
    """Port to listen on."""

    host: str = "127.0.0.1"
    """Address to listen on. 127.0.0.1 serves this machine only; 0.0.0.0 serves everyone who can
    reach it over the network, without a password."""

    max_upload: int = 512
    """Largest upload, in MB."""

    max_pixels: int = 2**25
    """Largest image, read or made, in pixels."""

    max_memory: float = 4.0
    """Memory to plan for, in GB."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to compute on."""

    def run(self) -> None:
        """Serve until interrupted."""
        from cmsr.app.web.server import serve

        Config(device=self.device, max_pixels=self.max_pixels, max_memory=self.max_memory)
        serve(**vars(self))


def _complain(warnings: list[str]) -> None:
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
