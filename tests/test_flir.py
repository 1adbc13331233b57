"""A FLIR file gives back what was put in; real ones agree with independent readers."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from cmsr.app.job import Job
from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io import image_files, inputs
from cmsr.io.jpeg import segments
from cmsr.thermal import fff, flir, photo
from tests.conftest import smooth_field
from tests.fake_cameras import SCENE, flir_file, jpeg
from tests.test_planck import SENSOR, observed

CELSIUS = 15 + 40 * smooth_field((60, 80), 3)
COUNTS = np.rint(observed(CELSIUS, SENSOR, SCENE)).astype(np.uint16)


def read(content: bytes) -> flir.Flir:
    """Read the image in a radiometric JPEG."""
    return flir.read(fff.joined(segments(content)), "a.jpg")


@pytest.mark.parametrize("raw", ["png", "png-swapped", "little", "big"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_of_everything(raw: str, order: str) -> None:
    image = read(flir_file(COUNTS, raw=raw, order=order))
    assert np.array_equal(image.counts, COUNTS)
    assert np.abs(image.celsius() - CELSIUS).max() < 0.05


def test_overrides_replace_the_files_values() -> None:
    image = read(flir_file(COUNTS))
    assert np.array_equal(image.celsius(emissivity=None), image.celsius())
    hot = image.celsius() > 25
    assert (image.celsius(emissivity=0.7)[hot] > image.celsius()[hot] + 1).all()


def test_the_photo_is_cut_to_what_the_camera_says() -> None:
    whole = np.random.default_rng(0).integers(30, 255, (240, 320, 3), dtype=np.uint8)
    image = read(flir_file(COUNTS, whole, (2.0, 12, -8)))
    assert image.placement == photo.Placement(2.0, 12, -8)
    box = image.placement.box((240, 320), (60, 80))
    assert box.tolist() == [60 - 8, 80 + 12, 180 - 8, 240 + 12]
    part, valid = photo.cut(image.photo, box)
    assert np.array_equal(part, whole[52:172, 92:252])
    assert valid.all()


def test_beyond_the_photo_and_in_black_bars_there_is_nothing() -> None:
    whole = np.full((240, 320, 3), 90, np.uint8)
    whole[:30], whole[-30:] = 0, 0
    part, valid = photo.cut(whole, np.array([-10.0, -20.0, 230.0, 300.0]))
    assert part.shape == (240, 320, 3)
    assert not valid[:, :20].any()
    assert not valid[:40].any()
    assert valid[45:215, 25:].all()


@pytest.mark.parametrize("content", [jpeg(), b""])
def test_other_files_are_none_of_flirs(content: bytes) -> None:
    assert fff.joined(segments(content)) == b""


def test_broken_files_are_named() -> None:
    whole = flir_file(COUNTS)
    at = whole.index(b"FFF\0")
    with pytest.raises(InputError, match=r"a\.jpg: .*broken"):
        read(whole[:at] + b"XXX" + whole[at + 3 :])
    with pytest.raises(InputError, match=r"a\.jpg: .*broken"):
        read(whole[: at + 200])


def test_a_wrong_size_is_refused_before_memory_is_taken() -> None:
    content = bytearray(flir_file(COUNTS, raw="little"))
    at = content.index(COUNTS.astype("<u2").tobytes()[:64]) - 32
    content[at + 2 : at + 6] = b"\xff\xff\xff\xff"
    with pytest.raises(InputError, match="65535 × 65535"):
        read(bytes(content))


GOLDEN = {
    # minimum, maximum, mean, first, middle, last pixel in °C, as flyr 5.1.0 (PyPI) prints them
    "FLIR_AX8": (24.359720, 25.469215, 25.030829, 24.791490, 25.415696, 25.248269),
    "FLIR_E40": (17.875901, 24.700400, 21.089383, 22.939515, 20.916426, 19.855572),
    "FLIR": (25.948281, 62.320298, 29.118545, 26.175588, 30.500342, 26.317399),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_temperatures_are_those_of_an_independent_reader(data: Path, name: str) -> None:
    image = read((data / "rjpeg" / f"{name}_target.jpg").read_bytes())
    celsius = image.celsius()
    rows, cols = celsius.shape
    figures = [celsius.min(), celsius.max(), celsius.mean(dtype=float), celsius[0, 0]]
    figures += [celsius[rows // 2, cols // 2], celsius[-1, -1]]
    assert np.abs(np.array(figures) - GOLDEN[name]).max() < 0.01


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_counts_and_constants_are_those_that_gdal_reads(data: Path, name: str) -> None:
    path = data / "rjpeg" / f"{name}_target.jpg"
    image = read(path.read_bytes())
    with rasterio.open(path) as dataset:
        tags = dataset.tags(ns="FLIR")
    with rasterio.open(f'JPEG:"{path}":FLIR_RAW_THERMAL_IMAGE') as dataset:
        counts = dataset.read(1)
    same = np.array_equal(image.counts, counts)
    assert same or np.array_equal(image.counts, counts.byteswap())
    scale = int(tags["RawValueMedian"]), int(tags["RawValueRange"])
    assert abs(int(np.median(image.counts)) - scale[0]) < scale[1]
    for key, value in {
        "PlanckR1": image.sensor.r1,
        "PlanckR2": image.sensor.r2,
        "PlanckB": image.sensor.b,
        "PlanckO": image.sensor.o,
        "Emissivity": image.conditions.emissivity,
    }.items():
        assert float(tags[key]) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("name", ["FLIR", "FLIR_AX8"])
def test_one_file_is_a_pair(data: Path, name: str) -> None:
    path = data / "rjpeg" / f"{name}_target.jpg"
    target, guide, notes = inputs.read_pair(path, None, Config())
    assert target.profile["units"] == ["°C"]
    assert guide.shape[0] / target.shape[0] == pytest.approx(
        guide.shape[1] / target.shape[1], rel=0.01
    )
    assert any("moved by" in note for note in notes)


def test_a_file_without_a_photo_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(flir_file(COUNTS))
    with pytest.raises(InputError, match=r"a\.jpg: holds no photo; .*--ratio"):
        inputs.read_pair(tmp_path / "a.jpg", None, Config())
    target, guide, _ = inputs.read_pair(tmp_path / "a.jpg", None, Config(ratio=2))
    assert guide is None
    assert np.abs(target.data[0] - CELSIUS).max() < 0.05


def test_options_without_effect_on_a_file_are_refused(tmp_path: Path) -> None:
    flir, plain = (tmp_path / f"{name}.jpg" for name in ("flir", "plain"))
    flir.write_bytes(flir_file(COUNTS))
    image_files.write(plain, np.zeros((8, 8), np.uint8))
    for path in (plain, np.zeros((8, 8))):
        with pytest.raises(OptionError, match="--humidity requires a radiometric file"):
            inputs.read_pair(path, None, Config(ratio=2, humidity=0.4))
    with pytest.raises(OptionError, match="--bands has no effect on a radiometric file"):
        inputs.read_pair(flir, None, Config(ratio=2, bands=(1,)))


def test_a_result_is_sized_by_the_sensor_and_not_by_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(flir_file(np.full((12, 16), 14_000)))
    config = Config.of("default", ratio=32, max_memory=0.1)
    job = Job(target=path, out=tmp_path / "o.png", config=config)
    assert job._expected() == (384, 512)
    assert not job._too_large()
