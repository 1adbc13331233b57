"""What happens on each click, for each visitor alone. The work itself is done elsewhere."""

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
    owners : Owners
        Whose the files are that were uploaded and made.
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
            return "", 0, parts()
        try:
            with self._placed(request, target, part, guide) as place:
                config = self._config(values)
                given = (place.folder, place.target, place.guide, config)
                *_, found = self.reader.run(str(request.session_hash), tasks.understand, *given)
        except CmsrError as error:
            waiting = guide is None and "--ratio" in str(error)
            told = "Now add a photo of the same scene." if waiting else _refused(error)
            return told, 0, gr.skip()
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
        """Upscale; tell how far it is, show the report, hand out the files."""
        empty: dict[str, Any] = {"view": "", "result": _button(None), "report": _button(None)}
        started = time.monotonic()
        try:
            config = self._config(values)
            with self._placed(request, target, part, guide) as place:
                for told in self.runner.run(
                    str(request.session_hash), tasks.upscale, place.folder, place.job(config)
                ):
                    elapsed = time.monotonic() - started
                    if isinstance(told, dict):
                        self.estimate.learn(config, told["size"][0] * told["size"][1], elapsed)
                        yield self._output(request, place, told)
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
        """Stop whatever is done for a visitor who has gone."""
        for worker in (self.reader, self.runner):
            worker.stop(str(request.session_hash))

    def example(self, request: gr.Request) -> Iterator[tuple[str, ...]]:
        """Render the example pair."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            *_, (target, guide) = self.reader.run(
                str(request.session_hash), tasks.example, Path(folder)
            )
            yield tuple(self._hand_out(request, target, guide))

    def _output(self, request: gr.Request, place: _Place, facts: dict[str, Any]) -> Output:
        """Show a run that is done."""
        job = place.job(Config())
        made = place.folder / str(job.report)
        frame = (
            '<iframe title="report" sandbox="allow-scripts" allow="clipboard-write" '
            f'srcdoc="{html.escape(made.read_text("utf-8"))}"></iframe>'
        )
        told = [summary(facts), *(f"Warning: {text}" for text in facts["warnings"])]
        status = "".join(f"<p>{html.escape(text)}</p>" for text in told)
        result, report = self._hand_out(request, place.folder / job.out, made)
        return Output(status, frame, _button(result), _button(report))

    def _hand_out(self, request: gr.Request, *files: Path) -> list[str]:
        """Let the visitor, and nobody else, fetch these files."""
        visitor = visitor_of(request.cookies)
        return [str(self.owners.hand_out(visitor, file)) for file in files]

    @contextmanager
    def _placed(
        self, request: gr.Request, target: str | None, part: str | None, guide: str | None
    ) -> Iterator[_Place]:
        """Link the visitor's uploads into a folder that is removed afterwards.

        ``part`` names what of the target.
        """
        if target is None:
            raise InputError("no image was given; choose one, or try the example")
        for file in filter(None, (target, guide)):
            if not self.owners.owns(visitor_of(request.cookies), Path(file)):
                raise InputError(
                    f"{Path(file).name}: not a file of yours; upload it, and send the cookie that "
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


def parts(names: tuple[str, ...] = ()) -> Any:
    """Offer the images of a file that holds several."""
    return gr.Dropdown(list(names), value=None, visible=bool(names))


def _button(path: str | None) -> Any:
    return gr.DownloadButton(value=path, visible=path is not None)


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
