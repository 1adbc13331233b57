"""Straight edges: what is made of them comes out sharp, in its place, and once."""

import numpy as np
import pytest
import torch

import cmsr
from cmsr.operators.resampling import resampler
from cmsr.priors.wedgelets import Wedgelets
from tests.conftest import smooth_field

KERNELS = ("bicubic", "bilinear-plain", "box")
LEVELS = 0.2, 0.7


def scene(shape: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Two inclined planes, one before the other; and how far each pixel is within the nearer."""
    rows, cols = (np.arange(n) + 0.5 - n / 2 for n in shape)
    y, x = rows[:, None], cols[None]
    disc = 0.3 * min(shape) - np.hypot(y - 3.3, x + 0.12 * shape[1])
    half = (x - 0.28 * shape[1]) * np.cos(0.3) + y * np.sin(0.3)
    depth = np.maximum(disc, half)
    cover = np.clip(depth + 0.5, 0, 1)
    far, near = (level + 0.05 * (x / shape[1] + y / shape[0]) for level in LEVELS)
    return (
        torch.from_numpy(far * (1 - cover) + near * cover).float(),
        torch.from_numpy(depth).float(),
    )


def enlarged(truth: torch.Tensor, low: tuple[int, int], kernel: str) -> torch.Tensor:
    shape = truth.shape[0], truth.shape[1]
    reduce = resampler(shape, low, kernel)
    y = reduce(truth)
    base = resampler(low, shape, "bicubic")(y)
    return Wedgelets(y, torch.ones(low), reduce).expected(base, None)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("low", [(30, 40), (48, 64), (41, 53)])
def test_edges_are_sharp_and_in_place(kernel: str, low: tuple[int, int]) -> None:
    """Across the border an eighth of the step is amiss; two pixels beside it nothing is."""
    truth, depth = scene((120, 160))
    error = (enlarged(truth, low, kernel) - truth).abs() / (LEVELS[1] - LEVELS[0])
    border, beside = depth.abs() < 1, (depth.abs() > 2) & (depth.abs() < 8)
    assert error[border].mean() < 0.125
    assert error[beside].mean() < 0.003
    assert error[beside].quantile(0.98) < 0.02


@pytest.mark.parametrize("align", ["off", "auto"])
def test_the_whole_method_neither_rounds_nor_doubles_edges(align: str) -> None:
    truth, depth = scene((120, 160))
    low = resampler((120, 160), (30, 40))(truth).numpy()
    colour = np.stack([1 - 0.4 * truth, 0.3 + 0.5 * truth, 0.5 + 0 * truth], -1)
    for guide in (None, colour.astype(np.float32)):
        options = {"ratio": 4.0} if guide is None else {"align": align}
        image = cmsr.upscale(low, guide, device="cpu", **options).image
        error = np.abs(image - truth.numpy()) / (LEVELS[1] - LEVELS[0])
        error, away = error[8:-8, 8:-8], depth[8:-8, 8:-8].abs().numpy()
        border, beside = away < 1, away > 2
        assert error[border].mean() < 0.1
        assert error[beside].mean() < 0.003
        assert np.quantile(error[beside], 0.99) < 0.02
        assert error[beside].max() < 0.05


def test_straightness_tells_surfaces_from_texture() -> None:
    def straightness(truth: torch.Tensor, kernel: str) -> float:
        reduce = resampler((120, 160), (30, 40), kernel)
        return Wedgelets(reduce(truth), torch.ones(30, 40), reduce).straightness()

    waves = torch.from_numpy(smooth_field((120, 160), 0, finest=12)).float()
    for kernel in KERNELS:
        assert straightness(scene((120, 160))[0], kernel) == 1
        assert straightness(waves, kernel) == 0
    assert straightness(torch.full((120, 160), 0.5), "bicubic") == 0


def test_what_was_not_measured_has_no_influence() -> None:
    truth, _ = scene((120, 160))
    reduce = resampler((120, 160), (30, 40))
    y, valid = reduce(truth), torch.ones(30, 40)
    valid[10:14, 18:23] = 0
    valid[torch.rand(30, 40, generator=torch.Generator().manual_seed(0)) < 0.1] = 0
    images = [
        Wedgelets(torch.where(valid > 0, y, filled), valid, reduce).expected(truth, None)
        for filled in (0.0, 1.0)
    ]
    torch.testing.assert_close(images[0], images[1], atol=1e-5, rtol=0)


def test_the_guide_places_what_the_measurement_leaves_open() -> None:
    truth, depth = scene((120, 160))
    reduce = resampler((120, 160), (30, 40), "bilinear-plain")
    wedgelets = Wedgelets(reduce(truth), torch.ones(30, 40), reduce)
    guide = torch.stack([1 - 0.4 * truth, 0.3 + 0.2 * truth, 0.5 + 0 * truth])
    without, with_guide = (
        (wedgelets.expected(truth.mean().expand(120, 160), g) - truth)[depth.abs() < 1].abs().mean()
        for g in (None, guide)
    )
    assert with_guide < 0.8 * without


def test_patches_are_treated_alike_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, _ = scene((120, 160))
    whole = enlarged(truth, (30, 40), "bicubic")
    monkeypatch.setattr("cmsr.priors.wedgelets.CHUNK", 50)
    torch.testing.assert_close(enlarged(truth, (30, 40), "bicubic"), whole, atol=1e-5, rtol=0)
