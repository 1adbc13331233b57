"""What is said of a guide's part in a result."""

import numpy as np
import torch

import cmsr
from cmsr.guided.calibration import ChannelCalibration
from cmsr.guided.usage import GuideUsage
from cmsr.registration.alignment import Alignment
from tests.conftest import render_pair

CHANNEL = (ChannelCalibration(0.5, 0.2, gain=0.3, control=0.2),)


def used(*weights: float) -> GuideUsage:
    """Return the use of a guide with these weights, a row each."""
    usage = GuideUsage()
    for weight in weights:
        usage = usage.adding(torch.full((1, 10), weight))
    return usage


def test_a_guide_that_counts_for_nothing_is_said_with_its_numbers() -> None:
    text = used(0, 0).warning(Alignment((2, 10)), CHANNEL) or ""
    assert "counts for 0%" in text
    assert "0.3 dB better with it" in text
    assert "0.2 dB better when" in text


def test_a_guide_left_out_in_most_of_the_image_is_said() -> None:
    assert "not used in 75%" in (used(0, 0, 0, 0.9).warning(Alignment((4, 10)), CHANNEL) or "")
    assert used(0, 0.9, 0.9, 0.9).warning(Alignment((4, 10)), CHANNEL) is None


def test_another_scene_is_the_reason_and_is_said_once() -> None:
    refused = Alignment((1, 10), (), 0.02, ("another scene",), refused=True)
    assert used(0).warning(refused, CHANNEL) is None
    assert "another scene (confidence 0.02)" in used(0).facts(refused, CHANNEL)["reason"]


def test_the_record_tells_how_far_the_guide_was_used() -> None:
    pair = render_pair()
    found = cmsr.upscale(pair.target, pair.guide, align="off").info["guide_used"]
    assert found["weight"] > 0.5
    assert found["unused"] < 0.5
    assert cmsr.upscale(pair.target, ratio=2).info["guide_used"] is None
    noise = np.random.default_rng(0).random(pair.guide.shape[:2])
    nothing = cmsr.upscale(pair.target, noise, align="off").info
    assert nothing["guide_used"]["weight"] < 0.05
    assert any("counts for" in text for text in nothing["warnings"])
