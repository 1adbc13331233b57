"""The pairs that a batch is given: listed in a table, or found in a folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cmsr.app.batch.folder import find_pairs
from cmsr.app.batch.found import Found
from cmsr.app.batch.progress import Display
from cmsr.app.batch.storage import absolute, is_remote
from cmsr.app.batch.table import Row, read_table
from cmsr.errors import OptionError
from cmsr.io import image_files
from cmsr.io.atomic import replacing

if TYPE_CHECKING:
    from cmsr.app.batch.command import Batch


def given(options: Batch, display: Display) -> tuple[str, list[Row], list[tuple[str, str]]]:
    """Return the table's name, its rows, and the images of a folder that have no partner.

    Raises
    ------
    CmsrError
        If the table cannot be used, the folder holds no pair, or an option has no effect.
    """
    place = absolute(options.pairs)
    if is_remote(place) or not os.path.isdir(place):
        if options.pairs_out is not None:
            raise OptionError(
                f"--pairs-out requires a folder of images; {options.pairs} is not one"
            )
        return place, read_table(place), []
    found = found_in(options)
    display.say(found.shown())
    return f"{place}/", found.rows(), found.alone


def found_in(options: Batch) -> Found:
    """Search a folder, and write the pairs as a table where the options ask for it."""
    if options.pairs_out is not None:
        image_files.check_output(options.pairs_out, overwrite=options.overwrite)
    found = find_pairs(absolute(options.pairs), absolute(options.out))
    if options.pairs_out is not None:
        with replacing(options.pairs_out) as temporary:
            temporary.write_bytes(found.as_table(absolute(options.pairs_out.parent)))
    return found
