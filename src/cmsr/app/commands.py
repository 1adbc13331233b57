"""The commands that need no pair of one's own; each calls the library and prints.

Only what parsing needs is imported at the top, so that help is instant.
"""

from __future__ import annotations

import dataclasses
import json as json_text
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from cmsr.app.arguments import Argument, Command
from cmsr.app.progress import progress_bar
from cmsr.config import Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(Command):
    """Compare an image with the truth: PSNR, SSIM, and RMSE in the data's own units."""

    examples: ClassVar[tuple[str, ...]] = ("cmsr evaluate sharp.tif truth.tif",)

    image: Annotated[Path, Argument(positional=True, placeholder="IMAGE")]
    """Image to evaluate."""

    truth: Annotated[Path, Argument(positional=True, placeholder="TRUTH")]
    """Truth to compare it with."""

    json: Path | None = None
    """Also write the figures as JSON; - prints them."""

    overwrite: bool = False
    """Replace the JSON file if it exists."""

    def run(self) -> None:
        """Read both, compare, print."""
        from cmsr import metrics
        from cmsr.app import record
        from cmsr.io import image_files

        if self.json and self.json != record.PRINTED:
            inputs = [self.image, self.truth]
            image_files.check_output(self.json, inputs=inputs, overwrite=self.overwrite)
        figures = metrics.evaluate(image_files.read(self.image), image_files.read(self.truth))
        if self.json:
            record.write_json(self.json, figures)
        if self.json == record.PRINTED:
            return
        print(
            f"PSNR {figures['psnr']:.2f} dB (peak {figures['peak']:g})  "
            f"SSIM {figures['ssim']:.4f}  RMSE {figures['rmse']:.4g}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Info(Command):
    """Describe a file: size, type, range, holes, georeference."""

    examples: ClassVar[tuple[str, ...]] = ("cmsr info thermal.tif",)

    file: Annotated[Path, Argument(positional=True, placeholder="FILE")]
    """Image file."""

    json: bool = False
    """Print JSON."""

    def run(self) -> None:
        """Read and describe."""
        from cmsr.app import record, summary
        from cmsr.io import inputs

        raster, notes = inputs.read_alone(self.file)
        facts = record.of_file(raster) | {"notes": notes}
        if self.json:
            print(json_text.dumps(facts, indent=2))
        else:
            print(summary.of_file(facts))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Demo(Command):
    """Upscale a rendered street seen by two cameras, and show before and after."""

    examples: ClassVar[tuple[str, ...]] = ("cmsr demo",)

    out: Annotated[Path, Argument(short="-o", placeholder="FOLDER")] = Path("cmsr-demo")
    """Folder for the pictures; it is made if it does not exist."""

    seed: int = 0
    """Seed of the run; the scene is always the same."""

    quiet: bool = False
    """Print errors only."""

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
class Web(Command):
    """Serve a web page that does what upscale does."""

    examples: ClassVar[tuple[str, ...]] = ("cmsr web",)

    port: int = 7860
    """Port to listen on."""

    host: Annotated[str, Argument(placeholder="ADDRESS")] = "127.0.0.1"
    """Address to listen on. 127.0.0.1 serves this machine only; 0.0.0.0 serves everyone who can
    reach it over the network, without a password."""

    max_upload: Annotated[int, Argument(placeholder="MB")] = 512
    """Largest upload, in MB."""

    max_pixels: int = 2**25
    """Largest image, read or made, in pixels."""

    max_memory: Annotated[float, Argument(placeholder="GB")] = 4.0
    """Memory to plan for, in GB."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to compute on."""

    def run(self) -> None:
        """Serve until interrupted."""
        Config(device=self.device, max_pixels=self.max_pixels, max_memory=self.max_memory)
        if find_spec("gradio"):
            address = f"http://{self.host}:{self.port}"
            print(f"cmsr web: starting at {address} …", file=sys.stderr, flush=True)
        from cmsr.app.web.server import serve

        serve(**vars(self))
