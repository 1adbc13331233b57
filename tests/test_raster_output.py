"""Written files: COGs stay COGs, at once and row by row; a full disk is noticed at any byte."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin

from cmsr.errors import OutputError
from cmsr.io import image_files, raster_output
from cmsr.io.atomic import replacing
from tests.conftest import smooth_field

LARGE = (600, 700)
PLACE = {"crs": "EPSG:32632", "transform": from_origin(5e5, 5.7e6, 2, 2)}


def target(folder: Path, driver: str, dtype: str = "float32") -> image_files.Raster:
    """Write a georeferenced image that says much of itself; return it as it is read."""
    image = (1000 * smooth_field((300, 350), 1)).astype(dtype)
    size = {"height": 300, "width": 350, "count": 1, "dtype": dtype, "nodata": 7}
    with rasterio.open(folder / "plain.tif", "w", "GTiff", **size, **PLACE) as file:
        file.write(image, 1)
        file.set_band_description(1, "heat")
        file.set_band_unit(1, "K")
        file.scales, file.offsets = (0.01,), (250.0,)
        file.update_tags(sensor="X1")
    rasterio.shutil.copy(folder / "plain.tif", folder / "t.tif", driver=driver)
    return image_files.read(folder / "t.tif")


def result(raster: image_files.Raster) -> np.ndarray:
    return (1000 * smooth_field(LARGE, 2)).astype(raster.data.dtype)


def by_rows(path: Path, image: np.ndarray, like: image_files.Raster) -> None:
    valid = np.ones(LARGE, bool)
    with replacing(path) as temporary, raster_output.by_rows(temporary, like, LARGE) as write:
        for first in range(0, LARGE[0], 250):
            write(first, image[None, first : first + 250], valid[first : first + 250])


def at_once(path: Path, image: np.ndarray, like: image_files.Raster) -> None:
    image_files.write(path, image, like=like)


def place_of(file: rasterio.DatasetReader, part: str, overview: int | None = None) -> int:
    return int(file.get_tag_item(part, "TIFF", bidx=1, ovr=overview))


@pytest.mark.parametrize("dtype", ["float32", "uint16", "int8"])
@pytest.mark.parametrize("write", [at_once, by_rows])
def test_of_a_cog_comes_a_cog(tmp_path: Path, write: object, dtype: str) -> None:
    like = target(tmp_path, "COG", dtype)
    image = result(like)
    write(tmp_path / "o.tif", image, like)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.tif", "plain.tif", "t.tif"]
    with rasterio.open(tmp_path / "o.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.profile["tiled"]
        assert file.block_shapes == [(256, 256)]
        assert file.overviews(1) == [2, 4]
        first = place_of(file, "BLOCK_OFFSET_0_0")
        assert place_of(file, "IFD_OFFSET") < first
        assert place_of(file, "BLOCK_OFFSET_0_0", 0) < first
        assert np.array_equal(file.read(1), image)
        assert (file.descriptions, file.units) == (("heat",), ("K",))
        assert (file.scales, file.offsets, file.nodata) == ((0.01,), (250.0,), 7)
        assert file.tags()["sensor"] == "X1"
        assert file.crs.to_epsg() == 32632
        assert file.transform == from_origin(5e5, 5.7e6, 1, 1)


@pytest.mark.parametrize("write", [at_once, by_rows])
def test_of_a_plain_geotiff_comes_no_cog(tmp_path: Path, write: object) -> None:
    like = target(tmp_path, "GTiff")
    write(tmp_path / "o.tif", result(like), like)
    with rasterio.open(tmp_path / "o.tif") as file:
        assert "LAYOUT" not in file.tags(ns="IMAGE_STRUCTURE")
        assert not file.overviews(1)
        assert np.array_equal(file.read(1), result(like))


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as on a disk that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_a_disk_that_fills_up_while_rows_are_written_leaves_the_old_file(
    tmp_path: Path, driver: str
) -> None:
    like, out = target(tmp_path, driver), tmp_path / "o.tif"
    by_rows(out, result(like), like)
    needed = out.stat().st_size
    out.write_bytes(b"old")
    names = sorted(tmp_path.iterdir())
    for missing in (1, 100, 5000, needed // 2, needed - 10):
        with files_up_to(needed - missing), pytest.raises(OutputError) as caught:
            by_rows(out, result(like), like)
        assert str(caught.value).startswith(f"{out}: cannot be written (")
        assert out.read_bytes() == b"old"
        assert sorted(tmp_path.iterdir()) == names
