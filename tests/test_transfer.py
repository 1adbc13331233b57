"""What the method without a guide misses of the guide, and how far it goes over."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from cmsr.guided.channel import GUIDE_FREE, Channel, Level
from cmsr.guided.transfer import Fit, Lesson, brightness_of, transferred
from cmsr.operators.resampling import resampler
from cmsr.priors.linear_model import level_of
from tests.conftest import render_pair

HIGH, LOW, RATIO = (192, 256), (48, 64), 4.0


class Case(NamedTuple):
    """A target's channel, its image without a guide, and what a guide teaches."""

    channel: Channel
    free: Tensor
    lesson: Lesson

    @classmethod
    def of(cls, target: np.ndarray, guide: np.ndarray) -> Case:
        """Restore both; the guide is (H, W, G), 0 to 255."""
        channel = channel_of(torch.from_numpy(target).float())
        bright = brightness_of(torch.from_numpy(guide / 255).float().permute(2, 0, 1), RATIO)
        seen = channel_of(channel.reduce(bright))
        free = channel.denoised(channel.estimate(None), GUIDE_FREE(rounds=8))
        return cls(channel, free, Lesson.of(bright, channel, seen.level))

    @property
    def weight(self) -> float:
        """How far the guide's detail counts."""
        return Fit.of(self.free, self.lesson, RATIO).weight

    @property
    def detail(self) -> Tensor:
        """What goes over."""
        return transferred(self.free, self.lesson, self.channel)


def channel_of(y: Tensor) -> Channel:
    """A channel measured everywhere by the standard kernel."""
    reduce, enlarge = resampler(HIGH, LOW), resampler(LOW, HIGH, "bilinear")
    valid = torch.ones_like(y)
    return Channel(y, valid, reduce, enlarge, RATIO, 8, Level(*level_of(y, valid)))


def test_what_goes_over_sharpens_and_leaves_the_measurement_alone() -> None:
    scene = render_pair(HIGH, LOW)
    case = Case.of(scene.target, scene.guide)
    truth = torch.from_numpy(scene.truth).float()
    before, after = (
        float((x - truth).square().mean()) for x in (case.free, case.free + case.detail)
    )
    assert after < 0.9 * before
    assert float(case.channel.reduce(case.detail).abs().max()) < 1e-3


def test_a_guide_in_negative_teaches_the_same() -> None:
    scene = render_pair(HIGH, LOW)
    case, negative = (Case.of(scene.target, guide) for guide in (scene.guide, 255 - scene.guide))
    torch.testing.assert_close(case.detail, negative.detail, atol=1e-3, rtol=0)
    assert case.weight == pytest.approx(negative.weight, abs=1e-3)


def test_only_a_guide_whose_edges_lie_on_the_target_s_counts() -> None:
    scene, other = render_pair(HIGH, LOW), render_pair(HIGH, LOW, seed=5)
    assert Case.of(scene.target, scene.guide).weight > 0.9
    assert Case.of(scene.target, other.guide).weight < 0.1
    assert Case.of(scene.target, np.full_like(scene.guide, 99)).weight == 0
    assert Case.of(scene.target, np.roll(scene.guide, (12, 12), (0, 1))).weight < 0.1


@pytest.mark.parametrize("pattern", ["stripes", "checks"])
def test_texture_of_the_guide_stays_out_of_a_flat_object(pattern: str) -> None:
    scene = render_pair(HIGH, LOW)
    y, x = np.mgrid[: HIGH[0], : HIGH[1]]
    texture = np.sign(
        np.sin(x * 0.9) if pattern == "stripes" else np.sin(x * 0.7) * np.sin(y * 0.7)
    )
    distance = np.hypot(y - 96, x - 128)
    truth, guide = scene.truth.copy(), scene.guide.astype(float)
    truth[distance < 40] = 0.5
    guide[distance < 40] = 128 + 60 * texture[distance < 40][:, None]
    target = resampler(HIGH, LOW)(torch.from_numpy(truth).float()).numpy()
    added = Case.of(target, guide).detail.numpy()[distance < 28]
    shown = texture[distance < 28] - texture[distance < 28].mean()
    assert abs(added @ shown / (shown @ shown)) < 0.005 * 60 / 255
