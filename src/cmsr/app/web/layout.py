"""The layout of the page: its parts, their labels and their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from cmsr.app.web import form

DOWNLOADS = {"result": "Result, full precision", "picture": "Picture (PNG)", "report": "Report"}
"""Downloads after a run, by the names of their buttons."""

SEVERAL = """Choose all files, or a folder: images and photos are paired by name, time and folder;
radiometric JPEGs hold their own photo. The options above apply to every pair."""

UPLOADS: tuple[tuple[str, str, Any], ...] = (
    ("many", "Images and photos", "multiple"),
    ("folder", "A folder of them", "directory"),
)
"""How several files are chosen: name, label, how many."""


@dataclass(frozen=True)
class Parts:
    """The parts of the page that something happens to."""

    target: Any
    part: Any
    guide: Any
    rig: Any
    example: Any
    seen: Any
    description: Any
    overlay: Any
    start: Any
    cancel: Any
    status: Any
    files: list[Any]
    fields: dict[str, Any]
    view: Any

    @property
    def values(self) -> list[Any]:
        """The fields of all options, in their order."""
        return [self.fields[name] for name in form.names()]


@dataclass(frozen=True)
class Several:
    """The parts for several pairs at once."""

    uploads: list[Any]
    start: Any
    stop: Any
    table: Any
    archive: Any


@dataclass(frozen=True)
class Interface:
    """The hidden parts: what programs send and get, and the pixels of the pair."""

    pixels: Any
    start: Any
    options: Any
    answer: Any
    part: Any
    files: list[Any]


def one_pair() -> Parts:
    """Lay out the files, the options and the result of one pair."""
    with gr.Row():
        with gr.Column():
            target = gr.File(label="Low-resolution image", elem_id="target", height=130)
            part = gr.Dropdown([], label="Variable or page", visible=False, elem_id="part")
            guide = gr.File(label="Photo of the same scene", elem_id="guide", height=130)
            rig = gr.File(label="Rig of the two cameras, if known (rig.json)", elem_id="rig",
                          file_types=[".json"], height=130)  # fmt: skip
            example = gr.Button("Try the example", size="sm", elem_id="example")
            seen = gr.HTML(elem_id="pair", elem_classes="pair")
            by_hand = form.field("points")
            description = gr.HTML(elem_id="understood")
            overlay = gr.HTML(elem_id="overlay")
            with gr.Row():
                start = gr.Button("Sharpen", variant="primary", elem_id="start")
                cancel = gr.Button("Cancel", elem_id="cancel")
            status = gr.HTML(elem_id="status", elem_classes="status")
            with gr.Row():
                files = [
                    gr.DownloadButton(label, visible=False, elem_id=name)
                    for name, label in DOWNLOADS.items()
                ]
        with gr.Column():
            fields = _fields(points=by_hand)
    view = gr.HTML(elem_id="view", elem_classes="view")
    return Parts(target, part, guide, rig, example, seen, description, overlay, start, cancel,
                 status, files, fields, view)  # fmt: skip


def several_pairs() -> Several:
    """Lay out what several pairs at once need."""
    with gr.Accordion("Several pairs at once", open=False, elem_id="several"):
        gr.Markdown(SEVERAL)
        with gr.Row():
            many = [
                gr.File(label=label, file_count=count, elem_id=name, height=130)
                for name, label, count in UPLOADS
            ]
        with gr.Row():
            start = gr.Button("Sharpen all", variant="primary", elem_id="start-all")
            stop = gr.Button("Cancel", elem_id="cancel-all")
        table = gr.HTML(elem_id="pairs")
        archive = gr.DownloadButton("All results (zip)", visible=False, elem_id="archive")
        gr.HTML(elem_id="looked-at", elem_classes="view")
    return Several(many, start, stop, table, archive)


def interface() -> Interface:
    """Lay out what visitors do not see."""
    pixels = gr.State(0)
    hidden: dict[str, Any] = {"visible": False}
    asked = gr.Button(**hidden)
    options, answer = gr.JSON({}, label="options", **hidden), gr.JSON(label="record", **hidden)
    named = gr.Textbox("", label="part", **hidden)
    made = [gr.File(label=name, **hidden) for name in ("result", "report")]
    return Interface(pixels, asked, options, answer, named, made)


def _fields(**elsewhere: Any) -> dict[str, Any]:
    """Return the fields of all options: the first group open, the others folded.

    ``elsewhere`` are fields that have their place on the page already.
    """
    fields = dict(elsewhere)
    for group, every in form.groups().items():
        here = [name for name in every if name not in elsewhere]
        if not group:
            fields |= {name: form.field(name) for name in here}
            continue
        with gr.Accordion(group[0].upper() + group[1:], open=False):
            fields |= {name: form.field(name) for name in here}
    return fields
