"""What the pages say: blocks of code, the commands in them, and small files to run them on."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from scipy.ndimage import zoom

from cmsr.io import image_files
from cmsr.registration.placement import Placement
from cmsr.registration.rig import Rig
from tests.conftest import render_pair
from tests.fake_cameras import exif, flir_file
from tests.test_planck import SENSOR

FINE, COARSE = (60, 80), (15, 20)
"""Sizes of the photo and of the target."""

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_NOT_RUN = re.compile(r"<!-- not run: (.*?) -->")
_COMMENT = re.compile(r"\s+(?:# |\(holds|\(without).*")


@dataclass(frozen=True)
class Block:
    """A block of code of a page; ``why`` says why it is not run, "" where it is."""

    page: str
    language: str
    text: str
    why: str

    def commands(self) -> list[str]:
        """Return its lines that begin with cmsr, without comments, continued ones joined."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [" ".join(_COMMENT.sub("", line).split()) for line in map(str.strip, lines)
                if line.startswith("cmsr ")]  # fmt: skip


def blocks() -> Iterator[Block]:
    """Yield the blocks of code of every page: between fences, or indented by four spaces."""
    for page in PAGES:
        why, lines = "", iter([*page.read_text("utf-8").splitlines(), ""])
        for line in lines:
            if line.startswith("```"):
                text = "\n".join(takewhile(lambda inside: inside != "```", lines))
                yield Block(page.name, line[3:], text, why)
            elif line.startswith("    "):
                text = "\n".join(
                    [line, *takewhile(lambda inside: inside.startswith("    "), lines)]
                )
                yield Block(page.name, "", text, why)
            found = _NOT_RUN.fullmatch(line)
            why = found[1] if found else ""


def commands() -> dict[str, str]:
    """Return every command of the pages once, and why it is not run ("" where it is)."""
    found: dict[str, str] = {}
    for block in blocks():
        for line in block.commands():
            found[line] = found.get(line, block.why) and block.why
    return found


def words(line: str) -> list[str]:
    """Return the words of a command as a shell would, without the program's name."""
    return shlex.split(line)[1:]


def make_files(folder: Path) -> None:
    """Write a small file of every name that the pages use."""
    pair = render_pair(FINE, COARSE, seed=3)
    counts = np.rint(29000 + 1500 * pair.target).astype(np.uint16)
    celsius = {"scales": [0.01], "offsets": [-273.15], "units": ["°C"]}
    target = image_files.from_array(counts, "thermal", **celsius)
    image_files.write(folder / "thermal.tif", counts, like=target)
    large = render_pair((120, 160), (60, 80))
    enlarged = np.asarray(zoom(large.target, 2, order=1), np.float32)
    image_files.write(folder / "enlarged.tif", enlarged)
    image_files.write(folder / "photo.png", large.guide)
    for name in ("photo.jpg", "photo.tif"):
        image_files.write(folder / name, pair.guide)
    image_files.write(folder / "truth.tif", np.rint(29000 + 1500 * pair.truth).astype(np.uint16))
    image_files.write(folder / "depth.png", np.rint(800 + 400 * pair.target).astype(np.uint16))
    image_files.write(folder / "mask.png", (np.indices(COARSE).sum(0) < 4).astype(np.uint8))
    raw = np.rint(15000 + 2000 * pair.target).astype(np.uint16)
    camera = exif(make="FLIR Systems AB", model="FLIR E40")
    (folder / "FLIR.jpg").write_bytes(flir_file(raw, pair.guide, sensor=SENSOR, exif=camera))
    _write_maps(folder, pair.target, pair.guide)
    places = "target_x,target_y,photo_x,photo_y\n0,0,0,0\n20,0,80,0\n20,15,80,60\n"
    (folder / "points.csv").write_text(places)
    whole = Placement(COARSE, FINE, ((40.0, 0.0, 40.0), (0.0, 30.0, 30.0), (0.0, 0.0, 1.0)))
    rig = Rig.of(whole, spread=0.5, kernel="box", ratio=4.0, noise=0.1)
    (folder / "rig.json").write_text(json.dumps(rig.to_json()))
    _write_pairs(folder)


def _write_maps(folder: Path, target: np.ndarray, photo: np.ndarray) -> None:
    """Write a multispectral image and an orthophoto of one area, and a NetCDF file."""
    bands = np.stack([target, 1 - target, target**2]).astype(np.float32)
    ortho = np.moveaxis(photo, -1, 0)
    for name, data, size in (("multispectral.tif", bands, 4), ("ortho.tif", ortho, 1)):
        with rasterio.open(
            folder / name, "w", driver="GTiff", count=3, dtype=data.dtype, crs="EPSG:32632",
            height=data.shape[1], width=data.shape[2],
            transform=Affine(size, 0, 5e5, 0, -size, 5e6),
        ) as file:  # fmt: skip
            file.write(data)
    with rasterio.open(folder / "s.tif", "w", driver="GTiff", count=1, dtype="float32",
                       height=COARSE[0], width=COARSE[1], crs="EPSG:32632",
                       transform=Affine(4, 0, 5e5, 0, -4, 5e6)) as file:  # fmt: skip
        file.write(20 + 5 * bands[0], 1)
        file.update_tags(1, NETCDF_VARNAME="temperature")
    rasterio.shutil.copy(folder / "s.tif", folder / "series.nc", driver="netCDF")


def _write_pairs(folder: Path) -> None:
    """Write a folder of two pairs, and the table that lists them."""
    (folder / "DCIM").mkdir()
    lines = ["name,target,guide,dataset,truth"]
    for index in range(2):
        pair = render_pair((60, 80), (15, 20), seed=index)
        low = np.rint(250 * pair.target).astype(np.uint8)
        image_files.write(folder / f"DCIM/{index}_thermal.png", low)
        image_files.write(folder / f"DCIM/{index}_rgb.png", pair.guide)
        image_files.write(folder / f"true{index}.png", np.rint(250 * pair.truth).astype(np.uint8))
        lines.append(f"{index},DCIM/{index}_thermal.png,DCIM/{index}_rgb.png,own,true{index}.png")
    for name in ("pairs.csv", "PAIRS.csv"):
        (folder / name).write_text("\n".join(lines) + "\n")
