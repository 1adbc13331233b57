"""A preview shows the values' order and the scale of their unit."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmsr.app.cli import main
from cmsr.errors import OptionError, OutputError
from cmsr.io import image_files, preview
from cmsr.pictures import colour


def test_a_preview_is_an_8_bit_png_of_the_image_and_a_bar(tmp_path: Path) -> None:
    image = np.linspace(15, 35, 60 * 80, dtype=np.float32).reshape(60, 80)
    valid = np.ones(image.shape, bool)
    valid[:5, :5] = False
    preview.write(tmp_path / "a.png", image, valid)
    with Image.open(tmp_path / "a.png") as file:
        picture = np.asarray(file)
    assert picture.dtype == np.uint8
    assert picture.shape[1] > 80
    low, high = np.percentile(image[valid], [0.5, 99.5])
    expected = colour(np.where(valid, image, np.nan), low, high)
    assert np.array_equal(picture[:180, :240], expected.repeat(3, 0).repeat(3, 1))
    assert np.ptp(picture[2, 2].astype(int)) == 0


def test_the_bar_is_in_the_files_own_unit() -> None:
    counts = np.full((4, 4), 29_315, np.uint16)
    like = image_files.from_array(counts, "t", scales=[0.01], offsets=[-273.15], units=["°C"])
    assert like.unit()[2] == "°C"
    values = like.in_unit(counts, np.eye(4, dtype=bool))
    assert np.allclose(np.diag(values), 20)
    assert np.isnan(values).sum() == 12


@pytest.mark.parametrize("image", [np.full((6, 7), 3.0), np.full((6, 7), np.nan)])
def test_constant_and_empty_images_have_previews(tmp_path: Path, image: np.ndarray) -> None:
    preview.write(tmp_path / "a.png", image, np.isfinite(image))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "RGB"


def test_large_images_are_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "LARGEST", 50)
    monkeypatch.setattr(preview, "SMALLEST", 1)
    picture = preview.draw(np.random.default_rng(0).random((120, 80)), np.ones((120, 80), bool))
    assert picture.height == 66


def test_other_endings_and_unknown_maps_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"ends in \.png"):
        preview.check(tmp_path / "a.jpg", "inferno")
    with pytest.raises(OptionError, match="colour-map is 'hot pink'"):
        preview.check(tmp_path / "a.png", "hot pink")


def test_the_option(tmp_path: Path) -> None:
    image_files.write(tmp_path / "t.png", np.eye(16, dtype=np.uint8) * 200)
    files = [str(tmp_path / "t.png"), "-o", str(tmp_path / "o.png"), "--ratio", "2", "--quiet"]
    shown = ["--preview", str(tmp_path / "p.png"), "--colour-map", "viridis"]
    quick = ["--preset", "paper", "--iterations-guide-free", "1", "--no-ensemble"]
    assert main(["upscale", *files, *shown, *quick]) == 0
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.width > 32
    assert image_files.read(tmp_path / "o.png").shape == (32, 32)


def test_three_bands_are_shown_in_their_colours() -> None:
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    shown = np.asarray(preview.draw(image, np.ones((12, 16), bool)))
    assert (shown[::15, ::15] == image).all()
    bands = image.astype(np.float32)
    bands[0, 0] = np.nan
    shown = np.asarray(preview.draw(bands, np.isfinite(bands[..., 0])))
    assert shown.shape == (180, 240, 3)
    assert shown[0, 0].tolist() == [128, 128, 128]
    assert np.ptp(shown.astype(int), axis=2).max() > 50


def test_hundredths_of_a_kelvin_are_celsius(monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[tuple[float, float, str]] = []
    drawn = preview._scale_bar

    def noted(height: int, low: float, high: float, unit: str, name: str) -> Image.Image:
        bars.append((low, high, unit))
        return drawn(height, low, high, unit, name)

    monkeypatch.setattr(preview, "_scale_bar", noted)
    kelvin = np.linspace(28815, 30815, 64).reshape(8, 8).astype(np.uint16)
    preview.draw(kelvin, np.ones((8, 8), bool))
    preview.draw(kelvin // 4, np.ones((8, 8), bool))
    preview.draw(kelvin, np.ones((8, 8), bool), given=(10.0, 20.0))
    assert bars[0][2] == "°C if cK"
    assert 15 <= bars[0][0] < bars[0][1] <= 35
    assert bars[1][2] == ""
    assert bars[2][:2] == (10.0, 20.0)


def test_a_range_must_not_be_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OptionError, match="--range 5 5: MIN must be below MAX"):
        preview.check(tmp_path / "x.png", "gray", (5.0, 5.0))
    assert main(["upscale", "a.tif", "-o", "b.tif", "--range", "0", "30"]) == 2
    assert "--range requires --preview" in capsys.readouterr().err
