"""The commands that work on one target and its photo: `cmsr upscale` and `cmsr align`.

Only what parsing needs is imported at the top, so that help is instant.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from cmsr.app.arguments import Argument, Command
from cmsr.app.extras import needing
from cmsr.app.loading import loading
from cmsr.app.progress import progress_bar
from cmsr.config import Config
from cmsr.errors import OptionError

if TYPE_CHECKING:
    from cmsr.app.job import Cluster
    from cmsr.progress import Progress
    from cmsr.result import Registered


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upscale(Command):
    """Upscale a low-resolution image to the resolution of a photo of the same scene."""

    examples: ClassVar[tuple[str, ...]] = (
        "cmsr upscale thermal.tif photo.jpg -o sharp.tif --report report.html",
        "cmsr upscale FLIR.jpg -o sharp.tif --preview look.png   (holds its photo)",
        "cmsr upscale thermal.tif -o sharp.tif --ratio 4         (without a photo)",
    )

    target: Annotated[Path, Argument(positional=True, placeholder="TARGET")]
    """Low-resolution image from any sensor."""

    guide: Annotated[Path | None, Argument(positional=True, placeholder="PHOTO")] = None
    """Photo of the same scene, the guide; without one, give --ratio or --size."""

    out: Annotated[Path | str, Argument(short="-o", placeholder="OUT")]
    """File for the result; its ending chooses the format: .tif, .png, .jpg, .npy, .exr. It may be a
    URL: s3://…, gs://…"""

    cog: Annotated[bool, Argument(group="more output")] = False
    """Write a cloud-optimised GeoTIFF, as is done anyway if the target is one."""

    colour_map: Annotated[str, Argument(placeholder="NAME", group="more output")] = "inferno"
    """Colour map of the preview, any of matplotlib's."""

    preview_range: Annotated[
        tuple[float, float] | None,
        Argument(name="range", placeholder="MIN MAX", group="more output"),
    ] = None
    """Lowest and highest value of the preview's colours, in the unit of its scale bar; by default
    the result's range without half a percent at either end."""

    json: Annotated[Path | None, Argument(group="more output")] = None
    """Also write the record of the run as JSON; - prints it."""

    quiet: Annotated[bool, Argument(group="more output")] = False
    """Print errors only."""

    overwrite: Annotated[bool, Argument(group="more output")] = False
    """Replace files that exist."""

    config: Config
    """Options of the method."""

    report: Path | None = None
    """Also write a report, one HTML page: before and after, placed photo, its share, residual."""

    preview: Path | None = None
    """Also write a false-colour picture with a scale bar, as PNG."""

    error_map: Annotated[Path | None, Argument(placeholder="FILE", group="more output")] = None
    """Also write the expected absolute error of each pixel, float32 in the target's unit, as .tif,
    .npy or .exr."""

    workers: Annotated[int | None, Argument(group="one huge image")] = None
    """Processes that share the tiles; the finished tiles of a killed run are used again."""

    scheduler: Annotated[str | None, Argument(placeholder="URL", group="one huge image")] = None
    """Dask scheduler whose workers share the tiles, for example tcp://10.0.0.1:8786."""

    cluster: Annotated[Literal["slurm", "kubernetes"] | None, Argument(group="one huge image")] = (
        None
    )
    """Cluster whose jobs or pods share the tiles, as Dask's configuration describes them."""

    def run(self) -> None:
        """Read, upscale, write."""
        if self.preview is None and self.colour_map != Upscale.colour_map:
            raise OptionError("--colour-map requires --preview")
        if self.preview is None and self.preview_range is not None:
            raise OptionError("--range requires --preview")
        with progress_bar(self.quiet) as progress, self._local() as out:
            with loading():
                from cmsr.app import job, options, summary

            asked = vars(self).keys() & {field.name for field in dataclasses.fields(job.Job)}
            given = {name: getattr(self, name) for name in asked} | {"cluster": self._cluster()}
            if out != self.out:
                again = options.upscale_command(self.target, self.guide, self.out, self.config)
                given |= {"out": out, "overwrite": True, "again": again}
            facts = job.Job(**given).run(progress)
        notes = [] if self.quiet else [note for page in facts for note in page["notes"]]
        _say(warnings=[text for page in facts for text in page["warnings"]], notes=notes)
        if not self.quiet:
            others = {"preview": self.preview, "report": self.report,
                      "error map": self.error_map, "record": self.json}  # fmt: skip
            _end(summary.of_run(self.out, facts, others), self.json)

    def _local(self) -> AbstractContextManager[Path]:
        """Provide the file to write; for a URL it is uploaded in the end."""
        if isinstance(self.out, Path):
            return contextlib.nullcontext(self.out)
        with needing("batch"):
            from cmsr.app.batch.upload import uploaded

        return uploaded(self.out, overwrite=self.overwrite)

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
class Align(Command):
    """Place a photo over an image from another sensor, without changing that image."""

    examples: ClassVar[tuple[str, ...]] = (
        "cmsr align thermal.tif photo.jpg -o placed.png --overlay look.png",
    )

    target: Annotated[Path, Argument(positional=True, placeholder="TARGET")]
    """Image from any sensor."""

    guide: Annotated[Path | None, Argument(positional=True, placeholder="PHOTO")] = None
    """Photo of the same scene, at least as large; a radiometric JPEG may hold its own."""

    out: Annotated[Path, Argument(short="-o", placeholder="OUT")]
    """File for the placed photo."""

    overlay: Path | None = None
    """Also write a checkerboard of target and photo, to judge the placement by."""

    how: Annotated[Literal["auto", "affine", "segments"], Argument(name="align")] = "auto"
    """An affine map, a map for each object (segments), or what predicts held-out pixels best
    (auto)."""

    points: Path | None = None
    """CSV file of corresponding points in both images; see docs/TWO_CAMERAS.md."""

    field_of_view: Annotated[tuple[float, float] | None, Argument(placeholder="TARGET PHOTO")] = (
        None
    )
    """Horizontal fields of view of target and photo, in degrees, where they are known."""

    rig: Path | None = None
    """Rig file, written by cmsr rig."""

    segments: Path | None = None
    """Label image of the photo's size: a whole number for each object."""

    points_out: Annotated[Path | None, Argument(group="more output")] = None
    """Also write where nine places of the target lie in the photo, as CSV, for editing."""

    field: Annotated[Path | None, Argument(group="more output")] = None
    """Also write the displacement (right, down) in the photo's pixels, as .tif or .npz."""

    mask: Annotated[Path | None, Argument(group="more output")] = None
    """Also write a mask: 255 where the photo covers the target, 0 elsewhere."""

    json: Annotated[Path | None, Argument(group="more output")] = None
    """Also write the transforms and the record as JSON; - prints it."""

    quiet: Annotated[bool, Argument(group="more output")] = False
    """Print errors and warnings only."""

    overwrite: Annotated[bool, Argument(group="more output")] = False
    """Replace files that exist."""

    def run(self) -> None:
        """Read, align, write."""
        with progress_bar(self.quiet) as progress:
            found = self._found(progress)
        from cmsr.app import record, summary

        if self.json:
            record.write_json(self.json, found.info)
        _say(found.info["warnings"], [] if self.quiet else found.info["notes"])
        if not self.quiet:
            others = {
                "checkerboard": self.overlay,
                "points": self.points_out,
                "field": self.field,
                "mask": self.mask,
            }
            _end(summary.of_alignment(self.out, found.info, others), self.json)

    def _found(self, progress: Progress | None) -> Registered:
        """Read and align; write what are images and tables."""
        with loading():
            from cmsr import api
            from cmsr.io import image_files
            from cmsr.prologue import opened

        self._check_outputs()
        options = {
            "align": self.how,
            "segments": self.segments and str(self.segments),
            "points": self.points and str(self.points),
            "field_of_view": self.field_of_view,
            "rig": str(self.rig) if self.rig else "auto",
        }
        config = Config.of("default", **options)
        pair = opened(self.target, self.guide, config, guided=True, progress=progress)
        guide = pair.placed_photo
        image_files.check_output(self.out, like=guide, overwrite=True)
        found = api.registered(pair, progress)
        image_files.write(self.out, found.guide, found.valid, like=guide)
        if self.field:
            api.write_field(self.field, found.displacement, like=guide)
        if self.points_out:
            api.write_points(self.points_out, found.displacement, pair.target.shape)
        if self.mask:
            image_files.write(self.mask, found.valid.astype("uint8") * 255, like=guide.place)
        if self.overlay:
            image_files.write(self.overlay, found.overlay, like=guide.place)
        return found

    def _check_outputs(self) -> None:
        from cmsr.app import record
        from cmsr.io import image_files

        named = (self.target, self.guide, self.segments, self.points, self.rig)
        inputs = [image_files.locate(path)[0] for path in named if path is not None]
        given = record.files(
            self.out, self.field, self.points_out, self.mask, self.overlay, self.json
        )
        image_files.check_distinct(given)
        for path in given:
            image_files.check_output(path, inputs=inputs, overwrite=self.overwrite)


def _say(warnings: list[str], notes: list[str]) -> None:
    """Print each warning and each note once."""
    for kind, texts in (("warning", warnings), ("note", notes)):
        for text in dict.fromkeys(texts):
            print(f"{kind}: {text}", file=sys.stderr)


def _end(text: str, json: Path | None) -> None:
    """Print the end of a run, beside the record if that is printed."""
    print(text, file=sys.stderr if json == Path("-") else sys.stdout)
