"""Patches show one place, in both schemes, however they are augmented."""

import numpy as np
import pytest
import torch

from cmsr.operators.resampling import resampler
from cmsr.pair import Pair
from cmsr.two_branch.examples import Example, draw_place, turn, unturn
from tests.conftest import pair_of, smooth_field

SHAPE = (150, 210)


def known_pair(low: tuple[int, int]) -> Pair:
    """A pair whose guide is a known function of the truth: (T, 1 − T, T / 2)."""
    truth = smooth_field(SHAPE, 3, finest=30).astype(np.float32)
    target = resampler(SHAPE, low)(torch.from_numpy(truth))[None, None]
    guide = torch.from_numpy(np.stack([truth, 1 - truth, truth / 2]))[None]
    one = np.ones((1, 1, 1))
    return Pair(target, torch.ones_like(target), guide, SHAPE, one * 0, one, np.dtype("f4"))


def draw_patch(example: Example, crop: int, rng: np.random.Generator) -> Example:
    return example.patch(draw_place(tuple(example.label.shape[-2:]), crop, rng))


@pytest.mark.parametrize("low", [(50, 70), (53, 75), (75, 63)])
@pytest.mark.parametrize("scheme", ["downsampling", "upsampling"])
def test_label_and_guide_come_from_the_same_place(scheme: str, low: tuple[int, int]) -> None:
    pair, rng = known_pair(low), np.random.default_rng(0)
    example = getattr(Example, scheme)(pair)
    assert example.label.shape[-2:] == example.guide.shape[-2:]
    misplaced = 0.0
    for _ in range(60):
        patch = draw_patch(example, 32, rng)
        assert patch.label.shape[-2:] == (32, 32)
        for channel, known in ((0, patch.label), (1, 1 - patch.label), (2, patch.label / 2)):
            assert (patch.guide[:, channel : channel + 1] - known).abs().max() < 0.012
        shifted = (patch.guide[:, :1].roll(1, -1) - patch.label)[..., 1:].abs().max()
        misplaced = max(misplaced, float(shifted))
    assert misplaced > 0.03, "one pixel off would have shown"


def test_schemes_keep_the_scales_of_table_1() -> None:
    pair = known_pair((50, 70))
    down, up = Example.downsampling(pair), Example.upsampling(pair)
    assert torch.equal(down.label, pair.target)
    assert down.guide.shape[-2:] == (50, 70)
    assert torch.equal(up.guide, pair.guide)
    assert up.label.shape[-2:] == SHAPE


def test_patches_never_show_holes() -> None:
    pair = known_pair((50, 70))
    pair.valid[..., 20:30, 20:40] = 0
    pair.target[pair.valid == 0] = 50.0
    example, rng = Example.downsampling(pair), np.random.default_rng(1)
    for _ in range(60):
        patch = draw_patch(example, 24, rng)
        untouched = patch.label[patch.valid > 0]
        assert untouched.numel() == 0 or untouched.max() < 10


def test_images_smaller_than_the_crop_are_used_whole() -> None:
    patch = draw_patch(Example.downsampling(known_pair((50, 70))), 64, np.random.default_rng(2))
    assert patch.label.shape[-2:] == (50, 64)


@pytest.mark.parametrize("quarter_turns", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_turning_is_undone_exactly(quarter_turns: int, mirror: bool) -> None:
    x = torch.rand(1, 2, 5, 7)
    assert torch.equal(unturn(turn(x, quarter_turns, mirror), quarter_turns, mirror), x)


def test_masked_pair_from_an_array() -> None:
    target = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    target[5, 5] = np.nan
    pair = pair_of(target, ratio=2)
    assert not torch.isnan(pair.target).any()
    assert pair.valid.sum() == 20 * 30 - 1
