"""The demo's pair as sample data: a street as a thermal camera and a photo camera see it."""

from __future__ import annotations

from typing import Any

import numpy as np

from cmsr.app.demo import scene
from cmsr.app.napari.layers import UNIT


def street() -> list[tuple[Any, dict[str, Any], str]]:
    """Return the photo and, over it, the thermal image in °C."""
    pair = scene.street()
    celsius = (pair.target * 0.01 - 273.15).round(2).astype(np.float32)
    step = np.divide(celsius.shape, pair.guide.shape[:2])
    place = {"scale": step, "translate": (step - 1) / 2}
    limits = np.percentile(celsius, [1, 99.8]).round(1).tolist()
    return [
        (pair.guide, {"name": "photo", "rgb": True, **place}, "image"),
        (
            celsius,
            {"name": "thermal", "colormap": "inferno", "contrast_limits": limits,
             "metadata": {UNIT: "°C"}},
            "image",
        ),
    ]  # fmt: skip
