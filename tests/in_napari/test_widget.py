"""The widget sharpens in a thread, shows how far it is, and can be cancelled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from napari.layers import Image

import cmsr
from cmsr.app.napari import sharpen
from cmsr.app.napari.widget import CancelledError, Sharpen
from cmsr.progress import Progress

Finish = Callable[[Sharpen], None]
Pair = tuple[Image, Image]


def fill(widget: Sharpen, viewer: napari.Viewer, pair: Pair) -> None:
    """Add a pair, which the widget chooses by itself."""
    for layer in pair:
        viewer.add_layer(layer)
    assert (widget.target.value, widget.guide.value) == pair
    widget.preset.value = "fast"


def test_a_run_gives_layers(
    widget: Sharpen, viewer: napari.Viewer, pair: Pair, finish: Finish
) -> None:
    fill(widget, viewer, pair)
    finish(widget)
    direct = cmsr.upscale(pair[0].data, pair[1].data, preset="fast")
    moved, weight, error, sharp = viewer.layers[2:]
    assert np.array_equal(sharp.data, direct.image)
    assert np.array_equal(weight.data, direct.guide_weight)
    assert np.array_equal(moved.data, direct.warped_guide)
    assert np.array_equal(error.data, direct.error)
    assert [layer.name for layer in (moved, weight, error, sharp)] == [
        "thermal, moved guide", "thermal, guide weight", "thermal, expected error",
        "thermal, sharp",
    ]  # fmt: skip
    assert sharp.scale.tolist() == [0.5, 0.5]
    assert sharp.units == pair[0].units
    assert sharp.metadata["unit"] == "°C"
    assert sharp.contrast_limits == pair[0].contrast_limits
    assert widget.says.value.startswith("128 × 96, ratio 4, kernel ")
    assert "photo used for" in widget.says.value


def test_without_a_guide_the_ratio_says_how_fine(
    widget: Sharpen, viewer: napari.Viewer, pair: Pair, finish: Finish
) -> None:
    viewer.add_layer(pair[0])
    widget.preset.value = "fast"
    finish(widget)
    assert widget.says.value == "a guide or a ratio is needed (for example --ratio 4)"
    widget.ratio.value = "much"
    finish(widget)
    assert widget.says.value == "ratio is 'much'; it must be a number"
    widget.ratio.value = "3,2"
    finish(widget)
    assert [layer.name for layer in viewer.layers[1:]] == [
        "thermal, expected error", "thermal, sharp",
    ]  # fmt: skip
    assert viewer.layers["thermal, sharp"].data.shape == (48, 96)


def test_points_set_by_hand_place_the_guide(
    widget: Sharpen, viewer: napari.Viewer, pair: Pair, finish: Finish, tmp_path: Path
) -> None:
    wider = Image(np.pad(pair[1].data, ((40, 20), (30, 50), (0, 0))), name="photo", rgb=True)
    fill(widget, viewer, (pair[0], wider))
    widget.set_points.native.click()
    assert viewer.canvas.grid.enabled
    places = np.array([[3, 4], [20, 6], [10, 28]])
    widget.on_target.value.add(places)
    widget.on_guide.value.add(4 * places[:2] + [41.5, 31.5])
    finish(widget)
    assert "points on thermal has 3 points, points on photo 2" in widget.says.value
    widget.on_guide.value.add(4 * places[2] + [41.5, 31.5])
    finish(widget)
    table = tmp_path / "points.csv"
    lines = [f"{x + 0.5},{y + 0.5},{4 * x + 32},{4 * y + 42}" for y, x in places]
    table.write_text("\n".join(["target_x,target_y,photo_x,photo_y", *lines]))
    direct = cmsr.upscale(pair[0].data, wider.data, preset="fast", points=str(table))
    sharp = viewer.layers["thermal, sharp"]
    assert np.array_equal(sharp.data, direct.image)
    assert any(note.startswith("points: 3 points, ") for note in sharp.metadata["cmsr"]["notes"])
    assert np.abs(viewer.layers["thermal, moved guide"].data * 255 - pair[1].data).mean() < 3


def test_progress_is_shown_and_cancelling_or_closing_ends_the_run(
    widget: Sharpen, viewer: napari.Viewer, pair: Pair, qtbot: Any, monkeypatch: Any
) -> None:
    ended = []

    def slow(task: sharpen.Task, progress: Progress) -> None:
        try:
            while True:
                progress("solving", 3, 4, 0.0)
        except CancelledError:
            ended.append(task)
            raise

    def shown() -> bool:
        return widget.says.value.startswith("solving 3 of 4 tiles")

    fill(widget, viewer, pair)
    monkeypatch.setattr(sharpen.Task, "result", slow)
    widget.start.native.click()
    qtbot.waitUntil(shown, timeout=10_000)
    assert widget.bar.value > 0
    assert not widget.start.enabled
    widget.cancel.native.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=10_000)
    assert (widget.says.value, len(ended)) == ("cancelled", 1)
    widget.start.native.click()
    qtbot.waitUntil(shown, timeout=10_000)
    viewer.window.remove_dock_widget(widget.native)
    qtbot.waitUntil(lambda: not widget.running, timeout=10_000)
    assert len(ended) == len(viewer.layers) == 2


def test_a_run_ends_at_its_next_stage(pair: Pair) -> None:
    told = []

    def stop(stage: str, *_: float) -> None:
        told.append(stage)
        if stage == "validating":
            raise CancelledError

    with pytest.raises(CancelledError):
        sharpen.sharpen(*pair, preset="fast", progress=stop)
    assert told[-1] == "validating"
