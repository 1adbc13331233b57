"""Laws of the imaging operator."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmsr.errors import OptionError
from cmsr.operators.kernels import check_kernel, weights
from cmsr.operators.resampling import Resampler, back_project, project, resampler
from tests.conftest import smooth_field

KERNELS = [
    "bicubic",
    "bicubic-plain",
    "bilinear",
    "bilinear-plain",
    "box",
    "nearest",
    "gaussian:0.01",
    "gaussian:1.6",
]
RATIOS = [(2, 2), (3, 3), (4, 4), (2.81, 2.81), (2.0, 3.3)]
LOW = (21, 30)


def high(ratio: tuple[float, float]) -> tuple[int, int]:
    return round(LOW[0] * ratio[0]), round(LOW[1] * ratio[1])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("ratio", RATIOS)
def test_transpose_is_the_adjoint(kernel: str, ratio: tuple[float, float]) -> None:
    torch.manual_seed(0)
    reduce = resampler(high(ratio), LOW, kernel)
    reduce = Resampler(reduce.rows.double(), reduce.cols.double())
    x, y = torch.randn(high(ratio)).double(), torch.randn(LOW).double()
    assert abs((reduce(x) * y).sum() - (x * reduce.transpose(y)).sum()) < 1e-6


@pytest.mark.parametrize("kernel", KERNELS)
@given(n_in=st.integers(2, 90), n_out=st.integers(1, 90))
def test_constants_stay_constant(kernel: str, n_in: int, n_out: int) -> None:
    np.testing.assert_allclose(weights(n_in, n_out, kernel).sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("kernel", [k for k in KERNELS if k != "nearest"])
def test_mirroring_the_image_mirrors_the_result(kernel: str) -> None:
    """Not so for nearest, which takes the right one of the two middle pixels."""
    matrix = weights(84, 21, kernel)
    np.testing.assert_allclose(matrix[::-1, ::-1], matrix, atol=1e-12)


@pytest.mark.parametrize("kernel", ["bicubic", "bilinear", "box", "bicubic-plain"])
@pytest.mark.parametrize("ratio", RATIOS)
def test_a_ramp_keeps_its_place(kernel: str, ratio: tuple[float, float]) -> None:
    """Pixel centres agree: a ramp over the area reduces to the same ramp, away from the border."""
    n_out, n_in = LOW[1], high(ratio)[1]
    fine, coarse = (np.arange(n_in) + 0.5) / n_in, (np.arange(n_out) + 0.5) / n_out
    np.testing.assert_allclose(
        (weights(n_in, n_out, kernel) @ fine)[3:-3], coarse[3:-3], atol=2e-3 / n_out * 10
    )


@pytest.mark.parametrize("ratio", RATIOS)
def test_reducing_what_was_enlarged_returns_smooth_images(ratio: tuple[float, float]) -> None:
    low = torch.from_numpy(smooth_field(LOW, 1, finest=10)).float()
    enlarge, reduce = resampler(LOW, high(ratio)), resampler(high(ratio), LOW)
    assert (reduce(enlarge(low)) - low).abs().max() < 0.02


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("ratio", [(4, 4), (2.81, 2.81), (2.0, 3.3)])
def test_solving_is_consistent(kernel: str, ratio: tuple[float, float]) -> None:
    torch.manual_seed(1)
    low, reduce = torch.rand(LOW), resampler(high(ratio), LOW, kernel)
    torch.testing.assert_close(reduce(reduce.solve(low)), low, atol=1e-4, rtol=0)


def test_box_is_the_mean_of_whole_blocks() -> None:
    x = torch.rand(8, 12)
    blocks = x.reshape(2, 4, 3, 4).mean(dim=(1, 3))
    torch.testing.assert_close(resampler((8, 12), (2, 3), "box")(x), blocks)


def test_plain_bilinear_at_ratio_four_is_the_mean_of_the_middle_pixels() -> None:
    x = torch.rand(8, 12)
    middle = x.reshape(2, 4, 3, 4)[:, 1:3, :, 1:3].mean(dim=(1, 3))
    torch.testing.assert_close(resampler((8, 12), (2, 3), "bilinear-plain")(x), middle)


def test_gaussian_has_the_stated_width() -> None:
    row = weights(400, 100, "gaussian:3")[50]
    centre = (50 + 0.5) * 4 - 0.5
    assert np.sqrt((row * (np.arange(400) - centre) ** 2).sum()) == pytest.approx(3, rel=1e-3)


def test_back_projection_reaches_the_measurement() -> None:
    torch.manual_seed(2)
    y, reduce = torch.rand(1, 1, *LOW), resampler(high((4, 4)), LOW)
    x = back_project(torch.zeros(1, 1, *high((4, 4))), y, reduce, iterations=100)
    torch.testing.assert_close(reduce(x), y, atol=1e-3, rtol=0)


def test_back_projection_leaves_holes_alone() -> None:
    y, valid = torch.rand(1, 1, *LOW), torch.ones(1, 1, *LOW)
    valid[..., 5:15, 10:20] = 0
    x = torch.zeros(1, 1, *high((4, 4)))
    reduce = resampler(high((4, 4)), LOW)
    y_other = torch.where(valid > 0, y, 1e6)
    ours, other = (back_project(x, z, reduce, valid, iterations=5) for z in (y, y_other))
    torch.testing.assert_close(ours, other)
    assert ours[..., 36:44, 56:64].abs().max() == 0


@pytest.mark.parametrize("name", ["lanczos", "gaussian", "gaussian:", "gaussian:x", ""])
def test_unknown_kernels_are_refused_by_name(name: str) -> None:
    with pytest.raises(OptionError, match="kernel is"):
        check_kernel(name)


@pytest.mark.parametrize(
    ("kernel", "dip"), [("bicubic", 0.05), ("bilinear-plain", 0.55), ("nearest", 0.8)]
)
def test_projecting_fills_what_lies_between_the_samples(kernel: str, dip: float) -> None:
    """A constant comes back without gaps of the whole depth where the operator never looks."""
    reduce, ones = resampler((80, 96), (20, 24), kernel), torch.ones(20, 24)
    added = project(torch.zeros(80, 96), ones, reduce, ones)
    assert (added[8:-8, 8:-8] - 1).abs().max() < dip
    torch.testing.assert_close(reduce(added), ones, atol=1e-2, rtol=0)
