"""First paint, time until all values can be read, and size of a report of 12 megapixels.

    python benchmarks/report_paint.py

Needs Chromium and playwright. Values are smooth as results are, with the noise of a camera.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright
from scipy.ndimage import zoom

import cmsr
from cmsr.app.demo.scene import street
from cmsr.app.report import page
from cmsr.io import image_files

SHAPE = 3000, 4000
NOISE = 0.05
"""Of the result, in °C, at the scale of a pixel of the target."""

PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
READY = "new Promise(done => { const look = () => document.documentElement.classList.contains('ready') ? done(performance.now()) : setTimeout(look, 20); look(); })"  # noqa: E501


def large() -> cmsr.Result:
    """Return the street's result, enlarged to 12 megapixels."""
    scene, rng = street(), np.random.default_rng(0)
    target = image_files.from_array(scene.target.astype(np.float32) / 100, "t.tif", units=["°C"])
    small = cmsr.upscale(target, scene.guide, preset="fast", align="off", kernel="bicubic")
    factor = np.divide(SHAPE, small.image.shape)
    noise = NOISE * zoom(rng.normal(size=(375, 500)), np.divide(SHAPE, (375, 500)), order=1)
    image = (zoom(small.image, factor, order=1) + noise).astype(np.float32)
    guide = rng.normal(0, 0.02, (*SHAPE, 3)) + zoom(scene.guide / 255, (*factor, 1), order=1)
    evidence = replace(small.evidence, guide=guide.astype(np.float32))
    return replace(
        small, image=image, valid=np.ones(SHAPE, bool), warped_guide=evidence.guide,
        guide_weight=zoom(small.guide_weight, factor, order=1), evidence=evidence,
        info={**small.info, "size": list(SHAPE)},
    )  # fmt: skip


def main() -> None:
    """Measure and print."""
    path = Path(tempfile.mkdtemp()) / "report.html"
    page.write(path, large())
    print(f"size {path.stat().st_size / 1e6:.2f} MB")
    with sync_playwright() as driver:
        chromium = shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for _ in range(3):
            tab = browser.new_page()
            tab.goto(path.as_uri(), wait_until="commit")
            ready = tab.evaluate(READY)
            print(f"first paint {tab.evaluate(PAINTED):.0f} ms, all values {ready:.0f} ms")
            tab.close()
        browser.close()


if __name__ == "__main__":
    main()
