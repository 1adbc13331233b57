"""Thermal cameras' files are known by what they hold, and all that is whole in them is used."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io import inputs, pages
from cmsr.thermal import measured, photo, planck
from tests.conftest import render_pair, smooth_field
from tests.fake_cameras import SCENE, container, dji_file, exif, flir_file, jpeg
from tests.test_flir import CELSIUS, COUNTS
from tests.test_planck import SENSOR, observed

DJI_COUNTS = (18_000 + 500 * smooth_field((120, 160), 1)).astype(np.uint16)


@pytest.fixture(autouse=True)
def no_reader_of_dji(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests know no program but their own."""
    monkeypatch.setenv("PATH", str(tmp_path))


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def read(path: Path, guide: Path | None = None, **options: object) -> inputs.Inputs:
    return inputs.read_pair(path, guide, Config(**{"ratio": 2, **options}))


@pytest.mark.parametrize("name", ["a.rjpg", "a.JPE", "a.RJPG", "a.dat", "a"])
def test_the_content_tells_whatever_the_name(tmp_path: Path, name: str) -> None:
    target, _, _ = read(put(tmp_path / name, flir_file(COUNTS)))
    assert np.abs(target.data[0] - CELSIUS).max() < 0.05
    counts, _, _ = read(put(tmp_path / f"dji{name}", dji_file(DJI_COUNTS)))
    assert np.array_equal(counts.data[0], DJI_COUNTS)


@pytest.mark.parametrize("marker", [0xE3, 0xE4])
@pytest.mark.parametrize("shape", [(120, 160), (192, 256), (90, 120), (160, 120), (96, 97)])
def test_counts_of_dji_of_any_size(tmp_path: Path, marker: int, shape: tuple[int, int]) -> None:
    counts = (18_000 + 500 * smooth_field(shape, 2)).astype(np.uint16)
    target, guide, notes = read(put(tmp_path / "a.jpg", dji_file(counts, marker)))
    assert np.array_equal(target.data[0], counts)
    assert guide is None
    assert "pip install dji-thermal-cli" in notes[0]


def test_a_flat_image_has_the_shape_of_its_picture(tmp_path: Path) -> None:
    target, _, _ = read(put(tmp_path / "a.jpg", dji_file(np.full((120, 160), 500))))
    assert target.shape == (120, 160)


def test_a_picture_that_is_cut_short_does_not_matter(tmp_path: Path) -> None:
    for content in (flir_file(COUNTS), dji_file(DJI_COUNTS)):
        short = put(tmp_path / "a.jpg", content[: content.rindex(b"\xff\xda") + 3])
        assert pages.pages(short) == [short]
        target, _, _ = read(short)
        assert target.profile["units"] != [None]


def test_the_camera_and_all_it_assumes_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(tmp_path / "a.jpg", flir_file(COUNTS, model="FLIR E8", exif=exif(make="FLIR AB")))
    assert main(["info", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["camera"]
    assert (said["maker"], said["model"]) == ("FLIR AB", "FLIR E8")
    assert said["emissivity"] == SCENE.emissivity
    assert said["reflected_temperature_c"] == 20
    assert said["photo"] is None
    assert main(["info", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "FLIR AB, FLIR E8" in printed
    assert "emissivity 0.95, distance 1 m, reflected 20 °C, air 20 °C, humidity 50%" in printed
    options = ["--ratio", "2", "--distance", "7", "--preset", "fast", "--json", tmp_path / "a.json"]
    assert main(["upscale", *map(str, [path, "-o", tmp_path / "a.tif", *options])]) == 0
    camera = json.loads((tmp_path / "a.json").read_text())["camera"]
    assert (camera["distance_m"], camera["humidity"]) == (7, SCENE.humidity)


IMPOSSIBLE = {
    "reflected": (298.0, "reflected temperature is 298 °C.*--reflected-temperature 24.9"),
    "atmospheric": (293.0, "--atmospheric-temperature 19.9"),
    "humidity": (50.0, "50 % is meant: --humidity 0.5"),
    "emissivity": (95.0, "--emissivity 0.95"),
    "distance": (-1.0, "--distance VALUE replaces it"),
    "window_transmission": (0.0, "its window transmission is 0, hardly possible$"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_values_are_told_with_the_way_out(name: str) -> None:
    value, expected = IMPOSSIBLE[name]
    scene = planck.Conditions(**{**vars(SCENE), name: value})
    (line,) = measured.impossible(scene)
    assert re.search(expected, line)
    assert not measured.impossible(SCENE)


def test_impossible_values_can_be_replaced(tmp_path: Path) -> None:
    scene = planck.Conditions(**{**vars(SCENE), "reflected": 298.0})
    path = put(tmp_path / "a.jpg", flir_file(COUNTS, scene=scene))
    assert any("hardly possible" in note for note in read(path).notes)
    target, _, notes = read(path, reflected_temperature=20)
    assert not any("hardly possible" in note for note in notes)
    assert np.abs(target.data[0] - CELSIUS).max() < 0.05


def test_values_without_a_temperature_are_refused_with_the_way_out(tmp_path: Path) -> None:
    scene = planck.Conditions(**{**vars(SCENE), "emissivity": 0.0})
    path = put(tmp_path / "a.jpg", flir_file(COUNTS, scene=scene))
    with pytest.raises(InputError, match=r"a\.jpg: its emissivity is 0.*--emissivity VALUE"):
        read(path)


@pytest.mark.parametrize("sensor", [None, planck.Sensor(*[0.0] * 10)])
def test_without_calibration_there_are_counts(tmp_path: Path, sensor: planck.Sensor | None) -> None:
    path = put(tmp_path / "a.jpg", flir_file(COUNTS, sensor=sensor))
    target, _, notes = read(path)
    assert np.array_equal(target.data[0], COUNTS)
    assert target.profile["units"] == ["counts"]
    assert "counts, not °C" in notes[0]
    with pytest.raises(OptionError, match=r"--emissivity requires a calibration; .*a\.jpg"):
        read(path, emissivity=0.9)


def test_options_that_cannot_act_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jpg", dji_file(DJI_COUNTS))
    with pytest.raises(OptionError, match=r"--humidity has no effect on counts.*dji-thermal-cli"):
        read(path, humidity=0.4)
    raster = inputs.read_target(np.eye(8), Config(), []).target
    with pytest.raises(OptionError, match="--humidity requires a radiometric file"):
        inputs.read_pair(raster, None, Config(ratio=2, humidity=0.4))


def test_a_picture_by_flir_without_its_data_says_so(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jpg", jpeg(exif=exif(make="FLIR Systems AB")))
    _, _, notes = read(path)
    assert any("raw thermal data are gone" in note and "MSX" in note for note in notes)


def test_a_broken_photo_does_not_block_the_thermal_image(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jpg", flir_file(COUNTS, b"\xff\xd8\0\0JF"))
    beside = tmp_path / "photo.png"
    Image.fromarray(np.zeros((120, 160, 3), np.uint8)).save(beside)
    with pytest.raises(InputError, match=r"a\.jpg: its photo is broken; .*--ratio"):
        inputs.read_pair(path, None, Config())
    for guide, options in ((None, {}), (beside, {"ratio": None})):
        target, _, notes = read(path, guide, **options)
        assert np.abs(target.data[0] - CELSIUS).max() < 0.05
        assert any("photo in it is broken" in note for note in notes)


def scene(zoom: float) -> tuple[np.ndarray, np.ndarray]:
    """Counts (60, 80) of the middle of a photo (480, 640, 3) that shows so many times as much."""
    full = render_pair((480, 640), (120, 160), seed=3)
    height, width = round(480 / zoom), round(640 / zoom)
    top, left = (480 - height) // 2, (640 - width) // 2
    part = full.truth[top : top + height, left : left + width]
    small = np.asarray(
        Image.fromarray(part.astype(np.float32)).resize((80, 60), Image.Resampling.BOX)
    )
    celsius = 15 + 30 * (small - part.min()) / np.ptp(part)
    return np.rint(observed(celsius, SENSOR, SCENE)).astype(np.uint16), full.guide


@pytest.mark.parametrize(("digital", "told"), [(1.6, None), (2.0, None), (1.3, 1.3), (1.0, 1.7)])
def test_a_digital_zoom_is_divided_out(tmp_path: Path, digital: float, told: float | None) -> None:
    counts, whole = scene(2.0)
    tags = None if told is None else exif(digital_zoom=told)
    path = put(tmp_path / "a.jpg", flir_file(counts, whole, (2.0 * digital, 0, 0), exif=tags))
    _, guide, notes = inputs.read_pair(path, None, Config())
    assert guide.shape == (240, 320)
    assert np.array_equal(guide.whole.data, np.moveaxis(whole[120:360, 160:480], -1, 0))
    assert any("digital zoom" in note for note in notes) == (digital > 1)


def test_a_photo_smaller_than_the_sensor_is_used(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(30, 255, (30, 40, 3), dtype=np.uint8)
    path = put(tmp_path / "a.jpg", flir_file(COUNTS, whole))
    _, guide, notes = inputs.read_pair(path, None, Config())
    assert guide.shape == (120, 160)
    assert any("40 × 30 pixels, fewer than the sensor's 80 × 60" in note for note in notes)


def test_a_png_in_luma_and_chroma_is_converted() -> None:
    bright = np.random.default_rng(0).integers(60, 200, (12, 16, 1)).repeat(4, 0).repeat(4, 1)
    colours = (render_pair((48, 64), (12, 16)).guide // 5 + bright).astype(np.uint8)
    for mode in ("RGB", "YCbCr"):
        stored = Image.fromarray(np.asarray(Image.fromarray(colours).convert(mode)), "RGB")
        buffer = io.BytesIO()
        stored.save(buffer, "PNG")
        assert np.abs(photo.decoded(buffer.getvalue()).astype(int) - colours).mean() < 2


def test_orientation_turns_the_thermal_image_and_its_photo(tmp_path: Path) -> None:
    counts, whole = scene(2.0)
    for turn in (1, 6):
        content = flir_file(counts, whole, (2.0, 0, 0), exif=exif(orientation=turn))
        put(tmp_path / f"{turn}.jpg", content)
    plain, turned = (inputs.read_pair(tmp_path / f"{turn}.jpg", None, Config()) for turn in (1, 6))
    assert np.array_equal(turned.target.data[0], np.rot90(plain.target.data[0], -1))
    whole_turned = turned.guide.whole.data
    assert np.array_equal(whole_turned, np.rot90(plain.guide.whole.data, -1, (1, 2)))
    path = put(tmp_path / "dji.jpg", dji_file(DJI_COUNTS, orientation=6))
    assert np.array_equal(read(path).target.data[0], np.rot90(DJI_COUNTS, -1))


def test_frames_of_a_recording_are_pages(tmp_path: Path) -> None:
    frames = [container(COUNTS + 10 * number, raw="little") for number in range(3)]
    path = put(tmp_path / "a.seq", b"".join(frames))
    assert pages.parts(path) == ("1", "2", "3")
    assert pages.pages(path) == [f"{path}:{number}" for number in (1, 2, 3)]
    values = [read(Path(f"{path}:{number}")).target.data for number in (1, 2, 3)]
    assert values[0].mean() < values[1].mean() < values[2].mean()
    with pytest.raises(
        InputError, match=r"a\.seq:4: has no such frame; frames are numbered 1 to 3"
    ):
        read(Path(f"{path}:4"))
    one = put(tmp_path / "a.fff", frames[0])
    assert pages.pages(one) == [one]
    assert np.array_equal(read(one).target.data, values[0])


def test_a_recording_that_breaks_off_keeps_its_whole_frames(tmp_path: Path) -> None:
    frame = container(COUNTS, raw="little")
    path = put(tmp_path / "a.seq", 2 * frame + frame[:100])
    assert len(pages.pages(path)) == 2


def test_the_real_dji_file(data: Path) -> None:
    path = data / "rjpeg" / "DJI_M30T_0001_target.jpg"
    target, _, _ = read(path)
    assert target.shape == (512, 640)
    assert np.ptp(target.data) < 2000
    assert target.profile["camera"] == {"maker": "DJI", "model": "M30T"}
