from __future__ import annotations

from dataclasses import astuple

import numpy as np
import numpy.typing as npt
import pytest

from cmsr.app.demo.scene import FILES, FOLDER, Scene, street
from tests.street.scene import NOISE_KELVIN, PSF_SIGMA, render

HEIGHT, WIDTH, RATIO = 240, 320, 4


@pytest.fixture(scope="module", params=[0, 1, 2])
def scene(request: pytest.FixtureRequest) -> Scene:
    return render(request.param, height=HEIGHT, width=WIDTH, ratio=RATIO)


@pytest.fixture(scope="module")
def celsius(scene: Scene) -> npt.NDArray[np.float64]:
    return scene.truth / 100 - 273.15


def blocks(image: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    rows, cols = image.shape
    whole = image[: rows // size * size, : cols // size * size]
    tiles = whole.reshape(rows // size, size, cols // size, size)
    return tiles.swapaxes(1, 2).reshape(rows // size, cols // size, size * size)


def blurred(image: npt.NDArray[np.float64], sigma: float) -> npt.NDArray[np.float64]:
    """Convolve by multiplying spectra; the border wraps around."""
    frequencies = [np.exp(-2 * (np.pi * sigma * np.fft.fftfreq(n)) ** 2) for n in image.shape]
    return np.fft.ifft2(np.fft.fft2(image) * np.outer(*frequencies)).real


def test_same_seed_same_bytes() -> None:
    one, two = (render(5, height=96, width=128) for _ in range(2))
    for ours, theirs in zip(astuple(one), astuple(two), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_the_shipped_pair_is_the_rendered_one_and_small() -> None:
    for ours, theirs in zip(astuple(street()), astuple(render(0)), strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        # Another processor may round a ray otherwise.
        assert np.mean(ours != theirs) < 1e-3
    assert sum((FOLDER / name).stat().st_size for name in FILES) < 600_000


def test_another_seed_is_another_layout() -> None:
    one, two = (render(seed, height=96, width=128).truth.astype(int) for seed in (5, 6))
    assert np.mean(np.abs(one - two) > 300) > 0.1


def test_shapes_and_dtypes(scene: Scene) -> None:
    assert scene.target.shape == (HEIGHT // RATIO, WIDTH // RATIO)
    assert scene.guide.shape == (HEIGHT, WIDTH, 3)
    assert scene.truth.shape == (HEIGHT, WIDTH)
    assert (scene.target.dtype, scene.guide.dtype, scene.truth.dtype) == (
        np.uint16,
        np.uint8,
        np.uint16,
    )


@pytest.mark.parametrize(("height", "width", "ratio"), [(64, 96, 8), (48, 60, 3), (32, 200, 1)])
def test_any_multiple_of_the_ratio_renders(height: int, width: int, ratio: int) -> None:
    scene = render(3, height=height, width=width, ratio=ratio)
    assert scene.target.shape == (height // ratio, width // ratio)
    assert scene.guide.shape[:2] == scene.truth.shape == (height, width)


def test_target_is_the_blurred_reduced_truth_plus_noise(scene: Scene) -> None:
    soft = blurred(scene.truth.astype(float), PSF_SIGMA * RATIO)
    noise = (scene.target - blocks(soft, RATIO).mean(axis=2))[2:-2, 2:-2] / 100
    assert noise.std() == pytest.approx(NOISE_KELVIN, rel=0.1)
    assert abs(noise.mean()) < 0.01


def test_temperatures_are_plausible(celsius: npt.NDArray[np.float64]) -> None:
    assert celsius.min() > -40
    assert celsius.max() < 90
    assert np.percentile(celsius, 1) < -10  # the sky
    assert 5 < np.median(celsius) < 15  # the walls


def test_skin_is_much_warmer_than_the_walls(celsius: npt.NDArray[np.float64]) -> None:
    near_skin = (celsius > 32) & (celsius < 35)
    assert near_skin.sum() > 20
    assert np.percentile(celsius, 99.5) > np.median(celsius) + 12


def test_rgb_alone_sees_texture(scene: Scene, celsius: npt.NDArray[np.float64]) -> None:
    luminance = blocks(scene.guide.mean(axis=2), 12).std(axis=2)
    warmth = blocks(celsius, 12).std(axis=2)
    assert ((luminance > 20) & (warmth < 0.4)).sum() >= 5


def test_thermal_alone_sees_heat(scene: Scene, celsius: npt.NDArray[np.float64]) -> None:
    luminance = blocks(scene.guide.mean(axis=2), 8).std(axis=2)
    warmth = blocks(celsius, 8).std(axis=2)
    assert ((luminance < 8) & (warmth > 1.0)).sum() >= 1


def test_shift_moves_the_guide_down_and_right_and_leaves_the_truth() -> None:
    size = {"height": 120, "width": 160}
    still, moved = (render(4, **size, shift=shift).guide for shift in ((0.0, 0.0), (4.0, 7.0)))
    gap = moved[10:-10, 10:-10].astype(float) - still[6:-14, 3:-17]
    assert np.median(np.abs(gap)) < 4
    aside = moved[10:-10, 10:-10].astype(float) - still[10:-10, 10:-10]
    assert np.abs(aside).mean() > 2 * np.abs(gap).mean()


@pytest.mark.parametrize("bad", [{"height": 361}, {"width": 478}, {"height": 0}, {"width": -4}])
def test_wrong_size_is_named(bad: dict[str, int]) -> None:
    (name, value), *_ = bad.items()
    with pytest.raises(ValueError, match=rf"{name} .*{value}"):
        render(**bad)


def test_wrong_ratio_is_named() -> None:
    with pytest.raises(ValueError, match=r"ratio .*0"):
        render(ratio=0)
