"""The rig of a batch: found once from its pairs where they are of two cameras fixed to each other.

The library is imported late: most batches need no rig.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cmsr.app.batch import storage
from cmsr.app.batch.journal import Journal
from cmsr.app.batch.progress import Display
from cmsr.app.batch.table import Row
from cmsr.app.batch.worklist import JOURNAL, RIG
from cmsr.config import Config
from cmsr.errors import CmsrError

if TYPE_CHECKING:
    from cmsr.registration.rig import Rig

LEAST_PAIRS = 6
"""Pairs from which a rig is looked for: fewer hardly outvote what resembles by chance."""


def with_rig(
    config: Config, table: str, rows: Sequence[Row], out: str, display: Display, journal: Journal
) -> Config:
    """Return the options with the rig of the pairs, found when the folder is begun.

    The folder is known to be the batch's own. The rig is looked for where all targets and all
    photos are of one size each, and lie on this machine.
    """
    file = Path(out, RIG)
    if config.rig != "auto" or config.points is not None or storage.is_remote(out):
        return config
    if config.align == "off":
        return config
    begun = Path(out, JOURNAL).is_file()
    if not begun and (rig := _found(config, table, rows)) is not None:
        journal.add("rig", rig=rig.text())
        storage.write_bytes(str(file), (json.dumps(rig.to_json(), indent=2) + "\n").encode())
        display.say(f"{file}: {rig.text()}")
        begun = True
    if not begun or not file.is_file():
        return config
    display.say(f"the pairs share the rig {file}; --rig off places each photo separately")
    return dataclasses.replace(config, rig=str(file))


def _found(config: Config, table: str, rows: Sequence[Row]) -> Rig | None:
    """Return the rig of the pairs, if they have one."""
    folder = storage.parent(table)
    pairs = [
        (row.name, storage.resolved(row.target, folder), storage.resolved(row.guide, folder))
        for row in rows
        if row.guide
    ]
    if len(pairs) < LEAST_PAIRS or any(map(storage.is_remote, (table, *pairs[0][1:]))):
        return None
    if not _one_size([pair[1] for pair in pairs]) or not _one_size([pair[2] for pair in pairs]):
        return None
    from cmsr import rigs

    return rigs.rig_needed(pairs, config)


def _one_size(files: Sequence[str]) -> bool:
    """Return whether images are of one camera's size, as far as they can be read."""
    from cmsr.io import image_files

    sizes = set()
    for file in files:
        try:
            if image_files.is_array(file):
                return False
            sizes.add(image_files.describe(file).grid.shape)
        except CmsrError:
            return False
        if len(sizes) > 1:
            return False
    return len(sizes) == 1
