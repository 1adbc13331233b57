"""Two images on the ground: one grid, values of the target untouched, places agree."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform as to_crs

from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.io import image_files, inputs
from cmsr.io.geo import overlap
from cmsr.io.raster_io import Grid

UTM = CRS.from_epsg(32632)
EAST, NORTH = 500_000.0, 5_700_000.0
TARGET = Grid(UTM, from_origin(EAST, NORTH, 4, 4), (30, 40))


def ground_value(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What every image shows at a place."""
    return 100 + 40 * np.sin((x - EAST) / 15) + 40 * np.cos((y - NORTH) / 20)


def picture(grid: Grid) -> np.ndarray:
    """Sample the ground at pixel centres of a grid, through its coordinate system."""
    rows, cols = np.mgrid[: grid.shape[0], : grid.shape[1]] + 0.5
    m = grid.transform
    x, y = m.a * cols + m.b * rows + m.c, m.d * cols + m.e * rows + m.f
    if grid.crs != UTM:
        x, y = (
            np.array(axis).reshape(grid.shape)
            for axis in to_crs(grid.crs, UTM, x.ravel(), y.ravel())
        )
    return ground_value(x, y)


def write(path: Path, grid: Grid, count: int, dtype: str = "float32", **options) -> Path:
    height, width = grid.shape
    options = {"crs": grid.crs, "transform": grid.transform, **options}
    with rasterio.open(path, "w", "GTiff", width, height, count, dtype=dtype, **options) as file:
        file.write(np.stack([picture(grid)] * count).astype(dtype))
    return path


def degrees() -> Grid:
    """A grid in degrees around the target."""
    lon, lat = to_crs(UTM, "EPSG:4326", [EAST - 10, EAST + 170], [NORTH + 10, NORTH - 130])
    width, height = 200, 160
    step = Affine.scale((lon[1] - lon[0]) / width, (lat[1] - lat[0]) / height)
    return Grid(CRS.from_epsg(4326), Affine.translation(lon[0], lat[0]) * step, (height, width))


GUIDES = {
    "larger": Grid(UTM, from_origin(EAST - 20, NORTH + 12, 1, 1), (200, 240)),
    "shifted by half a pixel": Grid(UTM, from_origin(EAST - 1.5, NORTH + 2.5, 1, 1), (140, 180)),
    "smaller": Grid(UTM, from_origin(EAST + 22, NORTH - 17, 1, 1), (70, 90)),
    "other pixel size": Grid(UTM, from_origin(EAST - 20, NORTH + 12, 1.3, 0.9), (200, 180)),
    "rotated": Grid(
        UTM,
        Affine.translation(EAST + 40, NORTH + 60) * Affine.rotation(-30) * Affine.scale(1, -1),
        (260, 260),
    ),
    "degrees": degrees(),
}


@pytest.mark.parametrize("name", GUIDES)
def test_places_agree_and_the_target_is_only_cropped(tmp_path: Path, name: str) -> None:
    target_path = write(tmp_path / "target.tif", TARGET, 1)
    guide_path = write(tmp_path / "guide.tif", GUIDES[name], 3)
    target, guide, notes = inputs.read_pair(target_path, guide_path, Config())
    common = overlap(TARGET, GUIDES[name], ("t", "g"))
    top, left = common.window.row_off, common.window.col_off
    rows, cols = target.shape
    assert np.array_equal(
        target.data[0], picture(TARGET).astype("f4")[top : top + rows, left : left + cols]
    )
    assert min(target.shape) >= 10
    assert any("cropped" in note for note in notes) == (target.shape != TARGET.shape)
    truth = picture(common.grid)
    guide = guide.whole
    inner = guide.valid.copy()
    inner[[0, 1, -1, -2]] = inner[:, [0, 1, -1, -2]] = False
    assert inner.mean() > 0.5
    assert np.abs(guide.data[0] - truth)[inner].max() < 1.5


def test_the_result_lies_where_the_target_did(tmp_path: Path) -> None:
    target_path = write(tmp_path / "target.tif", TARGET, 1)
    guide_path = write(tmp_path / "guide.tif", GUIDES["smaller"], 3)
    target, guide, _ = inputs.read_pair(target_path, guide_path, Config())
    image_files.write(tmp_path / "out.tif", np.zeros(guide.shape, "f4"), like=target)
    with rasterio.open(tmp_path / "out.tif") as result:
        assert result.crs == UTM
        assert result.transform.almost_equals(from_origin(EAST + 24, NORTH - 20, 1, 1), 1e-6)


def test_one_area_is_left_as_it_is(tmp_path: Path) -> None:
    same = Grid(UTM, from_origin(EAST, NORTH, 1, 1), (120, 160))
    assert overlap(TARGET, same, ("t", "g")) is None
    guide = write(tmp_path / "g.tif", same, 3, "uint8")
    _, read, notes = inputs.read_pair(write(tmp_path / "t.tif", TARGET, 1), guide, Config())
    assert np.array_equal(read.whole.data, image_files.read(guide).data)
    assert not notes


def test_what_does_not_overlap_is_refused() -> None:
    far = Grid(UTM, from_origin(EAST + 9000, NORTH, 1, 1), (120, 160))
    with pytest.raises(InputError, match=r"a\.tif and b\.tif do not overlap on the ground"):
        overlap(TARGET, far, ("a.tif", "b.tif"))
