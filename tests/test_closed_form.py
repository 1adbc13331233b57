"""Laws of the priors, and what the default method must and must not do."""

import math

import numpy as np
import pytest
import torch

import cmsr
from cmsr.config import Config
from cmsr.guided.held_out import hide, image_trust, region_weights
from cmsr.guided.linear_model import blur, estimate, smooth, whiten
from cmsr.guided.solve import solve
from cmsr.io import image_files
from cmsr.operators.resampling import project, resampler
from cmsr.pair import Pair
from cmsr.priors.guide_edges import EdgeVariation, GuidedFilter, box_mean
from cmsr.priors.sparse_blocks import (
    divergence,
    gradient_x,
    gradient_y,
    threshold_blocks,
    total_variation,
)
from cmsr.registration.refinement import refine
from cmsr.registration.transforms import Affine, displacement, identity_grid, sample
from cmsr.sensor.imaging import Imaging
from tests.conftest import SyntheticPair, render_pair, smooth_field

HIGH, LOW = (96, 128), (24, 32)


def tensors(pair: SyntheticPair) -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.from_numpy(pair.target).float()
    return target, torch.from_numpy(pair.guide).permute(2, 0, 1).float() / 255


def test_divergence_is_minus_the_transpose_of_the_gradient() -> None:
    x, p, q = torch.randn(3, 20, 30, dtype=torch.float64)
    along = (gradient_x(x) * p).sum() + (gradient_y(x) * q).sum()
    assert abs(along + (x * divergence(p, q)).sum()) < 1e-10


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


def test_hiding_hides_a_fifth_of_what_was_measured() -> None:
    valid = torch.ones(60, 80)
    valid[:20] = 0
    kept = hide(valid, seed=0)
    assert (kept[:20] == 0).all()
    assert kept.sum() / valid.sum() == pytest.approx(0.8, abs=0.03)
    assert torch.equal(kept, hide(valid, seed=0))


def test_trust_needs_gain_beyond_a_decoy_s() -> None:
    assert image_trust(gain=3.0, decoy=0.0) == 1
    assert image_trust(gain=3.0, decoy=2.9) == 0
    assert image_trust(gain=0.2, decoy=-1.0) == 0
    assert 0 < image_trust(gain=0.8, decoy=0.0) < 1


def test_regions_follow_the_estimate_that_proves_right_there() -> None:
    y = torch.from_numpy(smooth_field((40, 60), 0)).float()
    left_wrong, right_wrong = y.clone(), y.clone()
    left_wrong[:, :30] += 0.2
    right_wrong[:, 30:] += 0.2
    weights = region_weights(torch.stack([left_wrong, right_wrong]), y, torch.ones_like(y))
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
    prepared = Pair.of(
        image_files.from_array(pair.target, "target"), image_files.from_array(pair.guide, "guide")
    )
    solution = solve(prepared, Imaging("bicubic", (0.0,)), Config.of("default"))
    assert solution.guide_weight.shape == prepared.shape
    assert 0 <= solution.guide_weight.min() <= solution.guide_weight.max() <= 1
    reduced = resampler(prepared.shape, LOW)(solution.image)
    assert (reduced - prepared.target).square().mean().sqrt() * 255 < 0.3
