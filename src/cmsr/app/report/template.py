"""The HTML template of a page."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cmsr.app.report.scale import RESIDUAL_COLOURS, TARGET_COLOURS, WEIGHT_COLOURS, Scale

_HERE = Path(__file__).parent


def fill(**values: object) -> str:
    """Fill the template; the document is self-contained, and all values are escaped."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = (TARGET_COLOURS, WEIGHT_COLOURS, RESIDUAL_COLOURS)
    palettes = {name: Scale(0, 1, "", name).palette.tobytes().hex() for name in names}
    return environment.get_template("page.html").render(
        style=Markup((_HERE / "page.css").read_text("utf-8")),  # noqa: S704 (our own file)
        script=Markup((_HERE / "page.js").read_text("utf-8")),  # noqa: S704 (our own file)
        palettes=Markup(json.dumps(palettes)),  # noqa: S704 (digits only)
        **values,
    )
