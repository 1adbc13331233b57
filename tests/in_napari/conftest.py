"""napari without a screen: nothing is drawn, and what asks for its limits gets some."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from napari._vispy.utils import gl
from napari.layers import Image
from npe2 import PluginManager, PluginManifest

import cmsr.app.napari
from cmsr.app.napari.widget import Sharpen
from tests.conftest import render_pair

MANIFEST = Path(cmsr.app.napari.__file__).with_name("napari.yaml")


@pytest.fixture(autouse=True)
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a screen there is no OpenGL; layers need it to be drawn only."""
    answers = {gl.gl.GL_EXTENSIONS: "texture_float"}
    monkeypatch.setattr(gl.gl, "glGetParameter", lambda name: answers.get(name, 2048))


@pytest.fixture
def viewer(make_napari_viewer: Callable[[], napari.Viewer]) -> napari.Viewer:
    """A viewer that knows the plugin, as installed or as it is in the source."""
    opened = make_napari_viewer()
    if "cmsr" not in PluginManager.instance():
        PluginManager.instance().register(PluginManifest.from_file(MANIFEST))
    return opened


@pytest.fixture
def widget(viewer: napari.Viewer) -> Sharpen:
    """The widget in the viewer, as the menu opens it."""
    return viewer.window.add_plugin_dock_widget("cmsr", "Sharpen with a photo")[1]


@pytest.fixture
def finish(qtbot: Any) -> Callable[[Sharpen], None]:
    """Start a run, and wait for its end."""

    def finished(widget: Sharpen) -> None:
        widget.start.native.click()
        qtbot.waitUntil(lambda: not widget.running, timeout=60_000)

    return finished


@pytest.fixture
def pair() -> tuple[Image, Image]:
    """A target of 24 × 32 pixels at a place of its own, and its photo, at the origin."""
    seen = render_pair()
    target = np.float32(20 + 10 * seen.target)
    return (
        Image(target, name="thermal", scale=(2, 2), translate=(5, 7), metadata={"unit": "°C"}),
        Image(seen.guide, name="photo", rgb=True),
    )
