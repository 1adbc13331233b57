"""Regression in windows agrees with least squares in each of them."""

import numpy as np
import pytest
import torch

from cmsr.operators.local_regression import LocalRegression, box_mean, inner_box_mean
from cmsr.sensor.blocks import SIDE, blocks, regress

RANDOM = torch.Generator().manual_seed(0)
GUIDE = torch.randn(3, 9, 11, generator=RANDOM, dtype=torch.float64)
TARGET = torch.randn(9, 11, generator=RANDOM, dtype=torch.float64)


@pytest.mark.parametrize("radius", [0, 1, 2, 3])
def test_box_means_are_means_over_windows_cut_at_the_border(radius: int) -> None:
    found = box_mean(TARGET, radius)
    for row, col in np.ndindex(*TARGET.shape):
        rows, cols = (slice(max(0, at - radius), at + radius + 1) for at in (row, col))
        assert found[row, col].item() == pytest.approx(TARGET[rows, cols].mean().item())
    inside = found[radius : 9 - radius, radius : 11 - radius]
    assert torch.allclose(inner_box_mean(TARGET, radius), inside)


def test_slopes_and_explained_variance_are_those_of_least_squares() -> None:
    regression = LocalRegression.on(GUIDE, 0, lambda x: inner_box_mean(x, 2))
    mean = inner_box_mean(TARGET, 2)
    cross = inner_box_mean(TARGET * GUIDE, 2) - mean * regression.mean
    slopes, explained = regression.slopes(cross), regression.explained(cross)
    for row, col in np.ndindex(5, 7):
        part = np.s_[row : row + 5, col : col + 5]
        x, y = GUIDE[:, *part].reshape(3, -1).T, TARGET[part].reshape(-1)
        x, y = x - x.mean(0), y - y.mean()
        best = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
        assert torch.allclose(slopes[:, row, col], best)
        assert explained[row, col].item() == pytest.approx((x @ best).square().mean().item())
    some = regression.part(slice(1, 3), slice(2, 6))
    assert torch.equal(some.explained(cross[:, 1:3, 2:6]), explained[1:3, 2:6])


def test_blocks_leave_what_is_not_linear_in_their_features() -> None:
    rng = np.random.default_rng(0)
    guide, noise = rng.normal(size=(2, 20, 29)), 0.1 * rng.normal(size=(20, 29))
    y, features = blocks(3 * guide[0] - guide[1] + noise), blocks(guide)
    assert y.shape == (6, SIDE**2)
    left, gram = regress(y, features, 1e-9)
    for block, columns, rest in zip(y, features.transpose(1, 2, 0), left, strict=True):
        best = np.linalg.lstsq(columns, block, rcond=None)[0]
        assert rest == pytest.approx(np.mean((block - columns @ best) ** 2), rel=1e-5)
    assert gram.shape == (6, 2, 2)
