"""Objects that move each by itself are found, and occlusions are flagged."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import cmsr
from cmsr.app.cli import main
from cmsr.app.report.segmented import segmented
from cmsr.config import Config
from cmsr.errors import OptionError
from cmsr.io import image_files
from cmsr.operators.resampling import resampler, shape_of
from cmsr.registration.alignment import Alignment
from cmsr.registration.belief_propagation import propagate
from cmsr.registration.free_form import FreeForm
from cmsr.registration.layer_refinement import fit_affine
from cmsr.registration.layered_motion import layered_motion
from cmsr.registration.matching import REACH, match_segments, worth_matching
from cmsr.registration.residual_field import masked, residual_field
from cmsr.registration.segment_map import draw_segments
from cmsr.registration.segments import Segments
from cmsr.registration.superpixels import numbered, superpixels
from cmsr.registration.transforms import Affine, Stages, compose, displacement, identity_grid
from cmsr.registration.view import View
from tests.conftest import smooth_field

SIZE = (192, 256)
SIDES = 2 * REACH + 1
MOVES = (0, 12, 20)
"""Pixels by which the background and two objects lie further right in the guide."""


STILL = np.zeros((2, 2))
BENDS = (STILL, np.array([[0.03, -0.07], [0.07, 0.03]]), np.array([[0.06, 0.04], [0.0, 0.0]]))
"""What is added to the identity for the background, an object that turns and one that slants."""

WAVE = 100
"""Length of the waves along which objects may swell, in pixels."""

CENTRES = ((0, 0), (77, 86), (184, 106))


class Layered:
    """A target and a guide from another viewpoint: a background, an ellipse and a rectangle.

    A place p of a layer lies at p + move + bend (p - centre) in the guide; places of the objects
    also along waves of some height, in pixels.
    """

    def __init__(
        self, seed: int, bends: tuple[np.ndarray, ...] = (STILL,) * 3, wave: float = 0.0
    ) -> None:
        rng = np.random.default_rng(seed)
        places = np.moveaxis(np.mgrid[: SIZE[0], : SIZE[1]][::-1], 0, -1).astype(float)  # x, y
        pictures = []
        for layer in range(3):
            regions = np.digitize(
                smooth_field((SIZE[0], SIZE[1] + 40), 10 * seed + layer, finest=20),
                np.linspace(0.2, 0.8, 6),
            )
            heat = rng.permutation(np.linspace(0.1, 0.9, 8))[regions]
            pictures.append((heat, rng.uniform(20, 235, (8, 3))[regions]))

        def shown(own: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            """Show what lies where each layer has its places (x, y) in the target's frame."""
            (x, y), (u, v) = (np.moveaxis(own[layer], -1, 0) for layer in (1, 2))
            which = np.zeros(SIZE, int)
            which[((x - 77) / 44) ** 2 + ((y - 86) / 54) ** 2 < 1] = 1
            which[(abs(u - 184) < 33) & (abs(v - 106) < 58)] = 2
            heat, colour = np.zeros(SIZE), np.zeros((*SIZE, 3))
            for layer, (part, paint) in enumerate(pictures):
                col, row = np.rint(own[layer][which == layer]).astype(int).T
                at = row.clip(0, SIZE[0] - 1), (col + 20).clip(0, SIZE[1] + 39)
                heat[which == layer], colour[which == layer] = part[at], paint[at]
            return heat, colour, which

        heat, _, self.here = shown([places] * 3)
        maps = [
            (np.eye(2) + bend, np.array(centre), np.array((move, 0)))
            for bend, centre, move in zip(bends, CENTRES, MOVES, strict=True)
        ]

        def swell(p: np.ndarray, layer: int) -> np.ndarray:
            turn = 2 * np.pi * p / WAVE
            return wave * (layer > 0) * np.stack((np.sin(turn[..., 1]), np.cos(turn[..., 0])), -1)

        inverse = []
        for layer, (a, c, m) in enumerate(maps):
            own = (places - c - m) @ np.linalg.inv(a).T + c
            for _ in range(30 if wave else 0):
                own = own - 0.8 * ((own - c) @ a.T + c + m + swell(own, layer) - places)
            inverse.append(own)
        _, colour, self.there = shown(inverse)
        noisy = colour + rng.normal(0, 2, colour.shape)
        self.guide = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        reduce = resampler(SIZE, (SIZE[0] // 4, SIZE[1] // 4))
        self.target = reduce(torch.from_numpy(heat).float())
        moved = np.stack(
            [
                (places - c) @ a.T + c + m + swell(places, layer)
                for layer, (a, c, m) in enumerate(maps)
            ]
        )
        guided = np.take_along_axis(moved, self.here[None, ..., None], 0)[0]
        self.move = guided - places
        at = np.rint(guided).astype(int).clip(0, np.array(SIZE[::-1]) - 1)
        self.visible = self.there[at[..., 1], at[..., 0]] == self.here

    @property
    def photo(self) -> Tensor:
        return torch.from_numpy(self.guide).permute(2, 0, 1).float() / 255

    def error(self, grid: Tensor) -> np.ndarray:
        return self.off(displacement(grid, SIZE)[0].numpy())

    def off(self, field: np.ndarray) -> np.ndarray:
        return np.hypot(*np.moveaxis(field - self.move, -1, 0))


def moves(
    scene: Layered,
    labels: Tensor | None = None,
    misfit: Callable[[Stages], Tensor] | None = None,
) -> Stages:
    """Find the moves of superpixels or given labels; without a misfit, unconfirmed ones too."""
    whole = torch.ones_like(scene.target)

    def segmented(count: int) -> Tensor:
        return superpixels(scene.photo, count) if labels is None else labels

    return layered_motion(
        scene.target,
        whole,
        scene.photo,
        segmented,
        SIZE,
        misfit or (lambda _: whole),
        forced=misfit is None,
    )


@pytest.fixture(scope="module")
def layered() -> Layered:
    return Layered(0)


@pytest.mark.parametrize(("seed", "masked"), [(0, False), (1, False), (0, True)])
def test_displacements_up_to_twenty_pixels_are_found(seed: int, masked: bool) -> None:
    scene = Layered(seed)
    found = Alignment(SIZE, moves(scene, torch.from_numpy(scene.there) if masked else None))
    assert np.median(scene.error(found.grid())[scene.visible]) <= 1
    occluded, seen = ~scene.visible, found.seen().bool().numpy()
    assert occluded.sum() > 2000
    assert (~seen)[occluded].mean() >= 0.9
    assert seen[scene.visible].mean() > 0.7


@pytest.mark.parametrize("how", ["auto", "segments"])
def test_objects_that_turn_and_slant_are_followed(how: str) -> None:
    """Displacements alone would leave several pixels at their ends."""
    scene = Layered(4, BENDS)
    found = cmsr.align(scene.target.numpy(), scene.guide, align=how)
    off = scene.off(found.displacement)
    for layer in range(3):
        assert np.median(off[scene.visible & (scene.here == layer)]) <= 0.5
    assert (~found.valid)[~scene.visible].mean() >= 0.9
    (stage,) = (s for s in found.info["alignment"]["stages"] if s["warp"] == "segments")
    linear = np.array(stage["parameters"]).reshape(-1, Affine.dim)[:, 2:]
    assert {True, False} == set(linear.any(1).tolist())


def test_a_segment_that_held_out_pixels_do_not_confirm_inherits() -> None:
    scene = Layered(0)
    low = shape_of(scene.target)
    labels = torch.from_numpy(scene.there)

    def misfit(stages: Stages) -> Tensor:
        """Good for the first object, bad for the second."""
        moved = displacement(compose(stages, identity_grid(low)), SIZE)[0, ..., 0]
        here = torch.from_numpy(scene.here)[2::4, 2::4]
        return torch.where(here == 1, (moved - MOVES[1]).abs(), moved.abs()) + 1

    field = displacement(compose(moves(scene, labels, misfit), identity_grid(SIZE)), SIZE)
    across = field[0, ..., 0].numpy()
    medians = [np.median(across[scene.visible & (scene.here == layer)]) for layer in range(3)]
    assert medians == pytest.approx([0, MOVES[1], 0], abs=0.3)
    assert not moves(scene, labels, lambda _: torch.ones(low))


def test_the_precheck_tells_whether_anything_moves_by_itself(layered: Layered) -> None:
    whole = torch.ones_like(layered.target)
    assert worth_matching(layered.target, whole, layered.photo)
    still = resampler(SIZE, (48, 64))(layered.photo.mean(0))
    assert not worth_matching(still, whole, layered.photo)


def test_what_moves_alike_stays_one_layer(layered: Layered) -> None:
    """Same viewpoint: one layer, whatever the segments."""
    still = torch.from_numpy(layered.guide).permute(2, 0, 1).float() / 255
    target = resampler(SIZE, (48, 64))(still.mean(0))
    assert match_segments(target, torch.ones_like(target), still, superpixels(still)) is None


def test_a_segment_without_evidence_inherits_its_neighbours_displacement() -> None:
    evidence = torch.zeros(3, SIDES**2)
    evidence[0, 5] = evidence[2, 5] = 40
    square = evidence.reshape(3, SIDES, SIDES)
    chosen = propagate(square, torch.tensor([[0, 1], [1, 2]]), torch.tensor([4.0, 4.0]))
    assert chosen.tolist() == [5, 5, 5]
    evidence[2, 200] = 90
    apart = propagate(square, torch.tensor([[0, 1], [1, 2]]), torch.tensor([4.0, 1.0]))
    assert apart.tolist() == [5, 5, 200]


def test_one_segment_is_one_affine_map() -> None:
    theta = torch.tensor((0.05, -0.02, 0.03, 0.01, 0.0, 0.0))
    grid = identity_grid(SIZE)
    warp = Segments(SIZE, torch.zeros(20, 30, dtype=torch.int64))
    assert torch.equal(warp(theta, grid), Affine(SIZE)(theta, grid))
    assert warp.seen(theta, grid).all()


def halves(move: float) -> tuple[Segments, Tensor]:
    """Two segments side by side, of which the right one moves by some pixels."""
    labels = (torch.arange(256) >= 128).long().expand(SIZE)
    theta = torch.zeros(2, Affine.dim)
    theta[1, 0] = move * 2 / max(SIZE)
    return Segments(SIZE, labels), theta.flatten()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16), spread=st.floats(0, 0.05))
def test_weights_of_segments_sum_to_one(seed: int, spread: float) -> None:
    """Whatever the maps; and so segments of one map move as one."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (6, 8), generator=generator).repeat_interleave(8, 0)
    warp = Segments((96, 128), labels.repeat_interleave(8, 1))
    theta = spread * torch.randn(warp.dim, generator=generator)
    grid = identity_grid((24, 32))
    weights = warp.weights(theta, grid)
    assert (weights >= 0).all()
    assert torch.allclose(weights.sum(0), torch.ones(1, 24, 32))
    one = theta[: Affine.dim]
    assert torch.allclose(warp(one.repeat(warp.count), grid), Affine((96, 128))(one, grid))


def test_borders_are_soft_between_what_moves_alike_and_hard_where_it_does_not() -> None:
    grid = identity_grid(SIZE)
    warp, theta = halves(0.8)
    alike = displacement(warp(theta, grid), SIZE)[0, 96, :, 0]
    assert alike[100] == 0
    assert alike[156] == pytest.approx(0.8, abs=1e-4)
    assert (alike.diff() > -1e-4).all()
    assert alike.diff().max() < 0.2
    assert warp.seen(theta, grid).all()
    warp, theta = halves(12)
    apart = displacement(warp(theta, grid), SIZE)[0, 96, :, 0]
    assert ((apart.abs() < 1e-4) | ((apart - 12).abs() < 1e-4)).all()
    assert not warp.seen(theta, grid)[0, 96, 116:128].any()


def test_a_smooth_field_that_no_affine_map_holds_is_found() -> None:
    """Two objects swell and shrink by 2.5 px along waves; displacements leave 1.8 px of it."""
    scene = Layered(3, wave=2.5)
    labels = torch.from_numpy(2 - scene.there)
    theta = torch.zeros(3, Affine.dim)
    theta[:, 0] = torch.tensor(MOVES[::-1]) * 2 / max(SIZE)
    warp = Segments(SIZE, labels)
    view = View.of(scene.target, scene.photo, None, longer=128, finer=2)
    field, bends = residual_field(view, SIZE, warp, theta.flatten())
    grid = identity_grid(SIZE)
    before = scene.error(warp(theta.flatten(), grid))
    after = scene.error(warp(theta.flatten(), field(bends, grid)))
    objects = scene.visible & (scene.here > 0)
    assert np.median(before[objects]) > 1.7
    assert np.median(after[objects]) < 0.8
    assert np.median(after[scene.visible & (scene.here == 0)]) < 0.3


def test_the_smooth_field_is_kept_only_where_it_helps() -> None:
    field = FreeForm(SIZE, (9, 7))
    owner = (torch.arange(64) >= 32).long().expand(48, 64)
    left = masked(field, torch.ones(field.dim), owner == 0)
    moved = displacement(field(left, identity_grid(SIZE)), SIZE)[0]
    assert (moved[:, :80] > 100).all()
    assert (moved[:, 176:].abs() < 1e-4).all()


def test_pieces_of_one_map_propose_it() -> None:
    labels = (torch.arange(256) // 64).expand(SIZE)
    own = torch.tensor((0.05, -0.02, 0.06, 0.01, 0.02, -0.01))
    assert torch.allclose(fit_affine(labels, [1, 3], own.repeat(4, 1)), own, atol=1e-5)


def test_labels_are_numbered_without_gaps() -> None:
    assert numbered(torch.tensor([[7, -2], [7, 300]])).tolist() == [[1, 0], [1, 2]]


def test_the_command_moves_objects(tmp_path: Path, layered: Layered) -> None:
    names = [
        str(tmp_path / name) for name in ("t.tif", "g.png", "s.png", "o.png", "f.npz", "m.png")
    ]
    target, guide, mask, out, field, shown = names
    image_files.write(Path(target), layered.target.numpy())
    image_files.write(Path(guide), layered.guide)
    image_files.write(Path(mask), layered.there.astype(np.uint8) * 40)
    options = ["--align", "segments", "--segments", mask, "--field", field, "--mask", shown]
    assert main(["align", target, guide, "-o", out, *options]) == 0
    moved = np.load(field)["displacement"]
    assert np.median(layered.off(moved)[layered.visible]) <= 1
    assert (image_files.read(Path(shown)).data[0] == 0)[~layered.visible].mean() >= 0.9


@pytest.mark.parametrize(
    ("mask", "complaint"),
    [
        (np.zeros((20, 30), np.uint8), "expected"),
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
    image_files.write(target, layered.target.numpy())
    image_files.write(guide, layered.guide)
    image_files.write(labels, mask)
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
    with pytest.raises(OptionError, match="require --preset default or fast"):
        Config.of("paper", align="segments")
    with pytest.raises(OptionError, match="--segments requires a guide"):
        cmsr.upscale(layered.target.numpy(), ratio=4.0, segments="s.png")


def test_pictures_show_outlines_and_what_is_occluded(layered: Layered) -> None:
    """Every outline is black and white, wherever nothing is drawn the picture is as it was."""
    theta = torch.zeros(3, 6)
    theta[:, 0] = torch.tensor(MOVES) * 2 / max(SIZE)
    layers = Alignment(SIZE, [(Segments(SIZE, torch.from_numpy(layered.there)), theta.flatten())])
    ground = np.full((*SIZE, 3), 90, np.uint8)
    drawn = draw_segments(ground, layers)
    untouched = (drawn == ground).all(-1)
    assert (layers.seen().bool().numpy() & layered.visible & untouched).mean() > 0.4
    assert not untouched[~layered.visible].all()
    assert {0, 255} <= set(np.unique(drawn))
    assert np.array_equal(draw_segments(ground, Alignment(SIZE)), ground)
    assert segmented(Alignment(SIZE)) is None
    picture = segmented(layers)
    assert picture is not None
    assert picture.scale is not None
    assert picture.scale.low == pytest.approx(0, abs=0.1)
    assert picture.scale.high == pytest.approx(20, abs=0.1)
