"""What files tell of their fields of view: priors with a width, for the search in a wider photo."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from cmsr.io.lens import lens
from cmsr.registration.known_fields import fields_in_files
from tests import fake_cameras

SIZES = (40, 60), (40, 60)

FLIR = {"make": "FLIR Systems AB", "model": "FLIR E8"}


def picture(file: Path, *, xmp: bytes = b"", size: tuple[int, int] = (60, 40), **tags: Any) -> str:
    """Write an image with entries of Exif's own directory, by their numbers in hexadecimal."""
    exif = Image.Exif()
    for name, value in tags.items():
        exif.get_ifd(0x8769)[int(name[1:], 16)] = value
    Image.new("L", size).save(file, exif=exif, xmp=xmp)
    return str(file)


@pytest.mark.parametrize(
    ("lengths", "told"), [((50, 21), 2.38), ((0, 21), None), ((900, 20), None)]
)
def test_equivalent_lengths_tell_the_field(
    tmp_path: Path, lengths: tuple[int, int], told: float | None
) -> None:
    files = [
        picture(tmp_path / f"{name}.jpg", xA405=length)
        for name, length in zip("tg", lengths, strict=True)
    ]
    found = fields_in_files(files[0], files[1], SIZES)
    assert [prior.field for prior in found] == ([] if told is None else [pytest.approx(told, 0.01)])
    assert not fields_in_files("target", files[1], SIZES)


def test_three_ways_of_one_lens_agree(tmp_path: Path) -> None:
    # 4.5 mm before a sensor of 6 × 4 mm: 60 pixels in 6 mm are 10 a millimetre
    exact = math.hypot(6, 4) / 2 / 4.5
    rational = TiffImagePlugin.IFDRational
    sensor = picture(
        tmp_path / "s.jpg", x920A=rational(45, 10), xA20E=rational(100), xA210=3, xA20F=100.0
    )
    film = picture(tmp_path / "f.jpg", xA405=round(math.hypot(36, 24) / 2 / exact))
    xmp = b'<rdf:Description drone-dji:CalibratedFocalLength="45.0"/>'
    drone = picture(tmp_path / "d.jpg", xmp=xmp)
    for name, within in ((sensor, 1e-6), (film, 0.02), (drone, 1e-6)):
        found = lens(name)
        assert found is not None
        assert found.tangent == pytest.approx(exact, rel=within)
        assert found.spread > 0


def test_a_digital_zoom_may_be_counted_or_not(tmp_path: Path) -> None:
    plain = lens(picture(tmp_path / "a.jpg", xA405=40))
    zoomed = lens(picture(tmp_path / "b.jpg", xA405=40, xA404=4.0))
    assert plain is not None
    assert zoomed is not None
    for possible in (plain.tangent, plain.tangent / 4):
        assert abs(math.log(zoomed.tangent / possible)) <= zoomed.spread


@pytest.mark.parametrize("value", [0, math.nan, -3.0, "x", 1e9])
def test_nonsense_tells_nothing(tmp_path: Path, value: Any) -> None:
    file = tmp_path / "n.jpg"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x920A] = 5.0
    exif.get_ifd(0x8769)[0xA20E] = value
    Image.new("L", (60, 40)).save(file, exif=exif)
    assert lens(str(file)) is None
    assert lens(picture(tmp_path / "x.jpg", xmp=b'drone-dji:CalibratedFocalLength="0.0.1"')) is None


def flir(file: Path, angle: float, wider: float, zoom: float) -> str:
    """Write a FLIR camera's file that tells its field of view and its photo's."""
    counts, photo = np.full((40, 60), 9000), np.zeros((60, 80, 3), np.uint8)
    about = fake_cameras.exif(**FLIR, digital_zoom=zoom)
    file.write_bytes(fake_cameras.flir_file(counts, photo, (wider, 0, 0), exif=about, angle=angle))
    return str(file)


def test_a_thermal_cameras_records_tell_the_field(tmp_path: Path) -> None:
    target = flir(tmp_path / "ir.jpg", 25.0, 2.2, 1.0)
    beside = tmp_path / "dc.jpg"
    beside.write_bytes(fake_cameras.jpeg((80, 60), fake_cameras.exif(**FLIR)))
    (prior,) = fields_in_files(target, str(beside), ((40, 60), (60, 80)))
    unit = (80 / 60) / 2.2  # pixels of the photo for one of the thermal image
    assert prior.field == pytest.approx(100 / (unit * math.hypot(40, 60)))
    other = picture(tmp_path / "o.jpg", xA405=28)
    (prior,) = fields_in_files(target, other, SIZES)
    half = math.tan(math.radians(12.5)) * math.hypot(40, 60) / 60
    assert prior.field == pytest.approx(math.hypot(36, 24) / 2 / 28 / half)
    zoomed = flir(tmp_path / "z.jpg", 0.0, 4.0, 2.0)
    assert len(fields_in_files(zoomed, str(beside), SIZES)) == 2
