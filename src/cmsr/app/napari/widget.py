"""The widget: which layers, which options, points, run and cancel; the run has its own thread."""

from __future__ import annotations

from functools import partial
from typing import Any

from magicgui.widgets import ComboBox, Container, Label, LineEdit, ProgressBar, PushButton, Widget
from napari import Viewer
from napari.layers import Image, Layer, Points
from napari.qt.threading import FunctionWorker, create_worker
from napari.utils.notifications import show_warning
from qtpy.QtCore import QTimer

from cmsr.app.napari import points
from cmsr.app.napari.layers import layers_of
from cmsr.app.napari.sharpen import Task
from cmsr.app.options import parse
from cmsr.app.progress import Work, duration
from cmsr.app.record import summary
from cmsr.app.summary import photo_text
from cmsr.errors import CmsrError, InputError
from cmsr.presets import PRESETS
from cmsr.result import Result

EVERY = 100
"""Milliseconds between two looks at how far a run is."""


class CancelledError(Exception):
    """The user has cancelled the run."""


class Sharpen(Container[Widget]):
    """Sharpen one layer with another; the result and what it was made from come back as layers."""

    def __init__(self, napari_viewer: Viewer) -> None:
        self._viewer = viewer = napari_viewer
        self.target, self.guide = self._choice("target", Image), self._choice("guide", Image)
        self.preset = ComboBox(label="preset", choices=list(PRESETS))
        self.ratio = LineEdit(
            label="ratio", tooltip="Enlargement, 4 or 4,3; if empty, as fine as the guide."
        )
        self.on_target = self._choice("points on target", Points)
        self.on_guide = self._choice("points on guide", Points)
        self.set_points = PushButton(text="Set points by hand")
        self.start, self.cancel = PushButton(text="Sharpen"), PushButton(text="Cancel")
        self.bar, self.says = ProgressBar(min=0, max=100, value=0), Label(value="")
        super().__init__(widgets=[
            self.target, self.guide, self.preset, self.ratio, self.on_target, self.on_guide,
            self.set_points, self.start, self.cancel, self.bar, self.says,
        ])  # fmt: skip
        self._arrange()
        self._worker: FunctionWorker[Any] | None = None
        self._work, self._timer = Work(), QTimer(self.native)
        self._timer.timeout.connect(self._look)
        self._shown, self._guessing = "", True
        viewer.layers.events.connect(self._layers_changed)
        self._guess()

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._worker is not None

    def _choice(self, label: str, kind: type[Layer]) -> ComboBox:
        """Return a choice of the viewer's layers of a kind, or none."""

        def layers(_: object) -> list[Layer]:
            return [layer for layer in self._viewer.layers if isinstance(layer, kind)]

        return ComboBox(label=label, choices=layers, nullable=True, value=None)

    def _arrange(self) -> None:
        self.says.native.setWordWrap(True)
        self.set_points.tooltip = "Two layers for the same places, in the same order, in both."
        self.cancel.enabled, self.bar.visible = False, False
        self.set_points.clicked.connect(self._set_points)
        self.start.clicked.connect(self._start)
        self.cancel.clicked.connect(self._cancel)
        self.native_parent_changed.connect(self._moved)
        self.native.destroyed.connect(self._leave)

    def _layers_changed(self, event: Any) -> None:
        if event.type in ("inserted", "removed", "reordered"):
            self.reset_choices()
        if event.type == "inserted" and self._guessing:
            self._guess()

    def _guess(self) -> None:
        """Choose what has not been chosen: a photo is a guide, all else a target."""
        images = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
        colours = [layer for layer in images if layer.rgb]
        others = [layer for layer in images if not layer.rgb]
        if self.target.value is None and others:
            self.target.value = others[-1]
        if self.guide.value is None and colours:
            self.guide.value = colours[-1]

    def _set_points(self) -> None:
        """Add a layer for points on each of the two images, side by side if there are no others."""
        target, guide, layers = self.target.value, self.guide.value, self._viewer.layers
        if target is None or guide is None:
            self.says.value = "points need a target and a guide"
            return
        for image, choice in ((guide, self.on_guide), (target, self.on_target)):
            if choice.value is None:
                made = points.empty_on(image)
                layers.insert(layers.index(image) + 1, made)
                choice.value = made
            choice.value.mode = "add"
        layers.selection.active = self.on_target.value
        if len(layers) == 4:
            grid = _grid_of(self._viewer)
            grid.stride, grid.enabled = 2, True
            self._viewer.reset_view()
        self.says.value = "set the same places in both, in the same order"

    def _start(self) -> None:
        """Begin a run in a thread of its own."""
        if self.running:
            return
        try:
            task = self._task()
        except CmsrError as error:
            self.says.value = str(error)
            return
        self._work, self._shown, self._guessing = Work(), "", False
        worker = create_worker(lambda: self._run(task), _start_thread=False)
        worker.returned.connect(partial(self._done, task))
        worker.finished.connect(self._ended)
        self._worker = worker
        self.start.enabled, self.cancel.enabled, self.bar.visible = False, True, True
        self._look()
        self._timer.start(EVERY)
        worker.start()

    def _task(self) -> Task:
        """Return what the fields ask for."""
        target, guide = self.target.value, self.guide.value
        if target is None:
            raise InputError("choose a target, the image to be sharpened")
        on_both = self.on_target.value, self.on_guide.value
        if (on_both[0] is None) != (on_both[1] is None):
            raise InputError("points need two layers, one on the target and one on the guide")
        rows = None
        if guide is not None and on_both[0] is not None:
            rows = points.rows_of(target, guide, *on_both)
        options = {"preset": self.preset.value, "ratio": parse("ratio", self.ratio.value)}
        return Task(target, guide, rows, options)

    def _run(self, task: Task) -> Result | str | None:
        """Run, in the worker's thread; return the result, what is wrong, or None if cancelled."""
        worker, work = self._worker, self._work

        def told(stage: str, step: int, steps: int, loss: float) -> None:
            if worker is None or worker.abort_requested:
                raise CancelledError
            work.told(stage, step, steps, loss)

        try:
            return task.result(told)
        except CmsrError as error:
            return " ".join(str(error).split())
        except CancelledError:
            return None

    def _look(self) -> None:
        """Show how far the run is."""
        work = self._work
        if work.text() != self._shown:
            self._shown = work.text()
            left = "" if work.left is None else f", about {duration(work.left)} left"
            self.bar.value, self.says.value = round(100 * work.share), self._shown + left

    def _cancel(self) -> None:
        if self._worker is not None:
            self._worker.quit()
            self._timer.stop()
            self.cancel.enabled = False
            self.says.value = "cancelling …"

    def _done(self, task: Task, made: Result | str | None) -> None:
        """Show a result, or what is wrong."""
        self._timer.stop()
        if isinstance(made, Result):
            _grid_of(self._viewer).enabled = False
            for layer in layers_of(made, task.target):
                self._viewer.add_layer(layer)
            self.says.value = f"{summary(made.info)}; photo {photo_text(made.info)}"
            for text in made.info["warnings"]:
                show_warning(text)
        else:
            self.says.value = made or ""

    def _ended(self) -> None:
        """Wait for the next run."""
        if self._worker is None:
            return
        if self._worker.abort_requested:
            self.says.value = "cancelled"
        self._worker = None
        self._timer.stop()
        self.start.enabled, self.cancel.enabled, self.bar.visible = True, False, False

    def _moved(self, parent: object) -> None:
        """Cancel the run of a widget that is taken off the window."""
        if parent is None:
            self._cancel()

    def _leave(self) -> None:
        """End the run of a widget that is no more."""
        if self._worker is not None:
            self._worker.quit()
        self._worker = None


def _grid_of(viewer: Viewer) -> Any:
    """Return what shows layers side by side; before napari 0.9 it is the viewer's own."""
    return getattr(viewer, "canvas", viewer).grid
