"""The actions of the page for each visitor; workers in other processes do the computing."""

from __future__ import annotations

import html
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from cmsr.app.job import Job
from cmsr.app.record import summary
from cmsr.app.web import form, tasks
from cmsr.app.web.killable import StoppedError, Worker
from cmsr.app.web.private import Owners, visitor_of
from cmsr.app.web.time_left import Estimate
from cmsr.config import Config
from cmsr.errors import CmsrError, InputError


class Output(NamedTuple):
    """The outputs of a run: status and report as HTML, and two files to download."""

    status: str
    view: str
    result: Any
    report: Any


class App:
    """A server's workers, and the actions that visitors start.

    Parameters
    ----------
    folder : Path
        Holds a temporary folder for each task.
    owners : Owners
        The owners of uploaded and computed files.
    limits : dict
        The options of `cmsr.app.web.form.SERVER`.
    """

    def __init__(self, folder: Path, owners: Owners, **limits: Any) -> None:
        self.folder, self.owners, self.limits = folder, owners, limits
        self.reader, self.runner = Worker(), Worker()
        self.estimate = Estimate()

    def close(self) -> None:
        """End the workers."""
        self.reader.close()
        self.runner.close()

    def check(
        self,
        request: gr.Request,
        target: str | None,
        part: str | None,
        guide: str | None,
        *values: Any,
    ) -> tuple[str, int, Any]:
        """Return a description of the files, and the number of pixels of the result.

        Third comes the choice of images, if the target holds several.
        """
        if target is None:
            return "", 0, parts()
        try:
            with self._placed(request, target, part, guide) as place:
                config = self._config(values)
                given = (place.folder, place.target, place.guide, config)
                *_, found = self.reader.run(str(request.session_hash), tasks.check, *given)
        except CmsrError as error:
            waiting = guide is None and "--ratio" in str(error)
            answer = "Now add a photo of the same scene." if waiting else _refused(error)
            return answer, 0, gr.skip()
        except StoppedError:
            return "", 0, gr.skip()
        return _facts(found), found.pixels, gr.skip() if part else parts(found.parts)

    def run(
        self,
        request: gr.Request,
        target: str | None,
        part: str | None,
        guide: str | None,
        pixels: int,
        *values: Any,
    ) -> Iterator[Output]:
        """Upscale: yield the progress, then the report and the files."""
        empty: dict[str, Any] = {"view": "", "result": _button(None), "report": _button(None)}
        started = time.monotonic()
        try:
            config = self._config(values)
            with self._placed(request, target, part, guide) as place:
                for news in self.runner.run(
                    str(request.session_hash), tasks.upscale, place.folder, place.job(config)
                ):
                    elapsed = time.monotonic() - started
                    if isinstance(news, dict):
                        self.estimate.learn(config, news["size"][0] * news["size"][1], elapsed)
                        yield self._output(request, place, news)
                    else:
                        share = news[1] / news[2] if news else 0.0
                        left = self.estimate.left(config, pixels, elapsed, share)
                        yield Output(_working(elapsed, left), **empty)
        except (CmsrError, RuntimeError) as error:
            yield Output(_refused(error), **empty)
        except StoppedError:
            yield Output("Cancelled.", **empty)

    def upscale(
        self,
        request: gr.Request,
        target: str,
        guide: str | None,
        options: dict[str, Any] | None,
        part: str | None,
    ) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Upscale for a script: yield result, report and record of the run."""
        try:
            config = form.config_of(options or {}, **self.limits)
            with self._placed(request, target, part, guide) as place:
                job = place.job(config)
                *_, facts = self.runner.run(
                    str(request.session_hash), tasks.upscale, place.folder, job
                )
                result, report = self._hand_out(
                    request, place.folder / job.out, place.folder / str(job.report)
                )
                yield result, report, facts
        except (CmsrError, StoppedError) as error:
            raise gr.Error(str(error) or "cancelled", print_exception=False) from None

    def cancel(self, request: gr.Request) -> str:
        """Stop the visitor's run."""
        self.runner.stop(str(request.session_hash))
        return "Cancelled."

    def leave(self, request: gr.Request) -> None:
        """Stop the tasks of a visitor who has left the page."""
        for worker in (self.reader, self.runner):
            worker.stop(str(request.session_hash))

    def example(self, request: gr.Request) -> Iterator[tuple[str, ...]]:
        """Provide the example pair."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            *_, (target, guide) = self.reader.run(
                str(request.session_hash), tasks.example, Path(folder)
            )
            yield tuple(self._hand_out(request, target, guide))

    def _output(self, request: gr.Request, place: _Place, facts: dict[str, Any]) -> Output:
        """Return the outputs of a finished run."""
        job = place.job(Config())
        made = place.folder / str(job.report)
        frame = (
            '<iframe title="report" sandbox="allow-scripts" allow="clipboard-write" '
            f'srcdoc="{html.escape(made.read_text("utf-8"))}"></iframe>'
        )
        lines = [summary(facts), *(f"Warning: {text}" for text in facts["warnings"])]
        status = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
        result, report = self._hand_out(request, place.folder / job.out, made)
        return Output(status, frame, _button(result), _button(report))

    def _hand_out(self, request: gr.Request, *files: Path) -> list[str]:
        """Move files to where the visitor, and nobody else, can download them."""
        visitor = visitor_of(request.cookies)
        return [str(self.owners.hand_out(visitor, file)) for file in files]

    @contextmanager
    def _placed(
        self, request: gr.Request, target: str | None, part: str | None, guide: str | None
    ) -> Iterator[_Place]:
        """Link the visitor's uploads into a temporary folder.

        ``part`` is the variable or page of the target.
        """
        if target is None:
            raise InputError("no image; choose one, or try the example")
        for file in filter(None, (target, guide)):
            if not self.owners.owns(visitor_of(request.cookies), Path(file)):
                raise InputError(
                    f"{Path(file).name}: not your file; upload it, and send the cookie that "
                    "comes with the answer"
                )
        with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as folder:
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

    def _config(self, values: tuple[Any, ...]) -> Config:
        return form.config_of(dict(zip(form.names(), values, strict=True)), **self.limits)


class _Place(NamedTuple):
    """A visitor's files under their own names in a folder of their own."""

    folder: Path
    target: Path
    guide: Path | None

    def job(self, config: Config) -> Job:
        """Return the job of upscaling here, with file names as on a command line."""
        stem = Path(str(self.target).partition(":")[0]).stem
        return Job(
            target=self.target,
            guide=self.guide,
            out=Path(f"{stem}_sharp.tif"),
            report=Path(f"{stem}_report.html"),
            config=config,
        )


def parts(names: tuple[str, ...] = ()) -> Any:
    """Return the choice of images in a file that holds several."""
    return gr.Dropdown(list(names), value=None, visible=bool(names))


def _button(path: str | None) -> Any:
    return gr.DownloadButton(value=path, visible=path is not None)


def _working(elapsed: float, left: float) -> str:
    """Return the seconds elapsed and left, as HTML."""
    total = elapsed + left
    bar = f'<progress max="{total:.1f}" value="{elapsed:.1f}"></progress>' if left else ""
    rest = f", about {left:.0f} s left" if left >= 1 else ""
    return f"{bar}<p>Working for {elapsed:.0f} s{rest}.</p>"


def _facts(found: tasks.Description) -> str:
    rows = "".join(
        f"<tr><th scope=row>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in found.facts
    )
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in found.notes)
    return f'<table class="facts">{rows}</table>{notes}'


def _refused(error: Exception) -> str:
    """Return an error as the command line prints it, as HTML."""
    line = " ".join(str(error).split())
    return f'<p class="refused" role="alert">cmsr: {html.escape(line)}</p>'
