"""An enlarged image is noticed and brought back; a native one is left alone."""

import io as io_module

import numpy as np
import pytest
from PIL import Image

from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.io import image_files, inputs
from cmsr.operators.kernels import weights
from cmsr.sensor.enlargement import enlarged_from, reduced
from tests.conftest import smooth_field

RNG = np.random.default_rng(0)


def sensor_image(shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    """A scene with the noise that every sensor adds."""
    return 16_000 + 900 * smooth_field(shape, 5, finest=9) + RNG.normal(0, 12, shape)


def enlarged(image: np.ndarray, factor: float, kernel: str) -> np.ndarray:
    rows, cols = (weights(n, round(n * factor), kernel) for n in image.shape)
    return rows @ image @ cols.T


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("factor", [1.5, 2, 3, 4])
def test_an_enlarged_image_is_noticed(dtype: str, kernel: str, factor: float) -> None:
    large = enlarged(sensor_image(), factor, kernel)
    stored = large if dtype == "float32" else np.rint(large)
    assert enlarged_from(image_files.from_array(stored.astype(dtype), "target")) == (60, 80)


def test_a_large_enlarged_image_is_noticed_from_its_middle() -> None:
    large = np.rint(enlarged(sensor_image((330, 420)), 2, "bilinear")).astype(np.uint16)
    assert enlarged_from(image_files.from_array(large, "target")) == (330, 420)


def photo(shape: tuple[int, int] = (120, 160), seed: int = 5) -> Image.Image:
    """Clouds, whose amplitudes fall with frequency as those of real scenes do, in 8 bits."""
    rng = np.random.default_rng(seed)
    rows, cols = (np.fft.fftfreq(n) for n in shape)
    frequency = np.hypot(rows[:, None], cols) + 1 / max(shape)
    clouds = np.fft.ifft2(np.fft.fft2(rng.normal(size=shape)) / frequency**1.2).real
    scene = 128 + 45 * clouds / clouds.std() + rng.normal(0, 1, shape)
    return Image.fromarray(np.rint(scene).clip(0, 255).astype(np.uint8))


def resized(image: Image.Image, factor: float, kernel: str) -> Image.Image:
    size = (round(image.width * factor), round(image.height * factor))
    return image.resize(size, Image.Resampling[kernel.upper()])


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("factor", [2, 2.5, 3, 4])
@pytest.mark.parametrize("change", ["none", "cropped", "compressed"])
def test_traces_of_interpolation_are_found(kernel: str, factor: float, change: str) -> None:
    large = resized(photo(), factor, kernel)
    if change == "cropped":
        large = large.crop((5, 3, large.width - 2, large.height - 4))
    if change == "compressed":
        large.save(buffer := io_module.BytesIO(), "JPEG", quality=97)
        large = Image.open(buffer)
    height, width = enlarged_from(image_files.from_array(np.asarray(large), "target"))
    assert height == pytest.approx(large.height / factor, abs=1)
    assert width == pytest.approx(large.width / factor, abs=1)


@pytest.mark.parametrize("factor", [0.4, 0.5, 0.57, 0.67, 0.75, 0.8, 1])
@pytest.mark.parametrize("quality", [None, 50, 90])
def test_reduced_and_compressed_images_are_native(factor: float, quality: int | None) -> None:
    for seed in (1, 2):
        image = resized(photo((300, 400), seed), factor, "bicubic")
        if quality:
            image.save(buffer := io_module.BytesIO(), "JPEG", quality=quality)
            image = Image.open(buffer)
        assert enlarged_from(image_files.from_array(np.asarray(image), "target")) is None


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_native_image_is_left_alone(dtype: str) -> None:
    image = sensor_image()
    image = (image - 15_900) / 6 if dtype == "uint8" else image
    assert enlarged_from(image_files.from_array(image.astype(dtype), "target")) is None


@pytest.mark.parametrize(("kernel", "factor"), [("nearest", 2), ("bilinear", 3), ("bicubic", 2)])
def test_the_native_image_comes_back(kernel: str, factor: int) -> None:
    native = np.rint(sensor_image()).astype(np.uint16)
    large = np.rint(enlarged(native, factor, kernel)).astype(np.uint16)
    back = reduced(image_files.from_array(large, "target"), (60, 80)).data[0]
    assert np.abs(back.astype(int) - native).max() <= 2


def test_holes_come_along() -> None:
    large = enlarged(sensor_image(), 2, "bilinear").astype(np.float32)
    large[20:40, 30:50] = np.nan
    back = reduced(image_files.from_array(large, "target"), (60, 80))
    assert (~back.valid).sum() == 100
    assert np.isfinite(back.data[0][back.valid]).all()


def test_a_native_size_must_be_smaller() -> None:
    with pytest.raises(InputError, match="native size cannot be 90 × 60"):
        reduced(image_files.from_array(sensor_image(), "target"), (60, 90))


def test_the_option_and_the_note() -> None:
    large = np.rint(enlarged(sensor_image(), 2, "bicubic")).astype(np.uint16)
    guide = np.zeros((240, 320, 3), np.uint8)
    target, _, notes = inputs.read_pair(large, guide, Config())
    assert target.shape == (120, 160)
    assert "--native-size 80 60" in notes[0]
    target, _, notes = inputs.read_pair(large, guide, Config(native_size=(80, 60)))
    assert target.shape == (60, 80)
    assert not notes


@pytest.mark.parametrize(
    "dataset",
    ["epfl_nir", "ulb17_thermal", "greenhouse_thermal16", "roadscene_noninteger", "art_depth"],
)
@pytest.mark.parametrize("column", ["target", "truth"])
def test_real_images_raise_no_alarm(data, real_pairs, dataset: str, column: str) -> None:
    for row in real_pairs(dataset):
        if row[column]:
            assert enlarged_from(image_files.read(data / row[column])) is None, row[column]
