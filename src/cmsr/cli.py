"""The command line: it reads arguments, calls the library and prints; it holds no logic.

Only what parsing needs is imported at the top, so that help is instant.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io as text_io
import json as json_text
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from cmsr import __version__
from cmsr.config import Config
from cmsr.errors import CmsrError, OptionError, RunError

if TYPE_CHECKING:
    from cmsr.published.train import Progress

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
        from cmsr import job, record

        asked = vars(self).keys() & {field.name for field in dataclasses.fields(job.Job)}
        options = {name: getattr(self, name) for name in asked}
        with _progress(self.quiet) as progress:
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
        from cmsr import record, registered
        from cmsr.files import io

        self._check_outputs()
        options = {"align": self.how, "segments": self.segments and str(self.segments)}
        target, guide, notes = registered.read(
            self.target, self.guide, Config.of("default", **options)
        )
        io.check_output(self.out, like=guide, overwrite=True)
        found = registered.align(target, guide, **options)
        found.info["notes"][:0] = notes
        io.write(self.out, found.guide, found.valid, like=guide)
        if self.field:
            registered.write_field(self.field, found.displacement, like=guide)
        if self.mask:
            io.write(self.mask, found.valid.astype("uint8") * 255)
        if self.overlay:
            io.write(self.overlay, found.overlay)
        if self.json:
            record.write_json(self.json, found.info)
        _complain(found.info["warnings"])
        if not self.quiet:
            for note in found.info["notes"]:
                print(f"note: {note}", file=sys.stderr)
            print(f"{self.out}: {record.alignment_summary(found.info)}")

    def _check_outputs(self) -> None:
        from cmsr.files import io

        named = (self.target, self.guide, self.segments)
        inputs = [io.locate(path)[0] for path in named if path is not None]
        outputs = (self.out, self.field, self.mask, self.overlay, self.json)
        given = [path for path in outputs if path is not None]
        io.check_distinct(given)
        for path in given:
            io.check_output(path, inputs=inputs, overwrite=self.overwrite)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Upscale any number of pairs on all cores, or on a cluster; what is done is not done again."""

    pairs: Positional[str]
    """CSV file with the columns name,target,guide; paths in it are relative to it. Like every
    file here it may be a URL: s3://…, gs://…"""

    out: Annotated[str, arg(aliases=["-o"])]
    """Folder for the results NAME.tif, their records NAME.json, batch.jsonl and a contact sheet."""

    format: Literal["tif", "png", "npy", "exr"] = "tif"
    """Format of the results."""

    workers: int | None = None
    """Processes, each with one pair at a time; one a core, or one a GPU, if not given."""

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
    each starts from what was found in the one before."""

    report: bool = False
    """Also write a page NAME.html for each pair, as upscale --report does."""

    quiet: bool = False
    """Print nothing but errors."""

    overwrite: bool = False
    """Replace files that no batch has made."""

    config: OmitArgPrefixes[Config]
    """How to do it; the preset decides what is not given."""

    def run(self) -> None:
        """Plan, work, sum up."""
        from cmsr.batch import clusters, run, watch

        crew = clusters.Crew(
            workers=self.workers,
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
            crew=crew,
            config=self.config,
        )
        with watch.watching(quiet=self.quiet) as shown:
            tally = batch.run(shown)
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
        from cmsr import metrics, record
        from cmsr.files import io

        if self.json:
            inputs = [self.image, self.truth]
            io.check_output(self.json, inputs=inputs, overwrite=self.overwrite)
        figures = metrics.evaluate(io.read(self.image), io.read(self.truth))
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
        from cmsr import record
        from cmsr.files import inputs

        raster, notes = inputs.read_alone(self.file)
        facts = record.of_file(raster) | {"notes": notes}
        if self.json:
            print(json_text.dumps(facts, indent=2))
        else:
            print("\n".join(f"{name + ':':10} {value}" for name, value in facts.items()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Demo:
    """Render a scene seen by two cameras, upscale it, and show before and after."""

    out: Out = Path("cmsr-demo")
    """Folder for the pictures; it is made if it does not exist."""

    seed: int = 0
    """Another seed, another scene."""

    quiet: bool = False
    """Print nothing but errors."""

    overwrite: bool = False
    """Replace pictures of an earlier run."""

    def run(self) -> None:
        """Render, upscale, compare, write."""
        from cmsr.demo import run

        with _progress(self.quiet) as progress:
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
        from cmsr.web.server import serve

        Config(device=self.device, max_pixels=self.max_pixels, max_memory=self.max_memory)
        serve(**vars(self))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """Compare methods on pairs, or train one (`cmsr bench train`): tables, plots, crops."""

    table: Positional[Path | None] = None
    """PAIRS.csv, with the columns name,target,guide and optionally dataset,truth,scale."""

    methods: tuple[str, ...] = ("bicubic", "guided-filter", "cmsr")
    """What to compare, or all; METHOD:OPTION=VALUE changes an option of `cmsr upscale`."""

    ablation: Literal["p", "align"] | None = None
    """Compare the published network for p = 0 to 1, or methods by how freely they align."""

    out: Out = Path("cmsr-bench")
    """Folder for records, results.json, tables, plots; run again, it goes on where it stopped."""

    dataset: tuple[str, ...] = ()
    """Data sets of the table to keep."""

    pairs: tuple[str, ...] = ()
    """Pairs of the table to keep."""

    seeds: tuple[int, ...] = (0,)
    """Seeds to run each method with, where it has any chance in it."""

    weights: Path | None = None
    """Folder of METHOD.safetensors, as `cmsr bench train` made them."""

    report: bool = False
    """Also write a page for each run of cmsr's own methods, into the folder pictures."""

    workers: int = 0
    """Runs at a time, one core each; 0 for all cores."""

    list: bool = False
    """Only list the methods."""

    quiet: bool = False
    """Print nothing but errors."""

    def run(self) -> None:
        """List, or compare and print the tables."""
        from cmsr.bench import ablations, comparison, methods, tables

        if self.list:
            for method in methods.METHODS.values():
                print(f"{method.name:14} {method.summary}")
            return
        if self.table is None:
            raise OptionError("bench needs a table of pairs, or --list")
        named = ablations.methods_of(self.ablation) if self.ablation else self.methods
        work = comparison.Comparison(
            table=self.table,
            methods=named,
            out=self.out,
            datasets=self.dataset,
            pairs=self.pairs,
            seeds=self.seeds,
            weights=self.weights,
            report=self.report,
            workers=self.workers or os.cpu_count() or 1,
        )
        records = work.run(None if self.quiet else _tell)
        if not self.quiet:
            print(tables.report(records))


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchTrain:
    """Train a method from the literature on pairs with truths, by cross-validation."""

    method: Positional[Literal["djf", "vtsrcnn", "vtsrgan"]]
    """Which."""

    table: Positional[Path]
    """PAIRS.csv; every pair needs a guide and a truth."""

    out: Out
    """The weights (.safetensors); an unfinished file is gone on with."""

    dataset: tuple[str, ...] = ()
    """Data sets of the table to keep."""

    folds: int = 2
    """Parts of the pairs, each held out once; as many as pairs: leave one out."""

    steps: int = 0
    """Batches in each fold; 0 for the method's own number."""

    seed: int = 0
    """Of the first weights and the patches."""

    quiet: bool = False
    """Print nothing but errors."""

    def run(self) -> None:
        """Train, and print what each fold reached on the pairs it had not seen."""
        from cmsr.bench import training

        work = training.Training(
            method=self.method,
            table=self.table,
            out=self.out,
            datasets=self.dataset,
            folds=self.folds,
            steps=self.steps,
            seed=self.seed,
        )
        with _progress(self.quiet) as progress:
            weights = work.run(progress)
        if not self.quiet:
            print(training.report(weights))


def _tell(done: int, total: int, record: dict[str, Any]) -> None:
    """Print a line for a run that ended."""
    reached = "not scored" if record["psnr"] is None else f"{record['psnr']:.2f} dB"
    seconds = f", {record['seconds']:.1f} s" if record["seconds"] is not None else ""
    what = f"{record['dataset']}/{record['pair']} {record['method']} seed {record['seed']}"
    print(f"[{done}/{total}] {what}: {record['error'] or reached}{seconds}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0 when done, 2 where the input or the options are wrong, else 1.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process otherwise.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:2] == ["bench", "train"]:
        arguments[:2] = ["bench-train"]
    if arguments == ["--version"]:
        print(__version__)
        return 0
    try:
        _parse(arguments).run()
    except CmsrError as error:
        print(f"cmsr: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except RunError as error:
        print(f"cmsr: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cmsr: interrupted", file=sys.stderr)
        return 130
    return 0


def _complain(warnings: list[str]) -> None:
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _parse(arguments: list[str]) -> Command:
    """Turn arguments into a command; what the parser has against them becomes one line."""
    config = Config.of(_preset(arguments))
    commands: dict[str, Callable[..., Command]] = {
        "upscale": partial(Upscale, config=config),
        "align": Align,
        "batch": partial(Batch, config=config),
        "evaluate": Evaluate,
        "info": Info,
        "demo": Demo,
        "web": Web,
        "bench": Bench,
        "bench-train": BenchTrain,
    }
    complaint = text_io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            command: Command = tyro.extras.subcommand_cli_from_dict(
                commands, args=arguments, prog="cmsr", registry=_registry()
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise OptionError(_one_line(complaint.getvalue())) from None
    return command


def _preset(arguments: list[str]) -> str:
    """Find the preset before all else is parsed: it decides the other options' defaults."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--preset", default="default")
    try:
        return str(parser.parse_known_args(arguments)[0].preset)
    except argparse.ArgumentError:
        return "default"


def _registry() -> ConstructorRegistry:
    """Read tuples as one word: 2,4."""
    registry = ConstructorRegistry()
    kinds: dict[Any, tuple[Callable[[str], float | str], str]] = {
        tuple[float, ...]: (float, "R,R,…"),
        tuple[int, ...]: (int, "N,N,…"),
        tuple[str, ...]: (str, "NAME,NAME,…"),
    }

    @registry.primitive_rule
    def _tuples(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        if info.type not in kinds:
            return None
        kind, metavar = kinds[info.type]
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar=metavar,
            instance_from_str=lambda words: tuple(kind(w) for w in words[0].split(",") if w),
            is_instance=lambda value: isinstance(value, tuple),
            str_from_instance=lambda value: [",".join(_shortly(part) for part in value)],
        )

    return registry


def _shortly(part: float | str) -> str:
    return part if isinstance(part, str) else f"{part:g}"


def _one_line(box: str) -> str:
    """Take the first paragraph out of the parser's framed message."""
    lines = [line.strip("│ ") for line in box.splitlines() if not re.match(r"\s*[╭╰]", line)]
    rules = [i for i, line in enumerate(lines) if line.startswith("─")]
    return " ".join(" ".join(lines[: rules[0] if rules else None]).split())


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[Progress | None]:
    """Show a bar with the loss and the time left, where there is a terminal to show it on."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}  loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(stage: str, step: int, steps: int, loss: float) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=steps, loss=loss)
            bar.update(tasks[stage], completed=step, total=steps, loss=loss)

        yield show
