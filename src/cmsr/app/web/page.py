"""The page: its parts, and what happens when a visitor uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from cmsr.app.web import form
from cmsr.app.web.answers import parts
from cmsr.app.web.app import App
from cmsr.app.web.layout import Interface, Parts, Several, interface, one_pair, several_pairs

KEPT = 3600
"""Seconds until uploads and results are removed."""

STYLE = Path(__file__).with_name("page.css").read_text("utf-8")

_SCRIPT = Path(__file__).with_name("page.js").read_text("utf-8")

HEADER = """# cmsr
Sharpen a low-resolution image from any sensor with a photo of the same scene: the result has the
photo's resolution, and every value keeps its unit. A radiometric JPEG may hold both images. Files
stay on the machine that runs this page."""

REMEMBER = "(...values) => { cmsrRemember(values); return []; }"
"""Keeps the settings in the page's URL."""

_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
_READING: dict[str, Any] = {**_QUIET, "concurrency_id": "reader", "concurrency_limit": 1}
_WORKING: dict[str, Any] = {"concurrency_id": "runner", "concurrency_limit": 1}
"""What looks at files, and what computes, happens one by one."""


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
        one, several, hidden = one_pair(), several_pairs(), interface()
        _on_choices(app, one, hidden)
        _on_runs(app, one, several, hidden)
        blocks.load(app.remembered, None, one.values, queue=False, **_QUIET)
        changes = [each.change for each in one.values]
        gr.on(changes, None, one.values, None, js=REMEMBER, **_QUIET)
        blocks.unload(app.leave)
    return blocks


def _on_choices(app: App, one: Parts, hidden: Interface) -> None:
    """Look at files as soon as they are chosen, and again when an option changes."""
    look: dict[str, Any] = {
        "fn": app.look,
        "inputs": [one.target, one.part, one.guide],
        "outputs": [one.seen, one.status],
        **_READING,
    }
    check: dict[str, Any] = {
        "fn": app.check,
        "inputs": [one.target, one.part, one.guide, *one.values],
        "outputs": [one.description, one.overlay, hidden.pixels, one.part],
        "trigger_mode": "always_last",
        **_READING,
    }
    chosen = [one.part.input, one.guide.change]
    gr.on(chosen, **look)
    shaping = ["ratio", "size", "kernel", "points", "rig", "align"]
    gr.on([*chosen, *(one.fields[name].change for name in shaping)], **check)
    listed = one.target.change(parts, None, one.part, queue=False, **_QUIET)
    listed.then(**look).then(**check)
    # what a visitor selects, not what a URL sets, nor the keyboard's focus
    preset = one.fields["preset"]
    set_by_preset = [one.fields[name] for name in form.preset_names()]
    preset.select(form.preset_values, preset, set_by_preset, **_QUIET)
    one.rig.change(app.rig, one.rig, one.fields["rig"], **_READING)
    one.example.click(app.example, None, [one.target, one.guide], **_READING)


def _on_runs(app: App, one: Parts, several: Several, hidden: Interface) -> None:
    """Start and stop runs: of one pair, of several, and those that programs ask for."""
    shown: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private", **_WORKING}
    run = one.start.click(
        app.run,
        [one.target, one.part, one.guide, hidden.pixels, *one.values],
        [one.status, one.view, *one.files],
        show_progress_on=one.status,
        **shown,
    )
    one.cancel.click(app.cancel, None, one.status, cancels=[run], queue=False, **_QUIET)
    several.start.click(
        app.pairs,
        [*several.uploads, *one.values],
        [several.table, several.archive],
        show_progress_on=several.table,
        **shown,
    )
    several.stop.click(app.stop, queue=False, **_QUIET)
    hidden.start.click(
        app.upscale,
        [one.target, one.guide, hidden.options, hidden.part],
        [*hidden.files, hidden.answer],
        api_name="upscale",
        **_WORKING,
    )
