"""A file whose end is missing is refused, or nothing of its pixels was in that end."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
from PIL import Image

from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.io import image_files, inputs
from tests.conftest import smooth_field
from tests.fake_cameras import dji_file, flir_file
from tests.test_flir import COUNTS

CUTS = 40

GREY = (200 * smooth_field((40, 50), 0)).astype(np.uint8)
COLOURS = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)
FIELD = GREY.astype(np.float32)


def by_pillow(image: np.ndarray, **options: object) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(image).save(path, **options)


def by_gdal(driver: str, **options: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        image_files.write(path.with_name("source.tif"), FIELD)
        rasterio.shutil.copy(path.with_name("source.tif"), path, driver=driver, **options)

    return write


def by_cmsr(image: np.ndarray) -> Callable[[Path], None]:
    return lambda path: image_files.write(path, image)


WRITERS: dict[str, Callable[[Path], None]] = {
    "grey.png": by_cmsr(GREY),
    "colours.png": by_cmsr(COLOURS),
    "16 bits.png": by_cmsr(GREY.astype(np.uint16) * 250),
    "palette.png": lambda path: Image.fromarray(COLOURS).quantize(16).save(path),
    "grey.jpg": by_cmsr(GREY),
    "progressive.jpg": by_pillow(COLOURS, progressive=True),
    "restarts.jpg": by_pillow(COLOURS, restart_marker_blocks=2),
    "deflated.tif": by_cmsr(FIELD),
    "plain.tif": by_pillow(GREY),
    "pages.tif": lambda path: image_files.write_pages(
        path, [(GREY, None, None), (255 - GREY, None, None)]
    ),
    "pages one by one.tif": by_pillow(
        GREY, save_all=True, append_images=[Image.fromarray(255 - GREY)]
    ),
    "big.tif": by_pillow(GREY, big_tiff=True),
    "cog.tif": by_gdal("COG", BLOCKSIZE=128),
    "plain.npy": by_cmsr(FIELD),
    "packed.npz": lambda path: np.savez_compressed(path, a=FIELD),
    "plain.exr": by_cmsr(FIELD),
    "classic.nc": by_gdal("netCDF", FORMAT="NC"),
    "modern.nc": by_gdal("netCDF", FORMAT="NC4"),
    "colours.ppm": by_pillow(COLOURS),
    "grey.bmp": by_pillow(GREY),
    "colours.webp": by_pillow(COLOURS),
    "colours.jp2": by_pillow(COLOURS),
    "flir.jpg": lambda path: path.write_bytes(flir_file(COUNTS[:12, :16], COLOURS)) and None,
    "dji.jpg": lambda path: path.write_bytes(dji_file(np.zeros((120, 160), np.uint16))) and None,
}


def contents(path: Path) -> list[np.ndarray]:
    """Pixels of all pages, and of the photo that a camera adds."""
    found = []
    for page in inputs.pages(path):
        target, own = inputs.read_target(page, Config(), notes := [])
        if any("broken" in note or "cut off" in note or "no calibration" in note for note in notes):
            raise InputError(notes[0])
        found += [target.data, target.valid, *([] if own is None else [own([]).data])]
    return found


@pytest.mark.parametrize("name", WRITERS)
def test_every_beginning_of_a_file_is_refused_or_holds_all_of_it(tmp_path: Path, name: str) -> None:
    whole, cut = tmp_path / name, tmp_path / f"cut {name}"
    WRITERS[name](whole)
    content, pixels = whole.read_bytes(), contents(whole)
    refused: list[str] = []
    last = len(content) - 1
    for length in sorted({*np.linspace(1, last, CUTS, dtype=int), *range(last - 20, last + 1)}):
        cut.write_bytes(content[:length])
        try:
            found = contents(cut)
        except InputError as error:
            refused.append(str(error))
            continue
        assert len(found) == len(pixels), length
        assert all(map(np.array_equal, found, pixels)), length
    assert len(refused) > CUTS // 4
    assert all(message.startswith(str(cut)) for message in refused)


def test_a_hole_in_a_sparse_tiff_is_no_missing_end(tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "height": 128, "width": 128, "count": 1, "dtype": "uint8"}
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64, "sparse_ok": True, "nodata": 0}
    tile = np.full((1, 64, 64), 7, np.uint8)
    ground = {"crs": "EPSG:32632", "transform": rasterio.Affine.scale(2, -2)}
    with rasterio.open(tmp_path / "a.tif", "w", **profile, **tiles, **ground) as dataset:
        dataset.write(tile, window=rasterio.windows.Window(0, 0, 64, 64))
    raster = image_files.read(tmp_path / "a.tif")
    assert raster.valid.sum() == 64 * 64
    assert (raster.data[0][raster.valid] == 7).all()


def test_libraries_say_nothing_of_their_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image_files.write(tmp_path / "a.exr", FIELD)
    (tmp_path / "b.exr").write_bytes((tmp_path / "a.exr").read_bytes()[:-9])
    assert main(["info", str(tmp_path / "b.exr")]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize("where", ["relative", "absolute"])
def test_what_is_refused_is_called_as_the_user_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    image_files.write("a.png", GREY)
    Path("cut.png").write_bytes(Path("a.png").read_bytes()[:222])
    Path("b.tif").write_text("no image")
    for name in ("cut.png", "b.tif"):
        spelled = name if where == "relative" else str(tmp_path / name)
        assert main(["upscale", spelled, "a.png", "-o", "o.tif"]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"cmsr: {spelled}: not an image that can be read (")
        assert said.count(str(tmp_path)) == (where == "absolute")
    assert not Path("o.tif").exists()
