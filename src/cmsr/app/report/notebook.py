"""Before and after in a notebook's cell."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.app.report.compared import compared
from cmsr.app.report.template import fill
from cmsr.io.raster import Raster

_CONTROLS = 130
"""Height of the controls below the picture, in pixels."""


def framed_slider(target: Raster, image: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> str:
    """Return an HTML frame with a slider between a target and its result (H, W) or (H, W, C)."""
    height, width = valid.shape
    both = compared(target, image, valid)
    page = fill(
        {"input": both.before, "result": both.after},
        title=target.name, compared=both, contents=None, shown=[],
    )  # fmt: skip
    return (
        f'<iframe title="before and after" sandbox="allow-scripts" srcdoc="{html.escape(page)}" '
        f'style="width: 100%; max-width: 720px; border: 0; '
        f'height: calc(min(100vw, 720px) * {height / width:.4f} + {_CONTROLS}px)"></iframe>'
    )
