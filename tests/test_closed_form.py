"""Laws of the priors, and what the default method must and must not do."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cmsr
from cmsr.guided.held_out import kept_pixels, overall_weight, region_weights
from cmsr.operators.gaussian import blur, smooth
from cmsr.operators.resampling import project, resampler
from cmsr.priors.guide_edges import EdgeVariation, GuidedFilter, box_mean
from cmsr.priors.guide_features import whiten
from cmsr.priors.linear_model import estimate
from cmsr.priors.sparse_blocks import (
    Dual,
    threshold_blocks,
    total_variation,
)
from cmsr.registration.refinement import refine
from cmsr.registration.transforms import Affine, displacement, identity_grid, sample
from tests.conftest import SyntheticPair, render_pair, smooth_field

HIGH, LOW = (96, 128), (24, 32)


def tensors(pair: SyntheticPair) -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.from_numpy(pair.target).float()
    return target, torch.from_numpy(pair.guide).permute(2, 0, 1).float() / 255


def test_divergence_is_minus_the_transpose_of_the_gradient() -> None:
    x, y = torch.randn(2, 20, 30, dtype=torch.float64)
    dual, zero = Dual(x), torch.zeros_like(x)
    dual.climb(y, 1.0)
    # ⟨x, div ∇ y⟩ is symmetric in x and y, and −‖∇x‖² where they are the same
    other = Dual(x)
    other.climb(x, 1.0)
    one, two = (x * dual.added_to(zero)).sum(), (y * other.added_to(zero)).sum()
    assert one.item() == pytest.approx(two.item(), abs=1e-9)
    steps = x.diff(dim=0).square().sum() + x.diff(dim=1).square().sum()
    assert (x * other.added_to(zero)).sum().item() == pytest.approx(-steps.item())


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 3))
def test_a_part_of_an_image_is_thresholded_like_the_whole(top: int, left: int, phase: int) -> None:
    image = torch.from_numpy(smooth_field((120, 130), 3)).float()
    image += 0.05 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    whole = threshold_blocks(image, 0.1, phase)
    part = threshold_blocks(image[top : top + 64, left : left + 72], 0.1, phase, (top, left))
    inside = whole[top + 8 : top + 56, left + 8 : left + 64]
    torch.testing.assert_close(part[8:56, 8:64], inside, atol=1e-5, rtol=0)


@pytest.mark.parametrize("hidden", [0.0, 0.2, 0.5])
def test_few_steps_solve_the_linear_model_with_pixels_held_out(hidden: float) -> None:
    y = torch.from_numpy(smooth_field(LOW, 1)).float()
    valid = (torch.rand(LOW, generator=torch.Generator().manual_seed(1)) >= hidden).float()
    reduce = resampler(HIGH, LOW)
    few, many = (estimate(y, reduce, valid, None, 4, iterations=steps)[0] for steps in (16, 200))
    assert (few - many).abs().max() < 2e-4


def test_smoothing_is_symmetric_and_positive() -> None:
    x, y = torch.randn(2, 40, 50)
    assert abs((smooth(x, 3) * y).sum() - (x * smooth(y, 3)).sum()) < 1e-2
    assert (smooth(x, 3) * x).sum() > 0


@pytest.mark.parametrize("width", [0.7, 2.0, 11.0, 60.0])
def test_blurring_keeps_constants_and_has_the_stated_width(width: float) -> None:
    torch.testing.assert_close(blur(torch.full((60, 80), 3.0), width), torch.full((60, 80), 3.0))
    if 2 <= width <= 11:
        point = torch.zeros(101, 101)
        point[50, 50] = 1
        line = smooth(point, width).sum(0)
        variance = (line * (torch.arange(101) - 50) ** 2).sum() / line.sum()
        assert variance.sqrt().item() == pytest.approx(width, rel=0.05)


def test_box_mean_is_the_mean_of_the_window() -> None:
    x = torch.rand(9, 11)
    assert box_mean(x, 2)[4, 5].item() == pytest.approx(x[2:7, 3:8].mean().item(), abs=1e-6)
    assert box_mean(x, 2)[0, 0].item() == pytest.approx(x[:3, :3].mean().item(), abs=1e-6)


def test_denoisers_leave_constants_alone_and_calm_noise() -> None:
    flat = torch.full((30, 41), 0.4)
    noisy = flat + 0.02 * torch.randn(30, 41, generator=torch.Generator().manual_seed(0))
    for denoiser in (lambda x: threshold_blocks(x, 0.1, 0), lambda x: total_variation(x, 0.05)):
        torch.testing.assert_close(denoiser(flat), flat, atol=1e-6, rtol=0)
        assert (denoiser(noisy) - flat).std() < 0.5 * (noisy - flat).std()


def test_guided_filter_reproduces_what_is_linear_in_the_guide() -> None:
    _, guide = tensors(render_pair())
    x = 0.2 + guide[0] * 0.5 - 0.3 * guide[2]
    assert (GuidedFilter(guide, 2, 1e-8)(x) - x).abs().max() < 1e-2


def test_edge_variation_keeps_the_measurement() -> None:
    y, guide = tensors(render_pair())
    reduce = resampler(HIGH, LOW)
    start = project(torch.zeros(HIGH), y, reduce, torch.ones(LOW))
    x = EdgeVariation(guide).sharpen(start, y, reduce, torch.ones(LOW))
    assert (reduce(x) - y).abs().mean() < 0.01


def test_estimate_recovers_a_linear_function_of_the_guide() -> None:
    guide = torch.stack([torch.from_numpy(smooth_field(HIGH, s, 5)).float() for s in range(3)])
    truth = 0.3 + 0.5 * guide[0] - 0.2 * guide[1]
    reduce = resampler(HIGH, LOW)
    errors = [
        (sum(estimate(reduce(truth), reduce, torch.ones(LOW), f, 4, iterations=60)) - truth).std()
        for f in (None, whiten(guide, 4))
    ]
    assert errors[1] < 0.4 * errors[0]


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.6, -1.2), (-1.0, 0.8)])
def test_a_small_shift_is_found(shift: tuple[float, float]) -> None:
    guide = torch.stack([torch.from_numpy(smooth_field(HIGH, s, 6)).float() for s in range(3)])
    reduce = resampler(HIGH, LOW)
    target = reduce(0.3 + 0.5 * guide[0] - 0.2 * guide[1])
    right, down = (2 * pixels / max(HIGH) for pixels in shift)
    grid = Affine(HIGH)(torch.tensor((right, down, 0.0, 0.0, 0.0, 0.0)), identity_grid(HIGH))
    warp, theta = refine(target, torch.ones(LOW), reduce, sample(guide[None], grid)[0], 4)
    found = displacement(warp(theta, identity_grid(HIGH)), HIGH)[0, 8:-8, 8:-8]
    left = found + torch.tensor(shift)
    assert left.norm(dim=-1).median() < max(0.3, 0.5 * math.hypot(*shift))


def test_a_fifth_of_what_was_measured_is_held_out() -> None:
    valid = torch.ones(60, 80)
    valid[:20] = 0
    kept = kept_pixels(valid, seed=0)
    assert (kept[:20] == 0).all()
    assert kept.sum() / valid.sum() == pytest.approx(0.8, abs=0.03)
    assert torch.equal(kept, kept_pixels(valid, seed=0))


def test_weight_needs_gain_beyond_a_displaced_guide_s() -> None:
    assert overall_weight(gain=3.0, control=0.0) == 1
    assert overall_weight(gain=3.0, control=2.9) == 0
    assert overall_weight(gain=0.2, control=-1.0) == 0
    assert 0 < overall_weight(gain=0.8, control=0.0) < 1


def test_regions_follow_the_estimate_that_proves_right_there() -> None:
    y = torch.from_numpy(smooth_field((40, 60), 0)).float()
    left_wrong, right_wrong = y.clone(), y.clone()
    left_wrong[:, :30] += 0.2
    right_wrong[:, 30:] += 0.2
    both, everywhere = torch.stack([left_wrong, right_wrong]), torch.ones_like(y)
    weights = region_weights(both, y, everywhere, ((both - y) ** 2).mean((1, 2)))
    torch.testing.assert_close(weights.sum(0), torch.ones_like(y))
    assert (weights[1, :, :20] > 0.99).all()
    assert (weights[0, :, 40:] > 0.99).all()


def test_a_guide_of_another_scene_is_left_out() -> None:
    pair, other = render_pair(seed=0), render_pair(seed=5)
    guided = cmsr.upscale(pair.target, other.guide)
    free = cmsr.upscale(pair.target, ratio=4)
    assert guided.guide_weight.max() < 0.01
    np.testing.assert_allclose(guided.image, free.image, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 2])
@pytest.mark.parametrize("texture", ["stripes", "checks", "noise"])
def test_texture_of_the_guide_does_not_leak_into_a_flat_object(texture: str, seed: int) -> None:
    """At most 2 % of its amplitude shows where the truth is flat."""
    scene = render_pair((192, 256), (48, 64), seed)
    y, x = np.mgrid[:192, :256]
    disc = (y - 96) ** 2 + (x - 128) ** 2 < 40**2
    patterns = {
        "stripes": np.sign(np.sin(x * 0.9)),
        "checks": np.sign(np.sin(x * 0.7) * np.sin(y * 0.7)),
        "noise": np.random.default_rng(0).normal(0, 1, disc.shape),
    }
    truth, guide = scene.truth.copy(), scene.guide.astype(float)
    truth[disc] = 0.5
    guide[disc] = 128 + 60 * patterns[texture][disc][:, None]
    target = resampler((192, 256), (48, 64))(torch.from_numpy(truth).float()).numpy()
    result = cmsr.upscale(target, np.clip(guide, 0, 255).astype(np.uint8), align="off")
    assert result.guide_weight.mean() > 0.5, "the guide is of use elsewhere"
    inside = (y - 96) ** 2 + (x - 128) ** 2 < 28**2
    pattern = patterns[texture][inside] - patterns[texture][inside].mean()
    image = result.image[inside] - result.image[inside].mean()
    amplitude = 60 / 255
    assert abs(image @ pattern / (pattern @ pattern)) < 0.02 * amplitude
    assert image.std() < 0.03 * amplitude


def test_channels_are_solved_each_for_itself(pair: SyntheticPair) -> None:
    both = np.stack([pair.target, 1 - pair.target], axis=-1)
    image = cmsr.upscale(both, pair.guide, align="off").image
    np.testing.assert_allclose(image[..., 0], 1 - image[..., 1], atol=2e-3)


def test_units_do_not_matter(pair: SyntheticPair) -> None:
    plain = cmsr.upscale(pair.target.astype(float), pair.guide).image
    kelvin = cmsr.upscale(280 + 20 * pair.target.astype(float), pair.guide).image
    np.testing.assert_allclose(kelvin, 280 + 20 * plain, atol=1e-2)


def test_solution_is_consistent_and_says_where_the_guide_counted(pair: SyntheticPair) -> None:
    result = cmsr.upscale(pair.target, pair.guide, kernel="bicubic")
    assert result.guide_weight.shape == HIGH
    assert 0 <= result.guide_weight.min() <= result.guide_weight.max() <= 1
    reduced = resampler(HIGH, LOW)(torch.from_numpy(result.image).float()).numpy()
    assert np.sqrt(np.mean((reduced - pair.target) ** 2)) * 255 < 0.3
