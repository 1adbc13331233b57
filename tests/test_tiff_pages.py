"""TIFFs whose first image is a thumbnail; pages of one size stay pages."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from cmsr.io import inputs, tiff_pages
from cmsr.io.pages import pages

LARGE = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
SMALL = np.zeros((12, 16, 3), np.uint8)


def tiff(path: Path, images: list[np.ndarray], *, marked: bool, big: bool = False) -> Path:
    """Write images as pages, the small ones marked as thumbnails."""
    frames = [Image.fromarray(image) for image in images]
    for frame in frames:
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[254] = int(marked and frame.width < 64)
        frame.encoderinfo = {"tiffinfo": tags}
    frames[0].save(
        path, "TIFF", save_all=True, append_images=frames[1:], big_tiff=big,
        tiffinfo=frames[0].encoderinfo["tiffinfo"],
    )  # fmt: skip
    return path


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("big", [True, False])
def test_the_largest_image_is_taken(*, marked: bool, big: bool, tmp_path: Path) -> None:
    path = tiff(tmp_path / "t.tif", [SMALL, LARGE], marked=marked, big=big)
    raster, notes = inputs.read_alone(path)
    assert (raster.data[0] == LARGE).all()
    assert "holds images of 16 × 12, 64 × 48 pixels; the largest, 64 × 48, is used" in notes[0]
    assert len(pages(path)) == 1


def test_pages_of_one_size_stay_pages(tmp_path: Path) -> None:
    path = tiff(tmp_path / "t.tif", [LARGE, LARGE + 1], marked=False)
    assert tiff_pages.meant(path) is None
    assert len(pages(path)) == 2
    path = tiff(tmp_path / "u.tif", [LARGE, SMALL], marked=True)
    assert tiff_pages.meant(path) is None


def test_an_image_in_a_subdirectory_is_listed(tmp_path: Path) -> None:
    path = tiff(tmp_path / "t.tif", [SMALL, LARGE], marked=True)
    content = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, first)[0]
    second = struct.unpack_from("<I", content, first + 2 + 12 * count)[0]
    last = first + 2 + 12 * (count - 1)
    content[last : last + 12] = struct.pack("<HHII", 330, 4, 1, second)
    struct.pack_into("<I", content, first + 2 + 12 * count, 0)
    path.write_bytes(content)
    found = tiff_pages.meant(path)
    assert found is not None
    assert (found[0].width, found[0].height) == (64, 48)


def test_what_is_no_tiff_has_no_directories(tmp_path: Path) -> None:
    for content in (b"", b"II*\0", b"II*\0\x08\0\0\0\xff\xff", b"no tiff at all"):
        (tmp_path / "x.tif").write_bytes(content)
        assert tiff_pages.directories(tmp_path / "x.tif") == []
