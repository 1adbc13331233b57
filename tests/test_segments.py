"""Objects that move each by itself are found, and what the guide does not show is told."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import cmsr
from cmsr.cli import main
from cmsr.config import Config
from cmsr.degrade import resampler
from cmsr.errors import OptionError
from cmsr.files import io
from cmsr.report.segmented import segmented
from cmsr.segment_map import draw_segments
from cmsr.warps.alignment import Alignment
from cmsr.warps.matching import SIDE, matched, propagate
from cmsr.warps.piecewise import Segments
from cmsr.warps.superpixels import numbered, superpixels
from cmsr.warps.warp import Affine, displacement, identity_grid
from tests.conftest import smooth_field

SIZE = (192, 256)
MOVES = (0, 12, 20)
"""Pixels by which the background and two objects lie further right in the guide."""


class Layered:
    """A target and a guide from another viewpoint: a background, an ellipse and a rectangle."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[: SIZE[0], : SIZE[1]]
        pictures = []
        for layer in range(3):
            regions = np.digitize(
                smooth_field((SIZE[0], SIZE[1] + 40), 10 * seed + layer, finest=20),
                np.linspace(0.2, 0.8, 6),
            )
            heat = rng.permutation(np.linspace(0.1, 0.9, 8))[regions]
            pictures.append((heat, rng.uniform(20, 235, (8, 3))[regions]))

        def place(shifts: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            first, second = x - shifts[1], x - shifts[2]
            which = np.zeros(SIZE, int)
            which[((first - 77) / 44) ** 2 + ((y - 86) / 54) ** 2 < 1] = 1
            which[(abs(second - 184) < 33) & (abs(y - 106) < 58)] = 2
            at = x + 20 - np.array(shifts)[which]
            heat, colour = (
                np.choose(
                    which if part == 0 else which[..., None], [p[part][y, at] for p in pictures]
                )
                for part in (0, 1)
            )
            return heat, colour, which

        heat, _, self.here = place((0, 0, 0))
        _, colour, self.there = place(MOVES)
        noisy = colour + rng.normal(0, 2, colour.shape)
        self.guide = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        reduce = resampler(SIZE, (SIZE[0] // 4, SIZE[1] // 4))
        self.target = reduce(torch.from_numpy(heat).float())
        self.move = np.array(MOVES)[self.here]
        at = (x + self.move).clip(0, SIZE[1] - 1)
        self.visible = np.take_along_axis(self.there, at, 1) == self.here

    @property
    def photo(self) -> Tensor:
        return torch.from_numpy(self.guide).permute(2, 0, 1).float() / 255

    def error(self, grid: Tensor) -> np.ndarray:
        moved = displacement(grid, SIZE)[0].numpy()
        return np.hypot(moved[..., 0] - self.move, moved[..., 1])


@pytest.fixture(scope="module")
def layered() -> Layered:
    return Layered(0)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("given", [False, True])
def test_displacements_up_to_twenty_pixels_are_found(seed: int, given: bool) -> None:
    scene = Layered(seed)
    labels = torch.from_numpy(scene.there) if given else superpixels(scene.photo)
    motion = matched(scene.target, torch.ones_like(scene.target), scene.photo, labels, SIZE)
    assert motion is not None
    found = Alignment(SIZE, [motion])
    assert np.median(scene.error(found.grid())[scene.visible]) <= 1
    hidden, seen = ~scene.visible, found.seen().bool().numpy()
    assert hidden.sum() > 2000
    assert (~seen)[hidden].mean() >= 0.9
    assert seen[scene.visible].mean() > 0.7


def test_what_moves_alike_is_not_torn(layered: Layered) -> None:
    """Same viewpoint: nothing to tear, whatever the segments."""
    still = torch.from_numpy(layered.guide).permute(2, 0, 1).float() / 255
    target = resampler(SIZE, (48, 64))(still.mean(0))
    assert matched(target, torch.ones_like(target), still, superpixels(still), SIZE) is None


def test_a_segment_without_evidence_inherits_its_neighbours_displacement() -> None:
    evidence = torch.zeros(3, SIDE**2)
    evidence[0, 5] = evidence[2, 5] = 40
    chosen = propagate(evidence, SIDE, torch.tensor([[0, 1], [1, 2]]), torch.tensor([4.0, 4.0]))
    assert chosen.tolist() == [5, 5, 5]
    evidence[2, 200] = 90
    apart = propagate(evidence, SIDE, torch.tensor([[0, 1], [1, 2]]), torch.tensor([4.0, 1.0]))
    assert apart.tolist() == [5, 5, 200]


def test_one_segment_is_one_affine_map() -> None:
    theta = torch.tensor((0.05, -0.02, 0.03, 0.01, 0.0, 0.0))
    grid = identity_grid(SIZE)
    warp = Segments(SIZE, torch.zeros(20, 30, dtype=torch.int64))
    assert torch.equal(warp(theta, grid), Affine(SIZE)(theta, grid))
    assert warp.seen(theta, grid).all()
    with pytest.raises(ValueError, match="no inverse"):
        warp.inverse(theta, grid)


def test_labels_are_numbered_without_gaps() -> None:
    assert numbered(torch.tensor([[7, -2], [7, 300]])).tolist() == [[1, 0], [1, 2]]


def test_the_command_moves_objects(tmp_path: Path, layered: Layered) -> None:
    names = [
        str(tmp_path / name) for name in ("t.tif", "g.png", "s.png", "o.png", "f.npz", "m.png")
    ]
    target, guide, mask, out, field, shown = names
    io.write(Path(target), layered.target.numpy())
    io.write(Path(guide), layered.guide)
    io.write(Path(mask), layered.there.astype(np.uint8) * 40)
    options = ["--align", "segments", "--segments", mask, "--field", field, "--mask", shown]
    assert main(["align", target, guide, "-o", out, *options]) == 0
    moved = np.load(field)["displacement"][..., 0]
    assert np.median(np.abs(moved - layered.move)[layered.visible]) <= 1
    assert (io.read(Path(shown)).data[0] == 0)[~layered.visible].mean() >= 0.9


@pytest.mark.parametrize(
    ("mask", "complaint"),
    [
        (np.zeros((20, 30), np.uint8), "right"),
        (np.zeros((*SIZE, 3), np.uint8), "bands"),
        (np.full(SIZE, 0.5, np.float32), "whole numbers"),
    ],
)
def test_a_bad_mask_is_one_clear_line(
    tmp_path: Path,
    layered: Layered,
    mask: np.ndarray,
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target, guide, labels, out = (tmp_path / name for name in ("t.tif", "g.png", "s.tif", "o.tif"))
    io.write(target, layered.target.numpy())
    io.write(guide, layered.guide)
    io.write(labels, mask)
    command = ["upscale", str(target), str(guide), "-o", str(out), "--segments", str(labels)]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert complaint in said
    assert "s.tif" in said
    assert not out.exists()


def test_segments_without_effect_are_refused(layered: Layered) -> None:
    with pytest.raises(OptionError, match="align"):
        Config.of(segments="s.png", align="off")
    with pytest.raises(OptionError, match="whole guide"):
        Config.of("paper", align="segments")
    with pytest.raises(OptionError, match="guide only"):
        cmsr.upscale(layered.target.numpy(), ratio=4.0, segments="s.png")


def test_pictures_show_outlines_and_what_is_occluded(layered: Layered) -> None:
    """Every outline is black and white, wherever nothing is drawn the picture is as it was."""
    theta = torch.zeros(3, 6)
    theta[:, 0] = torch.tensor(MOVES) * 2 / max(SIZE)
    torn = Alignment(SIZE, [(Segments(SIZE, torch.from_numpy(layered.there)), theta.flatten())])
    ground = np.full((*SIZE, 3), 90, np.uint8)
    drawn = draw_segments(ground, torn)
    untouched = (drawn == ground).all(-1)
    assert (torn.seen().bool().numpy() & layered.visible & untouched).mean() > 0.4
    assert not untouched[~layered.visible].all()
    assert {0, 255} <= set(np.unique(drawn))
    assert np.array_equal(draw_segments(ground, Alignment(SIZE)), ground)
    assert segmented(Alignment(SIZE)) is None
    picture = segmented(torn)
    assert picture is not None
    assert picture.scale is not None
    assert picture.scale.low == pytest.approx(0, abs=0.1)
    assert picture.scale.high == pytest.approx(20, abs=0.1)
