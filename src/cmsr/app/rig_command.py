"""The command `cmsr rig`.

Only what parsing needs is imported at the top, so that help is instant.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, ClassVar

from cmsr.app.arguments import Argument, Command
from cmsr.config import Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class FindRig(Command):
    """Find the geometry that all pairs of two cameras fixed to each other share."""

    examples: ClassVar[tuple[str, ...]] = (
        "cmsr rig pairs.csv -o rig.json --overlay look.png",
        "cmsr upscale thermal.tif photo.jpg -o sharp.tif --rig rig.json",
    )

    pairs: Annotated[Path, Argument(positional=True, placeholder="PAIRS.csv")]
    """CSV file with the columns name,target,guide; paths in it are relative to it."""

    out: Annotated[Path, Argument(short="-o", placeholder="OUT")]
    """File for the rig, JSON."""

    overlay: Path | None = None
    """Also write a checkerboard of target and photo for the best and the worst pair."""

    field_of_view: Annotated[tuple[float, float] | None, Argument(placeholder="TARGET PHOTO")] = (
        None
    )
    """Horizontal fields of view of target and photo, in degrees, where they are known."""

    quiet: bool = False
    """Print errors only."""

    overwrite: bool = False
    """Replace files that exist."""

    def run(self) -> None:
        """Read, find, write."""
        from cmsr import rigs
        from cmsr.app import record
        from cmsr.io import image_files
        from cmsr.io.pair_table import read_file

        given = record.files(self.out, self.overlay)
        image_files.check_distinct(given)
        for path in given:
            image_files.check_output(path, inputs=[self.pairs], overwrite=self.overwrite)
        pairs = [
            (row["name"], self.pairs.parent / row["target"], self.pairs.parent / row["guide"])
            for _, row in read_file(self.pairs)
            if row["guide"]
        ]
        config = Config(field_of_view=self.field_of_view)
        rig = rigs.find_rig(pairs, config)
        picture = rigs.overlays(rig, pairs, config) if self.overlay else None
        record.write_json(self.out, rig.to_json())
        if self.overlay and picture is not None:
            with image_files.replacing(self.overlay) as temporary:
                picture.save(temporary, format="PNG")
        for vote in rig.votes:
            if vote.verdict == "outlier":
                print(f"warning: {vote.name}: shows another geometry", file=sys.stderr)
        if not self.quiet:
            print(f"{self.out}: {rig.text()}")
