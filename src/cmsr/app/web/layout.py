"""The layout of the page, and the actions of its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from cmsr.app.web import form
from cmsr.app.web.app import App, parts

KEPT = 3600
"""Seconds until uploads and results are removed."""

STYLE = Path(__file__).with_name("page.css").read_text("utf-8")

HEADER = """# cmsr
From a low-resolution image of any sensor and a photo of the same scene, or a radiometric JPEG that
holds both, comes the image at the photo's resolution, with every value in its unit. Files stay on
the machine that runs this page."""


def page(app: App) -> Any:
    """Return the page with the actions of an app."""
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
                description = gr.HTML(elem_id="understood")
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
        check: dict[str, Any] = {
            "fn": app.check,
            "inputs": [target, part, guide, *values],
            "outputs": [description, pixels, part],
            "trigger_mode": "always_last",
            **reading,
        }
        gr.on(
            [part.input, guide.change, fields["ratio"].change, fields["kernel"].change],
            **check,
        )
        target.change(parts, None, part, queue=False, **quiet).then(**check)
        # not on input, which moving the keyboard's focus also triggers
        set_by_preset = [fields[name] for name in form.preset_names()]
        fields["preset"].change(form.preset_values, fields["preset"], set_by_preset, **quiet)
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
