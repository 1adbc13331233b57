"""Training learns, repeats itself, and follows the published rules."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from cmsr.config import Config
from cmsr.pair import Pair
from cmsr.two_branch.arm import Arm, Fit
from cmsr.two_branch.examples import Example, Place, draw_place
from cmsr.two_branch.learning import PlateauRate
from cmsr.two_branch.network import TwoBranch, masked_l1
from cmsr.two_branch.train import Arms, squared_error, train
from cmsr.two_branch.training_step import reenlarged
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


def weights(fit: Fit, branch: str = "") -> torch.Tensor:
    named = fit.network.named_parameters()
    return torch.cat([value.flatten() for name, value in named if name.startswith(branch)])


def test_each_branch_learns_from_its_own_loss(pair: SyntheticPair) -> None:
    """The guide branch's error never reaches the sharpening branch, which learns as alone."""
    guided = as_pair(pair)
    config = Config.of("paper", align="off", iterations=3, iterations_guide_free=3, crop=128)
    with_guide = train(guided, "bicubic", config)
    alone = train(replace(guided, guide=None), "bicubic", config)
    assert torch.equal(weights(with_guide, "sharpen"), weights(alone))


def test_holes_do_not_enter_the_loss() -> None:
    x, y, valid = torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4), torch.ones(1, 1, 4, 4)
    valid[..., :2, :] = 0
    y[..., :2, :] = 1e9
    assert masked_l1(x, y, valid) == 1
    assert masked_l1(x, y, valid * 0) == 0


@torch.no_grad()
def rebuilt(fit: Fit, scene: Pair) -> float:
    """Squared error of the target, rebuilt from its reduced self."""
    example = Example.downsampling(scene)
    output = fit.network(reenlarged(example.label, scene.ratio, "bicubic"), example.guide)
    return squared_error(output, example.label, example.valid)


def test_the_error_falls() -> None:
    scene = as_pair(render_pair((192, 256), (96, 128)))
    config = Config.of("paper", iterations=150, p=0.0)
    before = rebuilt(Arm(scene, config).new_fit(), scene)
    assert rebuilt(train(scene, "bicubic", config), scene) < 0.9 * before


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_p_chooses_the_scheme(
    pair: SyntheticPair, p: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def spy(shape, crop, rng):
        seen.append(shape)
        return Place((16, 16))

    monkeypatch.setattr("cmsr.two_branch.training_step.draw_place", spy)
    train(as_pair(pair), "bicubic", Config.of("paper", iterations=5, p=p))
    assert set(seen) == {(96, 128) if p else (24, 32)}


def moved(pair: Pair, columns: int) -> Pair:
    return replace(pair, guide=pair.guide.roll(columns, -1))


def test_arms_side_by_side_are_what_each_is_alone(
    pair: SyntheticPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cmsr.two_branch.train.MEASURE_EVERY", 4)
    scene = as_pair(pair)
    other = moved(scene, 3)

    def arm(of: Pair = scene, **options: float | str) -> Arm:
        return Arm(
            of, Config.of("paper", iterations=6, learning_rate=3e-3, **{"align": "off", **options})
        )

    arms = [
        arm(p=0.0), arm(p=0.5), arm(p=0.5, guide_p=0.0), arm(p=0.0, guide_p=0.5),
        arm(other, p=0.5, guide_rate=10.0), arm(p=0.5, guide_start="kept"),
        arm(p=0.5, align="affine"),
    ]  # fmt: skip
    together = Arms(arms, "bicubic").train()
    for each, fit in zip(arms, together, strict=True):
        alone = Arms([each], "bicubic").train()[0]
        assert torch.equal(weights(fit), weights(alone))
        assert fit.history == alone.history
    different = [weights(together[k], "explain") for k in (1, 2, 4, 5)]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(different, 2))
    assert len({id(fit.network.sharpen) for fit in together}) == 2


def test_schemes_of_one_step_show_the_same_place(pair: SyntheticPair) -> None:
    """A patch of the enlarged label is seen as that of the label at its own scale."""

    def spy(p: float) -> list[tuple[int, bool, bool]]:
        drawn = []
        with pytest.MonkeyPatch.context() as patch:

            def noted(shape, crop, rng):
                place = draw_place(shape, crop, rng)
                drawn.append((place.quarter_turns, place.mirror, place.grid is None))
                return place

            patch.setattr("cmsr.two_branch.training_step.draw_place", noted)
            train(as_pair(pair), "bicubic", Config.of("paper", iterations=12, p=p, crop=16))
        return drawn

    places = [spy(0.0), spy(1.0)]
    assert places[0] == places[1]
    assert len(set(places[0])) > 2


def test_same_seed_same_weights_other_seed_others(pair: SyntheticPair) -> None:
    def trained(seed: int) -> torch.Tensor:
        config = Config.of("paper", iterations=6, seed=seed)
        return weights(train(as_pair(pair), "bicubic", config))

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


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
