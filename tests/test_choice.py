"""--p auto: no arm sees the hidden pixels, and what predicts them best goes on with all."""

from dataclasses import replace

import pytest
import torch

import cmsr
from cmsr.app.summary import of_run
from cmsr.config import Config
from cmsr.errors import OptionError
from cmsr.guided.held_out import kept_pixels
from cmsr.two_branch import choice
from cmsr.two_branch.arm import Arm
from cmsr.two_branch.train import Arms
from tests.conftest import SyntheticPair, pair_of

AUTO = Config.of("paper", p="auto", align="off", iterations=4, ensemble=False)


def test_hidden_pixels_leave_no_trace(pair: SyntheticPair) -> None:
    scene = pair_of(pair.target, pair.guide)
    kept = kept_pixels(torch.ones(24, 32), 0)
    assert 0.1 < 1 - kept.mean() < 0.3
    spoilt = replace(scene, target=torch.where(kept > 0, scene.target, 9.0))
    seen, seen_spoilt = choice.hiding(scene, kept), choice.hiding(spoilt, kept)
    assert torch.equal(seen.target, seen_spoilt.target)
    assert torch.equal(seen.valid, kept[None, None])


def test_the_arm_that_predicts_hidden_pixels_best_goes_on_with_all(
    pair: SyntheticPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, shown = pair_of(pair.target, pair.guide), []

    class Spied(Arms):
        def _learn(self) -> None:
            shown.append([(arm.p, arm.guide_p, float(arm.pair.valid.mean())) for arm in self.arms])
            super()._learn()

    monkeypatch.setattr(choice, "Arms", Spied)
    monkeypatch.setattr(choice, "held_out_errors", lambda *_: [-30.0, -31.0, -29.0])
    fit, facts = choice.choose(scene, "bicubic", AUTO)
    assert [each["chosen"] for each in facts] == [False, True, False]
    assert [each["held_out_db"] for each in facts] == [30.0, 31.0, 29.0]
    assert [len(arms) for arms in shown] == [3, 3, 1, 1]
    assert all(valid < 0.9 for arms in shown[:2] for *_, valid in arms)
    assert shown[-1] == [(*choice.SHARES[1], 1.0)]
    assert len(fit.history["loss"]) == 4


def test_a_spoilt_arm_predicts_hidden_pixels_worse(pair: SyntheticPair) -> None:
    scene = pair_of(pair.target, pair.guide)
    kept = kept_pixels(torch.ones(24, 32), 0)
    seen = choice.hiding(scene, kept)
    arms = Arms([Arm(seen, replace(AUTO, p=p)) for p in (0.0, 1.0)], "bicubic")
    with torch.no_grad():
        for weight in arms.fits[0].network.explain.parameters():
            weight.mul_(6.0)
    spoilt, sound = choice.held_out_errors(arms, scene, 1 - kept, "bicubic", AUTO)
    assert spoilt > sound + 1


def test_the_record_says_each_arms_score(pair: SyntheticPair) -> None:
    options = {"preset": "paper-plus", "iterations": 4, "ensemble": False}
    result = cmsr.upscale(pair.target, pair.guide, **options)
    arms = result.info["arms"]
    assert [(arm["p"], arm["guide_p"]) for arm in arms] == list(choice.SHARES)
    best = max(arms, key=lambda arm: arm["held_out_db"])
    assert [arm for arm in arms if arm["chosen"]] == [best]
    assert f"{best['held_out_db']:.2f} dB" in of_run("out.tif", [result.info])
    again = cmsr.upscale(pair.target, pair.guide, **options)
    assert again.image.tobytes() == result.image.tobytes()
    alone = cmsr.upscale(pair.target, ratio=4, preset="paper-plus", iterations_guide_free=2)
    assert [(arm["p"], arm["guide_p"]) for arm in alone.info["arms"]] == [(0.0, 0.0), (0.3, 0.3)]


@pytest.mark.parametrize("options", [{"steps": (2.0,)}, {"guide_p": 0.3}])
def test_what_auto_chooses_itself_is_not_given(options: dict) -> None:
    with pytest.raises(OptionError, match="--p auto"):
        Config.of("paper", p="auto", **options)
    with pytest.raises(OptionError, match="p is 'best'"):
        Config.of("paper", p="best")
