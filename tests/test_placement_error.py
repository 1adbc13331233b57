"""How far a guide may be off: nine of ten placements keep to it, and little tells little."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import cmsr
from cmsr.app.cli import main
from cmsr.io import image_files
from tests.conftest import render_pair

SHIFT = (3, -2)


def error_of(found: cmsr.Registered) -> float:
    """Median distance, in pixels of the guide, from where a guide moved by `SHIFT` lies."""
    away = found.displacement - np.array(SHIFT[::-1])
    return float(np.median(np.hypot(*away[8:-8, 8:-8].transpose(2, 0, 1))))


def moved(guide: np.ndarray) -> np.ndarray:
    return np.roll(guide, SHIFT, (0, 1))


def test_known_shifts_are_within_what_is_said() -> None:
    kept = []
    for seed in range(4):
        pair = render_pair((192, 192), (48, 48), seed=seed)
        found = cmsr.align(pair.target, moved(pair.guide), align="affine", kernel="box")
        said = found.info["alignment"]["expected_error"]
        kept.append(error_of(found) <= said)
        assert said < 12, "that is, three pixels of the target"
    assert sum(kept) >= 3


def test_a_guide_that_tells_less_may_be_further_off() -> None:
    pair = render_pair((192, 192), (48, 48), seed=1)
    noise = np.random.default_rng(0).normal(0, 60, pair.guide.shape)
    vague = gaussian_filter(pair.guide + noise, (6, 6, 0)).clip(0, 255).astype(np.uint8)
    sharp, blurred = (
        cmsr.align(pair.target, guide, align="off", kernel="box").info["alignment"][
            "expected_error"
        ]
        for guide in (pair.guide, vague)
    )
    assert blurred > 1.2 * sharp


def test_the_command_says_it_and_not_of_another_scene(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair, other = (render_pair((192, 192), (48, 48), seed=seed) for seed in (1, 9))
    for name, data in (("t.tif", pair.target), ("g.png", pair.guide), ("o.png", other.guide)):
        image_files.write(tmp_path / name, data)
    place = str(tmp_path / "placed.png")
    for guide, said in (("g.png", True), ("o.png", False)):
        files = [str(tmp_path / "t.tif"), str(tmp_path / guide), "-o", place]
        assert main(["align", *files, "--align", "affine", "--overwrite"]) == 0
        assert ("right within" in capsys.readouterr().out) == said
