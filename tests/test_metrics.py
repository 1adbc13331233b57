"""Figures that can be worked out by hand."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from cmsr.errors import InputError
from cmsr.io import image_files
from cmsr.metrics import evaluate


def raster(values: np.ndarray) -> image_files.Raster:
    return image_files.from_array(values, "image")


def test_known_error() -> None:
    truth = np.random.default_rng(0).integers(0, 200, (32, 32)).astype(np.uint8)
    figures = evaluate(raster(truth + np.uint8(5)), raster(truth))
    assert figures["rmse"] == pytest.approx(5)
    assert figures["psnr"] == pytest.approx(20 * np.log10(255 / 5))
    assert figures["peak"] == 255
    assert 0.9 < figures["ssim"] < 1


def test_a_perfect_image() -> None:
    truth = np.random.default_rng(0).random((32, 32, 2))
    figures = evaluate(raster(truth), raster(truth))
    assert figures["psnr"] == float("inf")
    assert figures["ssim"] == pytest.approx(1)


def test_units_are_the_data_s_own() -> None:
    truth = 20 + 5 * np.random.default_rng(0).random((32, 32))
    celsius = evaluate(raster(truth + 0.5), raster(truth))
    millikelvin = evaluate(raster(1000 * (truth + 0.5)), raster(1000 * truth))
    assert celsius["rmse"] == pytest.approx(0.5)
    assert millikelvin["rmse"] == pytest.approx(500)
    assert celsius["psnr"] == pytest.approx(millikelvin["psnr"])


def test_holes_do_not_count() -> None:
    truth = np.random.default_rng(0).random((32, 32))
    image, holed = truth + 0.1, truth.copy()
    image[:8], holed[:8] = 1e6, np.nan
    assert evaluate(raster(image), raster(holed))["rmse"] == pytest.approx(0.1)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="only images of one size"):
        evaluate(raster(np.zeros((8, 8))), raster(np.zeros((8, 9))))
    with pytest.raises(InputError, match="no valid pixel"):
        evaluate(raster(np.full((8, 8), np.nan)), raster(np.zeros((8, 8))))


def test_ssim_is_that_of_its_definition() -> None:
    """The luminance term alone: two flat images, SSIM = (2ab + c) / (a² + b² + c)."""
    ours, true, constant = 100, 120, (0.01 * 255) ** 2
    figures = evaluate(raster(np.full((16, 16), ours, "u1")), raster(np.full((16, 16), true, "u1")))
    expected = (2 * ours * true + constant) / (ours**2 + true**2 + constant)
    assert figures["ssim"] == pytest.approx(expected, abs=1e-9)


def test_an_image_smaller_than_the_window_has_an_ssim() -> None:
    truth = np.arange(32.0).reshape(4, 8)
    assert 0 < evaluate(raster(truth + 1), raster(truth))["ssim"] < 1


@pytest.mark.parametrize("shape", [(40, 51), (12, 30, 3)])
def test_ssim_is_that_of_scikit_image(shape: tuple[int, ...]) -> None:
    """With the settings of Wang et al. (2004); its borders, which it leaves out, mirrored."""
    noise = np.random.default_rng(3)
    truth = 300 + 20 * noise.normal(size=shape)
    image = truth + 5 * noise.normal(size=shape)
    figures = evaluate(raster(image), raster(truth))
    border = [(5, 5), (5, 5), (0, 0)][: len(shape)]
    expected = structural_similarity(
        *(np.pad(each, border, mode="reflect") for each in (image, truth)),
        data_range=figures["peak"], channel_axis=2 if len(shape) == 3 else None,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    assert figures["ssim"] == pytest.approx(expected, abs=1e-9)
