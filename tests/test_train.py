"""Training learns, repeats itself, and follows the published rules."""

import numpy as np
import pytest
import torch

from cmsr.config import Config
from cmsr.pair import Pair
from cmsr.two_branch.examples import Example
from cmsr.two_branch.network import TwoBranch, masked_l1
from cmsr.two_branch.train import PlateauRate, new_fit, reconstruction_error, reenlarged, train
from tests.conftest import SyntheticPair, pair_of, render_pair


def as_pair(scene: SyntheticPair) -> Pair:
    return pair_of(scene.target, scene.guide)


def test_the_network_has_the_published_size_and_start() -> None:
    torch.manual_seed(0)
    network = TwoBranch(1, torch.rand(1, 3, 16, 16))
    sharpen, explain = (
        [tuple(p.shape) for p in branch.parameters()]
        for branch in (network.sharpen, network.explain)
    )
    assert sharpen == [(64, 1, 3, 3), *[(64, 64, 3, 3)] * 6, (1, 64, 3, 3)]
    assert explain == [
        (4, 3, 3, 3),
        (8, 4, 3, 3),
        (16, 8, 3, 3),
        (16, 16, 3, 3),
        (16, 16, 3, 3),
        (8, 16, 1, 1),
        (4, 8, 1, 1),
        (1, 4, 1, 1),
    ]
    middle = network.sharpen[6].weight
    assert middle.std().item() == pytest.approx(np.sqrt(0.1 / 576), rel=0.02)


def test_each_branch_learns_from_its_own_loss() -> None:
    """The guide branch's error never reaches the sharpening branch."""
    torch.manual_seed(0)
    network = TwoBranch(1, torch.rand(1, 3, 16, 16))
    enlarged, guide, label = (
        torch.rand(1, 1, 16, 16),
        torch.rand(1, 3, 16, 16),
        torch.rand(1, 1, 16, 16),
    )
    valid = torch.ones(1, 1, 16, 16)
    network.loss(enlarged, guide, label, valid).backward()
    together = [p.grad.clone() for p in network.sharpen.parameters()]
    network.zero_grad()
    masked_l1(enlarged + network.sharpen(enlarged), label, valid).backward()
    for ours, alone in zip(together, network.sharpen.parameters(), strict=True):
        assert torch.equal(ours, alone.grad)


def test_holes_do_not_enter_the_loss() -> None:
    x, y, valid = torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4), torch.ones(1, 1, 4, 4)
    valid[..., :2, :] = 0
    y[..., :2, :] = 1e9
    assert masked_l1(x, y, valid) == 1
    assert masked_l1(x, y, valid * 0) == 0


def test_the_error_falls() -> None:
    scene = as_pair(render_pair((192, 256), (96, 128)))
    config = Config.of("paper", iterations=150, p=0.0)
    before, after = (
        reconstruction_error(fit.network, Example.downsampling(scene), scene.ratio, "bicubic")
        for fit in (new_fit(scene, config), train(scene, "bicubic", config))
    )
    assert after < 0.9 * before


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_p_chooses_the_scheme(
    pair: SyntheticPair, p: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def spy(example, crop, rng):
        seen.append(tuple(example.label.shape[-2:]))
        return example.window(0, 0, (16, 16))

    monkeypatch.setattr("cmsr.two_branch.train.draw_patch", spy)
    train(as_pair(pair), "bicubic", Config.of("paper", iterations=5, p=p))
    assert set(seen) == {(96, 128) if p else (24, 32)}


def test_same_seed_same_weights_other_seed_others(pair: SyntheticPair) -> None:
    def weights(seed: int) -> torch.Tensor:
        fit = train(as_pair(pair), "bicubic", Config.of("paper", iterations=6, seed=seed))
        return torch.cat([p.flatten() for p in fit.network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_the_rate_falls_only_when_the_error_is_flat() -> None:
    falling, flat = PlateauRate(1e-4), PlateauRate(1e-4)
    rng = np.random.default_rng(0)
    for step in range(10, 801, 10):
        falling.update(step, 1 - step / 1000 + 0.001 * rng.normal())
        flat.update(step, 1 + 0.01 * rng.normal())
        if step < 256:
            assert flat.value == 1e-4
    assert falling.value == 1e-4
    assert flat.value == pytest.approx(1e-6)


def test_the_input_of_a_label_is_blurred_at_its_own_place() -> None:
    x = torch.linspace(0, 1, 48).expand(1, 1, 48, 48)
    for ratio in ((4.0, 4.0), (2.81, 2.81), (2.0, 3.3)):
        assert (reenlarged(x, ratio, "bicubic") - x)[..., 6:-6].abs().max() < 2e-3
