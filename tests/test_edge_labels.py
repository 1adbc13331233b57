"""Labels of both sides: hard steps come out hard, what does not fit is left as it was."""

import torch

from cmsr.operators.resampling import project, resampler
from cmsr.priors.edge_labels import EdgeLabels
from cmsr.priors.wedgelets import Wedgelets
from tests.conftest import smooth_field

LOW, HIGH = (32, 40), (128, 160)
CENTRE, RADIUS = (61.3, 84.7), 35.0
LEVELS = 0.2, 0.8
NONE, FULL = torch.zeros(HIGH), torch.ones(HIGH)


def depth() -> torch.Tensor:
    """How far each pixel lies within a disc, in pixels."""
    rows, cols = (torch.arange(n) + 0.5 for n in HIGH)
    return RADIUS - torch.hypot(rows[:, None] - CENTRE[0], cols[None] - CENTRE[1])


def disc() -> torch.Tensor:
    """A hard disc on a slope: no pixel lies between."""
    slope = 0.05 * torch.arange(HIGH[1]) / HIGH[1]
    return torch.where(depth() > 0, LEVELS[1], LEVELS[0]) + slope


def begun(truth: torch.Tensor, kernel: str = "box") -> tuple[EdgeLabels, torch.Tensor]:
    """The labels of a scene's measurement, and its image by straight steps."""
    reduce, enlarge = resampler(HIGH, LOW, kernel), resampler(LOW, HIGH, "bilinear")
    y, valid = reduce(truth), torch.ones(LOW)
    smooth = project(resampler(LOW, HIGH, "bicubic")(y), y, reduce, valid)
    x = project(Wedgelets(y, valid, reduce).expected(smooth, None), y, reduce, valid)
    return EdgeLabels(y, valid, reduce, enlarge, 4.0), x


def between(x: torch.Tensor) -> int:
    """How many pixels lie between both levels."""
    return int(((x > LEVELS[0] + 0.15) & (x < LEVELS[1] - 0.1)).sum())


def test_a_soft_step_becomes_a_hard_one_in_its_place() -> None:
    truth = disc()
    labels, before = begun(truth)
    after = labels.settled(before, None, NONE)
    assert (after - truth).square().mean() < 0.75 * (before - truth).square().mean()
    assert between(after) < 0.6 * between(before)
    assert (after - truth)[depth().abs() > 4].abs().max() < 0.03


def test_a_guide_that_shows_the_step_places_it_and_one_without_trust_has_no_say() -> None:
    truth = disc()
    labels, x = begun(truth)
    guide = torch.stack([truth, 1 - truth, 0.5 * FULL])
    free, guided = labels.settled(x, None, NONE), labels.settled(x, guide, FULL)
    assert (guided - truth).square().mean() < 0.5 * (free - truth).square().mean()
    assert torch.equal(labels.settled(x, guide.roll((9, 7), (-2, -1)), NONE), free)


def test_without_steps_nothing_changes() -> None:
    rows, cols = (torch.linspace(0, 1, n) for n in HIGH)
    waves = torch.from_numpy(smooth_field(HIGH, seed=3, finest=60.0)).float()
    for truth in (waves, 0.4 * rows[:, None] + 0.6 * cols, 0.4 * FULL):
        labels, x = begun(truth)
        assert (labels.settled(x, None, NONE) - x).abs().max() < 0.01


def test_labels_that_do_not_explain_the_measurement_are_not_taken() -> None:
    """What a box has measured no hard step explains under a kernel with negative weights."""
    low = HIGH[0] // 2, HIGH[1] // 2
    y, valid = resampler(HIGH, low, "box")(disc()), torch.ones(low)
    enlarge = resampler(low, HIGH, "bilinear")
    moved = []
    for kernel in ("box", "bicubic-plain"):
        reduce = resampler(HIGH, low, kernel)
        x = project(resampler(low, HIGH, "bicubic")(y), y, reduce, valid)
        settled = EdgeLabels(y, valid, reduce, enlarge, 2.0).settled(x, None, NONE)
        moved.append(float((settled - x).abs().max()))
    assert moved[0] > 0.05
    assert moved[1] == 0


def test_texture_that_only_the_guide_sees_stays_out() -> None:
    labels, x = begun(disc())
    stripes = (0.5 + 0.3 * torch.sin(torch.arange(HIGH[1]) * 2 * torch.pi / 5)).expand(HIGH)[None]
    change = labels.settled(x, stripes, FULL) - labels.settled(x, None, NONE)
    assert change[depth().abs() > 4].abs().max() < 0.02 * (LEVELS[1] - LEVELS[0])
