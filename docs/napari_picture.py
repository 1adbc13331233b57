"""Draw docs/napari.png: napari with the demo's pair, its result and the widget.

xvfb-run -s "-screen 0 1600x1000x24" python docs/napari_picture.py
"""

import time
from pathlib import Path

import napari
from PIL import Image
from qtpy.QtWidgets import QApplication

OUT = Path(__file__).parent / "napari.png"
SHOWN = "thermal", "photo", "thermal, expected error", "thermal, sharp"


def wait(seconds: float) -> None:
    """Let the window draw itself."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        QApplication.processEvents()
        time.sleep(0.02)


def main() -> None:
    """Open the sample, sharpen it, put four layers side by side."""
    viewer = napari.Viewer()
    viewer.window.resize(1400, 760)
    _, widget = viewer.window.add_plugin_dock_widget("cmsr", "Sharpen with a photo")
    viewer.open_sample("cmsr", "street")
    widget.start.native.click()
    while widget.running:
        wait(0.1)
    for name in ("thermal, moved guide", "thermal, guide weight"):
        viewer.layers.remove(name)
    for name in SHOWN:
        viewer.layers[name].visible = True
        viewer.layers.move(viewer.layers.index(name), len(viewer.layers))
    viewer.layers.selection.active = viewer.layers["thermal, sharp"]
    viewer.canvas.grid.shape, viewer.canvas.grid.enabled = (2, 2), True
    wait(1)
    viewer.reset_view(margin=0.02)
    wait(2)
    taken = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)).convert("RGB")
    taken.quantize(256, dither=Image.Dither.NONE).save(OUT, optimize=True)


if __name__ == "__main__":
    main()
