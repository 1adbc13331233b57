"""The layout of the page, and the actions of its parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from cmsr.app.web import form
from cmsr.app.web.answers import parts
from cmsr.app.web.app import App

KEPT = 3600
"""Seconds until uploads and results are removed."""

STYLE = Path(__file__).with_name("page.css").read_text("utf-8")

_SCRIPT = Path(__file__).with_name("page.js").read_text("utf-8")

HEADER = """# cmsr
Sharpen a low-resolution image from any sensor with a photo of the same scene: the result has the
photo's resolution, and every value keeps its unit. A radiometric JPEG may hold both images. Files
stay on the machine that runs this page."""


DOWNLOADS = {"result": "Result, full precision", "picture": "Picture (PNG)", "report": "Report"}
"""Downloads after a run, by the names of their buttons."""

SEVERAL = """Choose all files, or a folder: images and photos are paired by name, time and folder;
radiometric JPEGs hold their own photo. The options above apply to every pair."""

UPLOADS: tuple[tuple[str, str, Any], ...] = (
    ("many", "Images and photos", "multiple"),
    ("folder", "A folder of them", "directory"),
)
"""How several files are chosen: name, label, how many."""

REMEMBER = "(...values) => { cmsrRemember(values); return []; }"
"""Keeps the settings in the page's URL."""


def script(max_upload: int) -> str:
    """Return the page's script as an element of its head; ``max_upload`` is in MB."""
    facts = {"maxUpload": max_upload, "names": form.names(), "usual": form.usual()}
    told = json.dumps(facts).replace("<", "\\u003c")
    return f"<script>const cmsr = {told};\n{_SCRIPT}</script>"


def page(app: App) -> Any:
    """Return the page with the actions of an app."""
    with gr.Blocks(
        title="cmsr", analytics_enabled=False, delete_cache=(KEPT // 10, KEPT)
    ) as blocks:
        gr.Markdown(HEADER)
        gr.HTML('<p id="told" role="alert"></p>')
        with gr.Row():
            with gr.Column():
                target = gr.File(label="Low-resolution image", elem_id="target", height=130)
                part = gr.Dropdown([], label="Variable or page", visible=False, elem_id="part")
                guide = gr.File(label="Photo of the same scene", elem_id="guide", height=130)
                rig = gr.File(label="Rig of the two cameras, if known (rig.json)", elem_id="rig",
                              file_types=[".json"], height=90)  # fmt: skip
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
        with gr.Accordion("Several pairs at once", open=False, elem_id="several"):
            gr.Markdown(SEVERAL)
            with gr.Row():
                many = [
                    gr.File(label=label, file_count=count, elem_id=name, height=130)
                    for name, label, count in UPLOADS
                ]
            with gr.Row():
                all_of_them = gr.Button("Sharpen all", variant="primary", elem_id="start-all")
                stop_all = gr.Button("Cancel", elem_id="cancel-all")
            table = gr.HTML(elem_id="pairs")
            archive = gr.DownloadButton("All results (zip)", visible=False, elem_id="archive")
            gr.HTML(elem_id="looked-at", elem_classes="view")
        pixels = gr.State(0)
        hidden: dict[str, Any] = {"visible": False}
        asked = gr.Button(**hidden)
        options, answer = gr.JSON({}, label="options", **hidden), gr.JSON(label="record", **hidden)
        named = gr.Textbox("", label="part", **hidden)
        made = [gr.File(label=name, **hidden) for name in ("result", "report")]

        values = [fields[name] for name in form.names()]
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        reading: dict[str, Any] = {**quiet, "concurrency_id": "reader", "concurrency_limit": 1}
        working: dict[str, Any] = {"concurrency_id": "runner", "concurrency_limit": 1}
        check: dict[str, Any] = {
            "fn": app.check,
            "inputs": [target, part, guide, *values],
            "outputs": [description, overlay, pixels, part],
            "trigger_mode": "always_last",
            **reading,
        }
        look: dict[str, Any] = {
            "fn": app.look, "inputs": [target, part, guide], "outputs": [seen, status], **reading,
        }  # fmt: skip
        gr.on([part.input, guide.change], **look)
        shaping = [
            fields[name].change for name in ("ratio", "size", "kernel", "points", "rig", "align")
        ]
        gr.on([part.input, guide.change, *shaping], **check)
        target.change(parts, None, part, queue=False, **quiet).then(**look).then(**check)
        # what a visitor selects, not what a URL sets, nor the keyboard's focus
        set_by_preset = [fields[name] for name in form.preset_names()]
        fields["preset"].select(form.preset_values, fields["preset"], set_by_preset, **quiet)
        rig.change(app.rig, rig, fields["rig"], **reading)
        example.click(app.example, None, [target, guide], **reading)
        run = start.click(
            app.run,
            [target, part, guide, pixels, *values],
            [status, view, *files],
            show_progress="minimal",
            show_progress_on=status,
            api_visibility="private",
            **working,
        )
        cancel.click(app.cancel, None, status, cancels=[run], queue=False, **quiet)
        all_of_them.click(
            app.pairs,
            [*many, *values],
            [table, archive],
            show_progress="minimal",
            show_progress_on=table,
            api_visibility="private",
            **working,
        )
        stop_all.click(app.stop, queue=False, **quiet)
        asked.click(
            app.upscale,
            [target, guide, options, named],
            [*made, answer],
            api_name="upscale",
            **working,
        )
        blocks.load(app.remembered, None, values, queue=False, **quiet)
        gr.on([each.change for each in values], None, values, None, js=REMEMBER, **quiet)
        blocks.unload(app.leave)
    return blocks


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
