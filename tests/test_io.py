"""Files come back as they went; what cannot be read or written is said in one line."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from cmsr.errors import InputError, OutputError
from cmsr.io import image_files

RNG = np.random.default_rng(0)


def random_image(dtype: str, channels: int, shape: tuple[int, int] = (7, 9)) -> np.ndarray:
    if np.issubdtype(np.dtype(dtype), np.floating):
        data = RNG.normal(0, 1e3, (*shape, channels)).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        data = RNG.integers(limits.min, limits.max, (*shape, channels), dtype, endpoint=True)
    return data[..., 0] if channels == 1 else data


@pytest.mark.parametrize(
    ("ending", "dtype", "channels"),
    [
        *[(".tif", dtype, channels) for dtype in image_files.DTYPES for channels in (1, 2, 3, 5)],
        *[(".png", dtype, channels) for dtype in ("uint8", "uint16") for channels in (1, 3)],
    ],
)
def test_lossless_formats_keep_every_bit(
    tmp_path: Path, ending: str, dtype: str, channels: int
) -> None:
    image = random_image(dtype, channels)
    image_files.write(tmp_path / f"a{ending}", image)
    raster = image_files.read(tmp_path / f"a{ending}")
    again = raster.data[0] if raster.flat else np.moveaxis(raster.data, 0, -1)
    assert again.dtype == image.dtype
    assert again.tobytes() == image.tobytes()
    assert [p.name for p in tmp_path.iterdir()] == [f"a{ending}"]


def test_jpeg_keeps_the_picture(tmp_path: Path) -> None:
    image = np.full((16, 16, 3), (10, 200, 90), np.uint8)
    image_files.write(tmp_path / "a.jpg", image)
    assert np.abs(image_files.read(tmp_path / "a.jpg").data[:, 4, 4] - [10.0, 200, 90]).max() <= 3


def test_georeference_nodata_and_names_are_carried_over(tmp_path: Path) -> None:
    transform = from_origin(500_000, 5_700_000, 2.0, 2.0)
    with rasterio.open(
        tmp_path / "a.tif",
        "w",
        driver="GTiff",
        count=1,
        height=4,
        width=6,
        dtype="float32",
        nodata=-9999,
        crs="EPSG:32632",
        transform=transform,
    ) as dataset:
        data = np.arange(24, dtype="f4").reshape(4, 6)
        data[1, 2] = -9999
        dataset.write(data, 1)
        dataset.set_band_description(1, "temperature")
    raster = image_files.read(tmp_path / "a.tif")
    assert (~raster.valid).sum() == 1
    assert not raster.valid[1, 2]
    image_files.write(tmp_path / "b.tif", np.zeros((8, 12), "f4"), like=raster)
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.crs.to_epsg() == 32632
        assert dataset.nodata == -9999
        assert dataset.descriptions == ("temperature",)
        assert dataset.transform == from_origin(500_000, 5_700_000, 1.0, 1.0)


def test_nan_and_infinity_are_holes(tmp_path: Path) -> None:
    image = np.ones((5, 6), np.float32)
    image[1, 1], image[2, 2] = np.nan, np.inf
    image_files.write(tmp_path / "a.tif", image)
    for raster in (image_files.read(tmp_path / "a.tif"), image_files.from_array(image, "target")):
        assert np.argwhere(~raster.valid).tolist() == [[1, 1], [2, 2]]


def test_a_broken_colour_profile_does_not_matter(tmp_path: Path) -> None:
    image = random_image("uint8", 3)
    image_files.write(tmp_path / "a.png", image)
    png = (tmp_path / "a.png").read_bytes()
    profile = b"icc\0\0" + zlib.compress(bytes(200))
    chunk = struct.pack(">I", len(profile)) + b"iCCP" + profile + b"\0\0\0\0"
    (tmp_path / "b.png").write_bytes(png[:33] + chunk + png[33:])
    assert np.array_equal(np.moveaxis(image_files.read(tmp_path / "b.png").data, 0, -1), image)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png: not an image"):
        image_files.read(tmp_path / "a.png")


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        image_files.read(tmp_path / "none.png")
    with pytest.raises(InputError, match="is a folder"):
        image_files.read(tmp_path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    image_files.write(tmp_path / "a.tif", random_image("uint16", 1, (64, 64)))
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not an image"):
        image_files.read(tmp_path / "a.tif")


def test_a_lying_header_allocates_nothing(tmp_path: Path) -> None:
    options = {
        "count": 1,
        "dtype": "uint8",
        "sparse_ok": True,
        "tiled": True,
        "transform": from_origin(9, 9, 1, 1),
    }
    path = tmp_path / "huge.tif"
    with rasterio.open(path, "w", "GTiff", 60_000, 60_000, **options, compress="deflate"):
        pass
    with pytest.raises(InputError, match="too many"):
        image_files.read(path)


@pytest.mark.parametrize("values", [np.zeros((4, 4), complex), np.zeros((4, 4), bool)])
def test_odd_types_are_refused(values: np.ndarray) -> None:
    with pytest.raises(InputError, match="supported are uint8"):
        image_files.from_array(values, "target")


@pytest.mark.parametrize("shape", [(4,), (1, 2, 3, 4)])
def test_odd_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="axes"):
        image_files.from_array(np.zeros(shape), "target")


class TestOutput:
    """A result is refused before any work where it could not be written after it."""

    image = image_files.from_array(np.zeros((4, 4), np.float32), "target")

    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="does not exist"):
            image_files.check_output(tmp_path / "none" / "a.tif")

    def test_unwritable_folder(self) -> None:
        with pytest.raises(OutputError, match="cannot write there"):
            image_files.check_output("/proc/a.tif")

    def test_existing_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.tif").write_bytes(b"old")
        with pytest.raises(OutputError, match="exists already"):
            image_files.check_output(tmp_path / "a.tif")
        image_files.check_output(tmp_path / "a.tif", overwrite=True)

    def test_an_input(self, tmp_path: Path) -> None:
        (tmp_path / "a.tif").write_bytes(b"old")
        (tmp_path / "b.tif").symlink_to(tmp_path / "a.tif")
        with pytest.raises(OutputError, match="is an input"):
            image_files.check_output(tmp_path / "b.tif", inputs=[tmp_path / "a.tif"])

    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a"])
    def test_a_format_that_cannot_hold_the_values(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(OutputError, match=r"\.tif"):
            image_files.check_output(tmp_path / name, like=self.image)

    def test_a_failing_write_leaves_the_old_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.tif").write_bytes(b"old")

        def fill_the_disk() -> None:
            with image_files.replacing(tmp_path / "a.tif") as temporary:
                temporary.write_bytes(b"half")
                raise OSError(28, "No space left on device")

        with pytest.raises(OutputError, match="No space left"):
            fill_the_disk()
        assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
        assert (tmp_path / "a.tif").read_bytes() == b"old"


def test_alpha_is_taken_off_and_put_back(tmp_path: Path) -> None:
    image = random_image("uint8", 4)
    image[..., 3] = 255
    image[2, 3, 3] = 0
    Image.fromarray(image).save(tmp_path / "a.png")
    raster = image_files.read(tmp_path / "a.png")
    assert raster.alpha
    assert len(raster.data) == 3
    image_files.write(
        tmp_path / "b.png", np.moveaxis(raster.data, 0, -1), raster.valid, like=raster
    )
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), image)


@pytest.mark.parametrize("dataset", ["ulb17_thermal", "epfl_nir", "greenhouse_thermal16"])
def test_real_files_are_read(data: Path, real_pairs, dataset: str) -> None:
    for row in real_pairs(dataset):
        target, guide = (
            image_files.read(data / row["target"]),
            image_files.read(data / row["guide"]),
        )
        assert target.flat
        assert len(guide.data) == 3
        assert target.valid.all()
