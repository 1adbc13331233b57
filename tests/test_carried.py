"""Exif, XMP and colour profile of a target are in its result, with what the result changed."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from PIL import Image, ImageCms, TiffImagePlugin

from cmsr.app.cli import main
from cmsr.io import carried, image_files, inputs
from tests.fake_cameras import flir_file

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description drone-dji:GimbalYawDegree="12.5" drone-dji:CalibratedFocalLength="100.0" '
    'tiff:ImageWidth="24" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)
PLACE = {1: "N", 2: (46.0, 31.0, 12.25), 3: "E", 4: (6.0, 34.0, 2.5)}


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0132] = "DJI", "M30T", "2024:05:01 12:00:00"
    tags[0x0112] = 6
    per_unit = TiffImagePlugin.IFDRational(50)
    tags.get_ifd(0x8769).update({0x9003: "2024:05:01 12:00:00", 0xA20E: per_unit, 0xA002: 24})
    tags.get_ifd(0x8825).update(PLACE)
    return tags


def target(path: Path, *, grey: bool = True) -> Path:
    picture = np.random.default_rng(0).integers(20, 230, (24, 32) if grey else (24, 32, 3))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(picture.astype(np.uint8)).save(
        path, exif=exif(), xmp=XMP.encode(), icc_profile=profile
    )
    return path


def upscaled(file: Path, out: Path, *words: str) -> Path:
    line = f"upscale {file} -o {out} --ratio 2 --quiet --preset fast --kernel bicubic"
    assert main([*line.split(), *words]) == 0
    return out


@pytest.mark.parametrize("ending", ["tif", "jpg", "png"])
def test_camera_time_and_place_travel(ending: str, tmp_path: Path) -> None:
    out = upscaled(target(tmp_path / "t.jpg"), tmp_path / f"o.{ending}")
    with Image.open(out) as picture:
        assert picture.size == (48, 64), "turned upright"
        found = picture.getexif()
        inner, place = found.get_ifd(0x8769), found.get_ifd(0x8825)
        text = picture.info["xmp"].decode()
        assert picture.info["icc_profile"][36:40] == b"acsp"
    assert (found[0x010F], found[0x0110], found[0x0132]) == ("DJI", "M30T", "2024:05:01 12:00:00")
    assert found.get(0x0112, 1) == 1
    assert (inner[0x9003], inner[0xA002], inner[0xA003]) == ("2024:05:01 12:00:00", 48, 64)
    assert Fraction(inner[0xA20E].numerator, inner[0xA20E].denominator) == 100
    assert place[1] == "N"
    assert [float(part) for part in place[2]] == [46.0, 31.0, 12.25]
    assert 'GimbalYawDegree="12.5"' in text
    assert 'CalibratedFocalLength="200.000000"' in text
    assert 'ImageWidth="48"' in text
    assert 'Orientation="1"' in text
    raster, _ = inputs.read_alone(out)
    assert raster.shape == (64, 48), "and not turned once more"


@pytest.mark.parametrize("ending", ["tif", "jpg", "png"])
def test_without_metadata(ending: str, tmp_path: Path) -> None:
    out = upscaled(target(tmp_path / "t.jpg"), tmp_path / f"o.{ending}", "--strip-metadata")
    content = out.read_bytes()
    assert not any(word in content for word in (b"DJI", b"xmpmeta", b"2024:05", b"acsp"))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_temperatures_are_a_band_named_lwir(tmp_path: Path) -> None:
    counts = np.linspace(15000, 18000, 24 * 32).reshape(24, 32).astype(np.uint16)
    file = tmp_path / "FLIR.jpg"
    tags = exif()
    tags[0x0112] = 1
    file.write_bytes(flir_file(counts, exif=tags))
    out = upscaled(file, tmp_path / "o.tif")
    with rasterio.open(out) as dataset:
        assert (dataset.dtypes, dataset.units) == (("float32",), ("°C",))
        celsius = dataset.read(1)
    # as mapping software reads it: the band's name from the XMP's tag, °C as plain float32
    with Image.open(out) as picture:
        packet = ElementTree.fromstring(picture.tag_v2[700])  # noqa: S314
        assert [each.text for each in packet.iter() if each.tag.endswith("}BandName")] == ["LWIR"]
        assert picture.mode == "F"
        np.testing.assert_array_equal(np.asarray(picture), celsius)
        assert 0 < celsius.min() < celsius.max() < 100
        assert picture.getexif()[0x0110] == "M30T"
        assert picture.getexif().get_ifd(0x8825)[3] == "E"


def test_pixels_are_untouched_and_broken_metadata_is_left_out(tmp_path: Path) -> None:
    out = upscaled(target(tmp_path / "t.jpg"), tmp_path / "o.png")
    plain = upscaled(tmp_path / "t.jpg", tmp_path / "p.png", "--strip-metadata")
    with Image.open(out) as one, Image.open(plain) as other:
        assert one.tobytes() == other.tobytes()
    broken = (tmp_path / "t.jpg").read_bytes().replace(b"Exif\0\0MM", b"Exif\0\0??")
    (tmp_path / "b.jpg").write_bytes(broken)
    carried.read(tmp_path / "b.jpg")
    upscaled(tmp_path / "b.jpg", tmp_path / "b.tif")
    assert carried.read(tmp_path / "nothing.jpg").empty
    assert carried.added(b"no image", carried.Carried(tags={0x010F: "a"})) == b"no image"


def test_a_small_file_of_either_byte_order_takes_it() -> None:
    for mode in ("II", "MM"):
        file = BytesIO()
        directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=mode.encode())
        directory[256], directory[257], directory[258], directory[262] = 1, 1, 8, 1
        directory[273], directory[277], directory[278], directory[279] = 8, 1, 1, 1
        directory.save(file)
        content = carried.added(file.getvalue(), carried.Carried(tags={0x010F: "Maker"}, gps=PLACE))
        with Image.open(BytesIO(content)) as picture:
            assert picture.getexif()[0x010F] == "Maker"
            assert picture.getexif().get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("cog", [False, True])
def test_a_cog_and_a_bigtiff_take_it_and_stay_what_they_are(
    tmp_path: Path, cog: bool, big: bool
) -> None:
    values = np.random.default_rng(0).integers(0, 9, (3, 700, 600)).astype(np.uint8)
    plain, path = tmp_path / "plain.tif", tmp_path / "a.tif"
    size = {"width": 600, "height": 700, "count": 3, "dtype": "uint8", "interleave": "pixel"}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(4, 0, 6e5, 0, -4, 5.2e6)}
    with rasterio.open(plain, "w", "GTiff", **size, **place) as dataset:
        dataset.write(values)
        dataset.set_band_description(1, "a band")
        dataset.write_mask(values[0] > 1)
    driver = "COG" if cog else "GTiff"
    rasterio.shutil.copy(plain, path, driver=driver, bigtiff="yes" if big else "no")
    before = path.read_bytes()
    about = carried.Carried({0x010F: "Maker"}, {0x9003: "2024"}, PLACE, XMP, b"p" * 99)
    path.write_bytes(carried.added(before, about, cog=cog))
    with rasterio.open(path) as dataset:
        assert np.array_equal(dataset.read(), values)
        assert np.array_equal(dataset.dataset_mask() > 0, values[0] > 1)
        assert (dataset.crs, dataset.transform) == tuple(place.values())
        assert dataset.descriptions[0] == "a band"
        assert dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == ("COG" if cog else None)
        if cog:
            with rasterio.open(path, overview_level=0) as small:
                assert small.shape == (350, 300)
                assert np.isfinite(small.read().sum())
    with Image.open(path) as picture:
        found = picture.getexif()
        assert found[0x010F] == "Maker"
        assert found.get_ifd(0x8769)[0x9003] == "2024"
        assert found.get_ifd(0x8825)[1] == "N"
        assert picture.info["icc_profile"] == b"p" * 99
    assert path.read_bytes()[2] == (43 if big else 42)
    if cog:
        first = int.from_bytes(before[8:16] if big else before[4:8], "little")
        assert path.read_bytes()[:first] == before[:first], "its directory is where it was"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_camera_and_place_of_a_tiff_travel(tmp_path: Path, driver: str) -> None:
    about = carried.read(target(tmp_path / "t.jpg"))
    rasterio.shutil.copy(tmp_path / "t.jpg", tmp_path / "t.tif", driver=driver)
    plain, cog = (tmp_path / "t.tif").read_bytes(), driver == "COG"
    (tmp_path / "t.tif").write_bytes(carried.added(plain, about, cog=cog))
    out = upscaled(tmp_path / "t.tif", tmp_path / "o.tif")
    with rasterio.open(out) as dataset, Image.open(out) as picture:
        assert (dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG") == cog
        assert picture.getexif()[0x0110] == "M30T"
        assert picture.getexif().get_ifd(0x8825)[3] == "E"
        assert b"CalibratedFocalLength" in picture.info["xmp"]


def test_what_pillow_cannot_read_is_not_worth_a_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image_files.write(tmp_path / "t.tif", np.ones((8, 8, 8), np.uint8))
    assert carried.read(tmp_path / "t.tif").empty
    assert capfd.readouterr().err == ""
