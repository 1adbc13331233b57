"""The actions of the page for each visitor; workers in other processes do the computing."""

from __future__ import annotations

import html
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from cmsr.app.job import Job
from cmsr.app.record import summary
from cmsr.app.summary import photo_text
from cmsr.app.web import form, several, tasks, texts
from cmsr.app.web.answers import NO_PHOTO, Output, button, parts, refused, understood, working
from cmsr.app.web.killable import StoppedError, Worker
from cmsr.app.web.links import link
from cmsr.app.web.place import Place
from cmsr.app.web.private import Owners, visitor_of
from cmsr.app.web.time_left import Estimate
from cmsr.config import Config
from cmsr.errors import CmsrError, InputError


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
    ) -> tuple[str, str, int, Any]:
        """Return a description of the files, an overlay, the number of pixels of the result.

        Fourth comes the choice of images, if the target holds several.
        """
        if target is None:
            return "", "", 0, parts()
        try:
            with self._placed(request, target, part, guide) as place:
                config = texts.in_files(self._config(values), place.folder)
                given = (place.folder, place.target, place.guide, config)
                *_, found = self.reader.run(str(request.session_hash), tasks.check, *given)
        except (CmsrError, RuntimeError) as error:
            waiting = guide is None and any(said in str(error) for said in NO_PHOTO)
            answer = "Now add a photo of the same scene." if waiting else refused(error)
            return answer, "", 0, gr.skip()
        except StoppedError:
            return "", "", 0, gr.skip()
        choice = gr.skip() if part else parts(found.parts)
        return understood(found), found.overlay, found.pixels, choice

    def look(
        self, request: gr.Request, target: str | None, part: str | None, guide: str | None
    ) -> tuple[str, str]:
        """Return thumbnails of the files, and no status: that of a run before is of other files."""
        if target is None:
            return "", ""
        try:
            with self._placed(request, target, part, guide) as place:
                given = (place.folder, place.target, place.guide, Config(**self.limits))
                *_, shown = self.reader.run(str(request.session_hash), tasks.look, *given)
        except (CmsrError, StoppedError, RuntimeError):
            return "", ""
        return shown, ""

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
        files = ("result", "picture", "report")
        empty: dict[str, Any] = {"view": "", **{name: button(None) for name in files}}
        started, stage = time.monotonic(), ""
        try:
            config = self._config(values)
            with self._placed(request, target, part, guide) as place:
                job = place.job(config, picture=True)
                for news in self.runner.run(
                    str(request.session_hash), tasks.upscale, place.folder, job
                ):
                    elapsed = time.monotonic() - started
                    if isinstance(news, dict):
                        self.estimate.learn(config, news["size"][0] * news["size"][1], elapsed)
                        yield self._output(request, place.folder, job, news)
                    else:
                        stage, share = (news[0], news[1] / news[2]) if news else (stage, 0.0)
                        left = self.estimate.left(config, pixels, elapsed, share)
                        yield Output(working(elapsed, left, stage), **empty)
        except (CmsrError, RuntimeError) as error:
            yield Output(refused(error), **empty)
        except StoppedError:
            yield Output("Cancelled.", **empty)

    def pairs(
        self, request: gr.Request, files: list[str] | None, folder: list[str] | None, *values: Any
    ) -> Iterator[tuple[str, Any]]:
        """Upscale all pairs among some files: yield the list as it grows, then a zip file."""
        owner, visitor = str(request.session_hash), visitor_of(request.cookies)
        given = [Path(file) for file in [*(files or []), *(folder or [])]]
        with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as name:
            place, entries = Path(name), list[several.Entry]()
            try:
                config = self._config(values)
                for file in given:
                    self._check_owner(visitor, file)
                several.linked(given, place)
                *_, (pairs, alone) = self.reader.run(owner, tasks.pairs, place)
                entries = [several.Entry(*pair) for pair in pairs]
                for entry in entries:
                    entry.state = "running"
                    yield several.listed(entries, alone), button(None)
                    self._one_of_several(request, place, entry, config)
                yield several.listed(entries, alone), button(None)
            except (CmsrError, RuntimeError) as error:
                yield refused(error), button(None)
                return
            except StoppedError:
                for entry in entries:
                    if entry.state in ("waiting", "running"):
                        entry.state = "cancelled"
            archive = several.zipped(entries, place / "cmsr_results.zip")
            (moved,) = self._hand_out(request, archive)
            yield several.listed(entries, alone if entries else []), button(moved)

    def _one_of_several(
        self, request: gr.Request, place: Path, entry: several.Entry, config: Config
    ) -> None:
        """Upscale one pair; what is wrong with it is its own."""
        here = Place(place, Path(entry.target), Path(entry.photo) if entry.photo else None)
        job = replace(
            here.job(config),
            out=Path(f"{entry.name}_sharp.tif"),
            report=Path(f"{entry.name}_report.html"),
        )
        try:
            *_, facts = self.runner.run(str(request.session_hash), tasks.upscale, place, job)
        except (CmsrError, RuntimeError) as error:
            entry.state, entry.failed = " ".join(str(error).split()), True
            return
        result, report = self._hand_out(request, place / job.out, place / str(job.report))
        entry.made = {"result": Path(result), "report": Path(report)}
        entry.state = f"{summary(facts)}; photo {photo_text(facts)}"

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

    def rig(self, request: gr.Request, file: str | None) -> str:
        """Return the text of a rig's file for its field."""
        if file is None:
            return "auto"
        try:
            self._check_owner(visitor_of(request.cookies), Path(file))
            return texts.rig(Path(file).read_text("utf-8", "replace"))
        except CmsrError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def remembered(self, request: gr.Request) -> list[Any]:
        """Return the values of all fields, as the page's URL has them."""
        return form.from_query(dict(request.query_params))

    def cancel(self, request: gr.Request) -> str:
        """Stop the visitor's run."""
        self.stop(request)
        return "Cancelled."

    def stop(self, request: gr.Request) -> None:
        """Stop the visitor's run, or that of the current one of several pairs."""
        self.runner.stop(str(request.session_hash))

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

    def _output(self, request: gr.Request, folder: Path, job: Job, facts: dict[str, Any]) -> Output:
        """Return the outputs of a finished run."""
        made = folder / str(job.report)
        frame = (
            '<iframe title="report" sandbox="allow-scripts allow-downloads" '
            f'allow="clipboard-write" srcdoc="{html.escape(made.read_text("utf-8"))}"></iframe>'
        )
        lines = [
            summary(facts),
            f"Photo: {photo_text(facts)}.",
            *(f"Warning: {text}" for text in facts["warnings"]),
        ]
        status = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
        files = self._hand_out(request, folder / job.out, folder / str(job.preview), made)
        return Output(status, frame, *(button(file) for file in files))

    def _hand_out(self, request: gr.Request, *files: Path) -> list[str]:
        """Move files to where the visitor, and nobody else, can download them."""
        visitor = visitor_of(request.cookies)
        return [str(self.owners.hand_out(visitor, file)) for file in files]

    @contextmanager
    def _placed(
        self, request: gr.Request, target: str | None, part: str | None, guide: str | None
    ) -> Iterator[Place]:
        """Link the visitor's uploads into a temporary folder.

        ``part`` is the variable or page of the target.
        """
        if target is None:
            raise InputError("no image; choose one, or try the example")
        for file in filter(None, (target, guide)):
            self._check_owner(visitor_of(request.cookies), Path(file))
        with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as folder:
            here, image = Path(folder), Path(target)
            link(image, here / image.name)
            named = Path(f"{image.name}:{part}" if part else image.name)
            if guide is None:
                yield Place(here, named, None)
                return
            name = Path(guide).name
            name = f"guide_{name}" if name == image.name else name
            link(Path(guide), here / name)
            yield Place(here, named, Path(name))

    def _check_owner(self, visitor: str, file: Path) -> None:
        if not self.owners.owns(visitor, file):
            raise InputError(
                f"{file.name}: not your file; upload it first, and send the cookie of that answer"
            )

    def _config(self, values: tuple[Any, ...]) -> Config:
        return form.config_of(dict(zip(form.names(), values, strict=True)), **self.limits)
