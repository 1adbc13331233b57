"""A VRT is a mosaic of images in its own folder, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from cmsr.errors import InputError
from cmsr.io import image_files, vrt

GROUND = {"crs": "EPSG:32633", "transform": from_origin(600_000, 5_200_000, 4, 4)}
IMAGE = np.arange(6 * 8, dtype=np.float32).reshape(6, 8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Halves of an image, one of them in a folder of its own, and a file outside."""
    inner = tmp_path / "in"
    (inner / "sub").mkdir(parents=True)
    image_files.write(inner / "left.tif", IMAGE[:, :4])
    image_files.write(inner / "sub" / "right.tif", IMAGE[:, 4:])
    image_files.write(tmp_path / "secret.tif", IMAGE)
    return inner


def source(name: str, left: int = 0, width: int = 4, kind: str = "SimpleSource") -> str:
    return (
        f'<{kind}><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
        "<SourceBand>1</SourceBand>"
        f'<SrcRect xOff="0" yOff="0" xSize="{width}" ySize="6"/>'
        f'<DstRect xOff="{left}" yOff="0" xSize="{width}" ySize="6"/></{kind}>'
    )


def mosaic(content: str, band: str = "", head: str = "", before: str = "") -> str:
    return (
        f'{before}<VRTDataset rasterXSize="8" rasterYSize="6">{head}'
        f'<VRTRasterBand dataType="Float32" band="1" {band}><NoDataValue>-1</NoDataValue>{content}'
        "</VRTRasterBand></VRTDataset>"
    )


def test_a_mosaic_of_its_own_folder_is_read(folder: Path) -> None:
    place = "".join(f"{n}, " for n in GROUND["transform"].to_gdal())[:-2]
    head = f"<SRS>EPSG:32633</SRS><GeoTransform>{place}</GeoTransform>"
    both = source("left.tif") + source("./sub/right.tif", 4, kind="ComplexSource")
    (folder / "a.vrt").write_text(mosaic(both, head=head))
    raster = image_files.read(folder / "a.vrt")
    assert np.array_equal(raster.data[0], IMAGE)
    assert raster.profile["transform"] == GROUND["transform"]
    assert raster.profile["crs"].to_string() == "EPSG:32633"
    (folder / "half.vrt").write_text(mosaic(source("left.tif")))
    assert not image_files.read(folder / "half.vrt").valid[:, 4:].any()


def test_what_gdal_writes_is_read(folder: Path) -> None:
    rasterio.shutil.copy(folder / "left.tif", folder / "b.vrt", driver="VRT")
    assert np.array_equal(image_files.read(folder / "b.vrt").data[0], IMAGE[:, :4])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../secret.tif", "not in its own folder"),
        ("{outside}", "not in its own folder"),
        ("/etc/passwd", "not in its own folder"),
        ("link.tif", "not in its own folder"),
        ("/vsicurl/http://localhost/a.tif", "not in its own folder"),
        ("http://localhost/a.tif", "is missing"),
        ("NETCDF:left.tif:a", "is missing"),
        ("&lt;VRTDataset/&gt;", "is missing"),
        ("absent.tif", "is missing"),
        ("other.vrt", "is no TIFF, PNG or JPEG"),
        ("hidden.tif", "is no TIFF, PNG or JPEG"),
        ("", "not in its own folder"),
    ],
)
def test_nothing_else_is_opened(folder: Path, name: str, words: str) -> None:
    (folder / "link.tif").symlink_to(folder.parent / "secret.tif")
    for virtual in ("other.vrt", "hidden.tif"):
        (folder / virtual).write_text(mosaic(source("../secret.tif", width=8)))
    named = name.format(outside=folder.parent / "secret.tif")
    (folder / "a.vrt").write_text(mosaic(source(named)))
    with pytest.raises(InputError, match=words):
        image_files.read(folder / "a.vrt")


LEFT = source("left.tif")
ENTITY = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
CODE = "<PixelFunctionLanguage>Python</PixelFunctionLanguage>"
FAULTS = {
    "derived": (mosaic(LEFT + CODE, 'subClass="VRTDerivedRasterBand"'), "VRTDerivedRasterBand"),
    "code": (mosaic(CODE + LEFT), "no plain mosaic of images .PixelFunctionLanguage"),
    "raw": (mosaic(LEFT, 'subClass="VRTRawRasterBand"'), "VRTRawRasterBand"),
    "warped": (mosaic(LEFT).replace(" raster", ' subClass="VRTWarpedDataset" raster', 1),
               "VRTWarpedDataset"),
    "entity": (mosaic(LEFT, before=ENTITY), "declares entities"),
    "address": (mosaic(LEFT, head="<SRS>http://localhost/a.prj</SRS>"), "coordinate system"),
    "cut": (mosaic(LEFT)[:-5], "broken VRT"),
    "depth": (mosaic("<MaskBand>" * 5000 + "</MaskBand>" * 5000), "no plain mosaic"),
    "crowd": (mosaic(LEFT * 10_001), "more than 10000 files"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_more_than_a_mosaic_is_refused(folder: Path, fault: str) -> None:
    text, words = FAULTS[fault]
    before = '<?xml version="1.0"?>' if text.startswith("<!") else ""
    (folder / "a.vrt").write_text(before + text)
    with pytest.raises(InputError, match=words):
        image_files.read(folder / "a.vrt")


def test_a_giant_mosaic_allocates_nothing(folder: Path) -> None:
    (folder / "a.vrt").write_text(mosaic(LEFT).replace('XSize="8"', 'XSize="2000000000"', 1))
    with pytest.raises(InputError, match="too many"):
        image_files.read(folder / "a.vrt")


def test_the_text_that_gdal_sees_names_files_that_were_looked_at(folder: Path) -> None:
    (folder / "a.vrt").write_text(mosaic(LEFT).replace("<Sourc", "<!-- <a/> --><Sourc"))
    text = vrt.checked(folder / "a.vrt", "a.vrt")
    assert f"<SourceFilename>{folder / 'left.tif'}</SourceFilename>" in text
    assert "relativeToVRT" not in text
