"""The HTML template of a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cmsr.app.report.image import Picture
from cmsr.app.report.scale import RESIDUAL_COLOURS, TARGET_COLOURS, WEIGHT_COLOURS, Scale

_HERE = Path(__file__).parent

SCRIPTS = ("view", "values", "colours", "marks", "viewer", "page")
"""The scripts of a page in `js/`, in their order."""

MAPS = {
    TARGET_COLOURS: "inferno",
    "gray": "grey",
    "plasma": "plasma",
    WEIGHT_COLOURS: "cividis",
    "viridis": "viridis",
    "turbo": "rainbow",
}
"""Colour maps among which a reader chooses."""


def fill(layers: Mapping[str, Picture | None], **values: object) -> str:
    """Fill the template; the document is self-contained, and all values are escaped.

    Parameters
    ----------
    layers : mapping of str to Picture or None
        Pictures of values by the names that the page's script has for them.
    **values
        What the template names.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = (*MAPS, RESIDUAL_COLOURS)
    palettes = {name: Scale(0, 1, "", name).palette.tobytes().hex() for name in names}
    script = "\n".join((_HERE / "js" / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    return environment.get_template("page.html").render(
        style=Markup((_HERE / "page.css").read_text("utf-8")),  # noqa: S704 (our own file)
        script=Markup(f'"use strict";\n{script}'),  # noqa: S704 (our own files)
        palettes=Markup(json.dumps(palettes)),  # noqa: S704 (digits only)
        layers=Markup(_in_script(layers)),  # noqa: S704 (escaped there)
        maps=list(MAPS.items()),
        **values,
    )


def _in_script(layers: Mapping[str, Picture | None]) -> str:
    """Return layers as JSON that cannot end its script element."""
    found = {
        name: {
            **picture.values,
            "map": picture.scale.colour_map,
            "from": picture.scale.low,
            "to": picture.scale.high,
        }
        for name, picture in layers.items()
        if picture and picture.values and picture.scale
    }
    return json.dumps(found).replace("<", "\\u003c")
