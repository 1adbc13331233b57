"""The imaging kernel is found from the pair, and the standard one stays without evidence."""

from functools import lru_cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cmsr.io import image_files
from cmsr.operators.kernels import weights
from cmsr.sensor.kernel_choice import DETECTOR, STANDARD, chosen, compared, unknown
from cmsr.sensor.kernel_loss import expected_gains
from cmsr.sensor.kernel_search import find_kernel

HIGH, LOW, RATIO = (256, 320), (64, 80), (4.0, 4.0)
NAMES = ("bicubic", "bicubic-plain", "bilinear", "bilinear-plain", "box", "nearest",
         "bicubic-topleft", "nearest-topleft", "bicubic-corners")  # fmt: skip
ALIASED = {"nearest", "bicubic-plain", "bilinear-plain"}


@lru_cache
def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping discs over a soft texture: truth (H, W), and a guide (3, H, W) of other tones."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: HIGH[0], : HIGH[1]] + rng.uniform(0, 1, (2, 1, 1))
    truth, guide = np.full(HIGH, 0.5), np.full((3, *HIGH), 0.5)
    for _ in range(250):
        y, x, radius = rng.uniform(0, HIGH[0]), rng.uniform(0, HIGH[1]), 40 * rng.uniform() ** 3 + 2
        inside = (rows - y) ** 2 + (cols - x) ** 2 < radius**2
        truth[inside] = rng.uniform(0, 1)
        guide[:, inside] = rng.uniform(0, 1, (3, 1))
    return truth, guide


def reduced(x: np.ndarray, kernel: str, low: tuple[int, int] = LOW) -> np.ndarray:
    rows, cols = (weights(n, m, kernel) for n, m in zip(x.shape, low, strict=True))
    return np.rint(255 * rows @ x @ cols.T) / 255


def found(y: np.ndarray, guide: np.ndarray | None, noise: float = 0.3 / 255) -> str:
    return find_kernel(y, np.ones(y.shape), guide, RATIO, noise).kernel


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kernel", NAMES)
def test_the_name_of_the_kernel_is_found_with_a_guide(kernel: str, seed: int) -> None:
    truth, guide = scene(seed)
    finding = find_kernel(reduced(truth, kernel), np.ones(LOW), guide, RATIO, 0.3 / 255)
    assert finding.kernel == kernel
    assert not finding.rivals


@pytest.mark.parametrize("kernel", ["bicubic", "box", "nearest", "bilinear"])
@pytest.mark.parametrize("ratio", [2, 3])
def test_the_name_is_found_at_other_ratios(kernel: str, ratio: int) -> None:
    truth, guide = (x[..., :192, :240] for x in scene(1))
    low = 192 // ratio, 240 // ratio
    y = reduced(truth, kernel, low)
    assert find_kernel(y, np.ones(low), guide, (ratio, ratio), 0.3 / 255).kernel == kernel


@pytest.mark.parametrize("sigma", [2.2, 3.0, 4.5])
def test_the_width_of_a_gaussian_is_found(sigma: float) -> None:
    truth, guide = scene(2)
    name, _, value = found(reduced(truth, f"gaussian:{sigma}"), guide).partition(":")
    assert name == "gaussian"
    assert float(value) == pytest.approx(sigma, rel=0.15)


def test_without_a_guide_aliasing_and_strong_blur_are_seen() -> None:
    truth, _ = scene(4)
    assert found(reduced(truth, "bicubic"), None) == STANDARD
    assert found(reduced(truth, "nearest"), None) in {*ALIASED, "box"}
    assert found(reduced(truth, "gaussian:5"), None).startswith("gaussian:")


def test_kernels_that_cannot_be_distinguished_are_named() -> None:
    truth, _ = scene(0)
    finding = find_kernel(reduced(truth, "bilinear"), np.ones(LOW), None, RATIO, 0.3 / 255)
    assert finding.kernel == STANDARD
    assert finding.rivals
    assert finding.confidence < 0.9


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_without_a_guide_the_standard_stays(ratio: int, seed: int) -> None:
    low = 192 // ratio, 240 // ratio
    y = reduced(scene(seed)[0][:192, :240], STANDARD, low)
    assert find_kernel(y, np.ones(low), None, (ratio, ratio), 0.3 / 255).kernel == STANDARD


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_without_a_guide_a_wide_blur_is_found(ratio: int) -> None:
    low = 192 // ratio, 240 // ratio
    y = reduced(scene(4)[0][:192, :240], f"gaussian:{0.9 * ratio}", low)
    found = find_kernel(y, np.ones(low), None, (ratio, ratio), 0.3 / 255)
    assert 0.6 * ratio < float(found.kernel.removeprefix("gaussian:")) < 1.1 * ratio


@pytest.mark.parametrize("shape", [(16, 16), (48, 64)])
def test_a_ramp_shows_nothing(shape: tuple[int, int]) -> None:
    ramp = np.linspace(0, 1, shape[0] * shape[1]).reshape(shape)
    for camera, usual in ((False, STANDARD), (True, DETECTOR)):
        finding = find_kernel(ramp, np.ones(shape), None, RATIO, 0.0, camera)
        assert finding == unknown(camera)
        assert finding.kernel == usual


def test_what_comes_from_a_camera_was_not_reduced_by_software() -> None:
    y = reduced(scene(0)[0][:192, :240], STANDARD, (96, 120))
    kernels = [
        find_kernel(y, np.ones(y.shape), None, (2, 2), 0.3 / 255, camera).kernel
        for camera in (False, True)
    ]
    assert kernels[0] == STANDARD
    assert kernels[1] == DETECTOR or float(kernels[1].removeprefix("gaussian:")) < 0.5 * 2


def test_the_choice_is_the_least_expected_loss() -> None:
    kinds, choices = compared(2.0)
    y = reduced(scene(0)[0][:192, :240], STANDARD, (96, 120))
    gains = expected_gains(y, 0.3 / 255, (2.0, 2.0), kinds, choices)
    certain = [chosen(row, gains, 2.0) for row in np.eye(len(kinds))]
    assert certain[0].kernel == STANDARD
    assert all(choice.confidence == 1 and not choice.rivals for choice in certain)
    doubtful = np.zeros(len(kinds))
    doubtful[0], doubtful[-2] = 0.3, 0.7
    assert chosen(doubtful, gains, 2.0).kernel == STANDARD


def test_the_true_kernel_gains_most_and_softness_makes_errors_dear() -> None:
    names = [STANDARD, "box", "gaussian:0.84", "gaussian:1.6"]
    sharp = scene(0)[0][:192, :240]
    soft = gaussian_filter(sharp, 1.2)
    cost = []
    for truth in (sharp, soft):
        y = reduced(truth, STANDARD, (96, 120))
        gains = expected_gains(y, 0.3 / 255, (2.0, 2.0), names, names)
        assert (gains.argmax(1) == np.arange(len(names))).all()
        cost.append(-gains[0, 2])
    assert cost[1] > 1.4 * cost[0]


@pytest.mark.parametrize("softness", [0.6, 1.0])
@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_a_soft_scene_is_not_taken_for_a_blurred_one(ratio: int, softness: float) -> None:
    low = 192 // ratio, 240 // ratio
    truth = gaussian_filter(scene(3)[0][:192, :240], softness)
    y = reduced(truth, STANDARD, low)
    assert find_kernel(y, np.ones(low), None, (ratio, ratio), 0.3 / 255).kernel == STANDARD


def test_two_names_of_the_same_weights_are_no_rivals() -> None:
    truth, guide = (x[..., :192, :240] for x in scene(2))
    low = 64, 80
    same = [reduced(truth, name, low) for name in sorted(ALIASED)]
    assert all(np.array_equal(same[0], other) for other in same[1:])
    finding = find_kernel(same[0], np.ones(low), guide, (3.0, 3.0), 0.3 / 255)
    assert finding.kernel == "nearest"
    assert not finding.rivals


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("shift", [(1, 1), (0, 2), (9, 5)])
def test_a_guide_elsewhere_keeps_the_standard(seed: int, shift: tuple[int, int]) -> None:
    truth, guide = scene(seed)
    assert found(reduced(truth, STANDARD), np.roll(guide, shift, (1, 2))) == STANDARD


@pytest.mark.parametrize("seed", range(2))
def test_a_guide_of_another_scene_keeps_the_standard(seed: int) -> None:
    assert found(reduced(scene(seed)[0], STANDARD), scene(seed + 2)[1]) == STANDARD


def test_noise_is_not_taken_for_aliasing() -> None:
    truth, guide = scene(5)
    noise = 5 / 255 * np.random.default_rng(0).normal(size=LOW)
    assert found(reduced(truth, STANDARD) + noise, guide, noise=5 / 255) == STANDARD


def test_holes_carry_no_evidence() -> None:
    truth, guide = scene(6)
    target, valid = reduced(truth, "nearest"), np.ones(LOW)
    valid[10:20, 30:50] = 0
    holed = np.where(valid > 0, target, 0.5)
    rubbish = np.where(valid > 0, target, np.random.default_rng(0).uniform(size=LOW))
    first, other = (find_kernel(y, valid, guide, RATIO, 0.3 / 255) for y in (holed, rubbish))
    assert first.kernel in ALIASED
    assert other.kernel in ALIASED


@pytest.mark.parametrize("shape", [(4, 4), (12, 300)])
def test_too_little_to_tell_gives_the_standard(shape: tuple[int, int]) -> None:
    y = np.random.default_rng(0).uniform(size=shape)
    assert find_kernel(y, np.ones(shape), None, RATIO, 0.0).kernel == STANDARD
    assert find_kernel(0 * y, np.ones(shape), None, RATIO, 0.0).kernel == STANDARD


def real(data, row: dict[str, str], use_target: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Target (h, w) in [0, 1], guide, and the level of its rounding."""
    guide = image_files.read(data / row["guide"]).data[:3] / 255
    if use_target:
        y = image_files.read(data / row["target"]).data[0].astype(float)
    else:
        truth = image_files.read(data / row["truth"]).data[0].astype(float)
        y = 255 * reduced(truth / 255, STANDARD, tuple(round(n / 4) for n in truth.shape))
    return (y - y.min()) / np.ptp(y), guide, 0.3 / np.ptp(y)


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [("epfl_nir", "bicubic"), ("ulb17_thermal", "bicubic"), ("middlebury_depth", "bilinear-plain")],
)
def test_real_targets_tell_how_they_were_made(data, real_pairs, dataset, expected) -> None:
    for row in real_pairs(dataset):
        y, guide, noise = real(data, row, use_target=True)
        ratio = guide.shape[1] / y.shape[0], guide.shape[2] / y.shape[1]
        finding = find_kernel(y, np.ones(y.shape), guide, ratio, noise)
        assert finding.kernel == expected, row["name"]


def test_reduced_thermal_images_keep_the_standard(data, real_pairs) -> None:
    for row in list(real_pairs("roadscene_thermal"))[::8]:
        y, guide, noise = real(data, row, use_target=False)
        ratio = guide.shape[1] / y.shape[0], guide.shape[2] / y.shape[1]
        assert find_kernel(y, np.ones(y.shape), guide, ratio, noise).kernel == STANDARD
