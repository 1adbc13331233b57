"""The page: what it shows, and what happens on each click. The work itself is done elsewhere."""

from __future__ import annotations

import html
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from cmsr.config import Config
from cmsr.errors import CmsrError, InputError
from cmsr.job import Job
from cmsr.record import summary
from cmsr.web import form, tasks
from cmsr.web.killable import StoppedError, Worker
from cmsr.web.time_left import Estimate

KEPT = 3600
"""Seconds after which uploads and results are removed."""

STYLE = """
.gradio-container { max-width: 1180px !important; margin: 0 auto !important; }
.view iframe { width: 100%; height: 92vh; border: 0; border-radius: 10px; }
.facts th { text-align: left; font-weight: 400; padding-right: 14px; opacity: .7; white-space: nowrap; vertical-align: top; }
.facts, .facts tr, .facts th, .facts td { border: 0 !important; padding: 2px 14px 2px 0 !important; }
.facts td { overflow-wrap: anywhere; }
.status progress { height: 10px; appearance: none; border: 0; border-radius: 5px; overflow: hidden; background: #8884; width: 100%; }
.status progress::-webkit-progress-bar { background: #8884; }
.status progress::-webkit-progress-value { background: #ea580c; }
.status progress::-moz-progress-bar { background: #ea580c; }
.refused { padding: 10px 14px; border-left: 4px solid #b4480f; overflow-wrap: anywhere; }
"""  # noqa: E501

HEADER = """# cmsr
A low-resolution image of any sensor and one photo of the same scene, or one radiometric JPEG that
holds both: the image at the photo's resolution, with every value in its unit. Files stay on the
machine that runs this page."""


class Output(NamedTuple):
    """What a run shows: status and report as HTML, and the two files to take away."""

    status: str
    view: str
    result: Any
    report: Any


class App:
    """One server's workers, and what they do for each visitor.

    Parameters
    ----------
    folder : Path
        Where each task has a folder of its own for as long as it takes.
    limits : dict
        The options of `cmsr.web.form.SERVER`.
    """

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.folder, self.limits = folder, limits
        self.reader, self.runner = Worker(), Worker()
        self.estimate = Estimate()

    def close(self) -> None:
        """End the workers."""
        self.reader.close()
        self.runner.close()

    def understand(
        self,
        request: gr.Request,
        target: str | None,
        part: str | None,
        guide: str | None,
        *values: Any,
    ) -> tuple[str, int, Any]:
        """Say what was understood of the files, and how many pixels the result will have.

        Where the target holds several images, they can be chosen from then.
        """
        if target is None:
            return "", 0, _parts()
        try:
            with _placed(self.folder, target, part, guide) as place:
                config = self._config(values)
                given = (place.folder, place.target, place.guide, config)
                *_, found = self.reader.run(str(request.session_hash), tasks.understand, *given)
        except CmsrError as error:
            waiting = guide is None and "--ratio" in str(error)
            told = "Now add a photo of the same scene." if waiting else _refused(error)
            return told, 0, gr.skip()
        except StoppedError:
            return "", 0, gr.skip()
        return _facts(found), found.pixels, gr.skip() if part else _parts(found.parts)

    def run(
        self,
        request: gr.Request,
        target: str | None,
        part: str | None,
        guide: str | None,
        pixels: int,
        *values: Any,
    ) -> Iterator[Output]:
        """Upscale; tell how far it is, show the report, hand out the files."""
        empty: dict[str, Any] = {"view": "", "result": _button(None), "report": _button(None)}
        started = time.monotonic()
        try:
            config = self._config(values)
            with _placed(self.folder, target, part, guide) as place:
                for told in self.runner.run(
                    str(request.session_hash), tasks.upscale, place.folder, place.job(config)
                ):
                    elapsed = time.monotonic() - started
                    if isinstance(told, dict):
                        self.estimate.learn(config, told["size"][0] * told["size"][1], elapsed)
                        yield place.output(told)
                    else:
                        share = told[1] / told[2] if told else 0.0
                        left = self.estimate.left(config, pixels, elapsed, share)
                        yield Output(_working(elapsed, left), **empty)
        except CmsrError as error:
            yield Output(_refused(error), **empty)
        except StoppedError:
            yield Output("Cancelled.", **empty)
        except RuntimeError as error:
            yield Output(_refused(error), **empty)

    def upscale(
        self,
        request: gr.Request,
        target: str,
        guide: str | None,
        options: dict[str, Any] | None,
        part: str | None,
    ) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Do the same for a script: hand out result, report and record of the run."""
        try:
            config = form.config_of(options or {}, **self.limits)
            with _placed(self.folder, target, part, guide) as place:
                job = place.job(config)
                *_, facts = self.runner.run(
                    str(request.session_hash), tasks.upscale, place.folder, job
                )
                yield str(place.folder / job.out), str(place.folder / str(job.report)), facts
        except (CmsrError, StoppedError) as error:
            raise gr.Error(str(error) or "cancelled", print_exception=False) from None

    def cancel(self, request: gr.Request) -> str:
        """Stop the visitor's run."""
        self.runner.stop(str(request.session_hash))
        return "Cancelled."

    def leave(self, request: gr.Request) -> None:
        """Stop whatever is done for a visitor who has gone."""
        for worker in (self.reader, self.runner):
            worker.stop(str(request.session_hash))

    def example(self, request: gr.Request) -> Iterator[tuple[str, str]]:
        """Render the example pair."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            *_, (target, guide) = self.reader.run(
                str(request.session_hash), tasks.example, Path(folder)
            )
            yield str(target), str(guide)

    def _config(self, values: tuple[Any, ...]) -> Config:
        return form.config_of(dict(zip(form.names(), values, strict=True)), **self.limits)


def page(app: App) -> Any:
    """Lay out the page and say what each part of it does."""
    with gr.Blocks(
        title="cmsr", analytics_enabled=False, delete_cache=(KEPT // 10, KEPT)
    ) as blocks:
        gr.Markdown(HEADER)
        with gr.Row():
            with gr.Column():
                target = gr.File(label="Low-resolution image", elem_id="target", height=130)
                part = gr.Dropdown([], label="Variable or page", visible=False, elem_id="part")
                guide = gr.File(label="Photo of the same scene", elem_id="guide", height=130)
                example = gr.Button("Try the example", size="sm", elem_id="example")
                understood = gr.HTML(elem_id="understood")
                with gr.Row():
                    start = gr.Button("Sharpen", variant="primary", elem_id="start")
                    cancel = gr.Button("Cancel", elem_id="cancel")
                status = gr.HTML(elem_id="status", elem_classes="status")
                with gr.Row():
                    result = gr.DownloadButton(
                        "Result, full precision", visible=False, elem_id="result"
                    )
                    report = gr.DownloadButton("Report", visible=False, elem_id="report")
            with gr.Column():
                fields = {name: form.field(name) for name in form.FIRST}
                with gr.Accordion("More options", open=False):
                    fields |= {n: form.field(n) for n in form.names() if n not in form.FIRST}
        view = gr.HTML(elem_id="view", elem_classes="view")
        pixels = gr.State(0)
        hidden: dict[str, Any] = {"visible": False}
        script = gr.Button(**hidden)
        options, answer = gr.JSON({}, label="options", **hidden), gr.JSON(label="record", **hidden)
        named = gr.Textbox("", label="part", **hidden)
        files = [gr.File(label=name, **hidden) for name in ("result", "report")]

        values = list(fields.values())
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        reading: dict[str, Any] = {**quiet, "concurrency_id": "reader", "concurrency_limit": 1}
        working: dict[str, Any] = {"concurrency_id": "runner", "concurrency_limit": 1}
        understand: dict[str, Any] = {
            "fn": app.understand,
            "inputs": [target, part, guide, *values],
            "outputs": [understood, pixels, part],
            "trigger_mode": "always_last",
            **reading,
        }
        gr.on(
            [part.input, guide.change, fields["ratio"].change, fields["kernel"].change],
            **understand,
        )
        target.change(_parts, None, part, queue=False, **quiet).then(**understand)
        # not on input, which a keyboard that only passes by causes, too
        fields["preset"].change(form.preset_values, fields["preset"], values[1:], **quiet)
        example.click(app.example, None, [target, guide], **reading)
        run = start.click(
            app.run,
            [target, part, guide, pixels, *values],
            [status, view, result, report],
            show_progress="minimal",
            show_progress_on=status,
            api_visibility="private",
            **working,
        )
        cancel.click(app.cancel, None, status, cancels=[run], queue=False, **quiet)
        script.click(
            app.upscale,
            [target, guide, options, named],
            [*files, answer],
            api_name="upscale",
            **working,
        )
        blocks.unload(app.leave)
    return blocks


class _Place(NamedTuple):
    """A visitor's files under their own names in a folder of their own."""

    folder: Path
    target: Path
    guide: Path | None

    def job(self, config: Config) -> Job:
        """Return what to do here, named as on a command line."""
        stem = Path(str(self.target).partition(":")[0]).stem
        return Job(
            target=self.target,
            guide=self.guide,
            out=Path(f"{stem}_sharp.tif"),
            json=None,
            preview=None,
            report=Path(f"{stem}_report.html"),
            colour_map="inferno",
            overwrite=False,
            config=config,
        )

    def output(self, facts: dict[str, Any]) -> Output:
        """Show a run that is done."""
        job = self.job(Config())
        report = self.folder / str(job.report)
        frame = (
            '<iframe title="report" sandbox="allow-scripts" allow="clipboard-write" '
            f'srcdoc="{html.escape(report.read_text("utf-8"))}"></iframe>'
        )
        told = [summary(facts), *(f"Warning: {text}" for text in facts["warnings"])]
        status = "".join(f"<p>{html.escape(text)}</p>" for text in told)
        return Output(status, frame, _button(self.folder / job.out), _button(report))


@contextmanager
def _placed(
    root: Path, target: str | None, part: str | None, guide: str | None
) -> Iterator[_Place]:
    """Link uploads into a folder that is removed afterwards; ``part`` names what of the target."""
    if target is None:
        raise InputError("no image was given; choose one, or try the example")
    with tempfile.TemporaryDirectory(dir=root, ignore_cleanup_errors=True) as folder:
        here, image = Path(folder), Path(target)
        (here / image.name).symlink_to(image)
        named = Path(f"{image.name}:{part}" if part else image.name)
        if guide is None:
            yield _Place(here, named, None)
            return
        name = Path(guide).name
        name = f"guide_{name}" if name == image.name else name
        (here / name).symlink_to(guide)
        yield _Place(here, named, Path(name))


def _parts(names: tuple[str, ...] = ()) -> Any:
    """Offer the images of a file that holds several."""
    return gr.Dropdown(list(names), value=None, visible=bool(names))


def _button(path: Path | None) -> Any:
    return gr.DownloadButton(value=str(path) if path else None, visible=path is not None)


def _working(elapsed: float, left: float) -> str:
    """Show seconds gone and seconds left."""
    total = elapsed + left
    bar = f'<progress max="{total:.1f}" value="{elapsed:.1f}"></progress>' if left else ""
    rest = f", about {left:.0f} s left" if left >= 1 else ""
    return f"{bar}<p>Working for {elapsed:.0f} s{rest}.</p>"


def _facts(found: tasks.Understood) -> str:
    rows = "".join(
        f"<tr><th scope=row>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in found.facts
    )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in found.notes)
    return f'<table class="facts">{rows}</table>{notes}'


def _refused(error: Exception) -> str:
    """Say what is wrong as the command line does."""
    line = " ".join(str(error).split())
    return f'<p class="refused" role="alert">cmsr: {html.escape(line)}</p>'
