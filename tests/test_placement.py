"""Photos that show another field than the target: found, placed by hand, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import map_coordinates

import cmsr
from cmsr.app.demo.scene import street
from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io import image_files, inputs
from cmsr.operators.resampling import resampler
from cmsr.prologue import opened
from cmsr.registration import coarse_search, coarse_to_fine, framing
from cmsr.registration.coarse_search import Registration
from cmsr.registration.cutouts import Cutouts
from cmsr.registration.framing import placed_on, thinned
from cmsr.registration.placement import Placement, Prior
from cmsr.registration.points import fitted, residual
from cmsr.registration.prominence import by_edges, by_values, prominence
from cmsr.registration.transforms import identity_grid, sample
from tests.conftest import render_pair

SIZE = 80, 96


def narrow(turn: float) -> tuple[np.ndarray, Placement]:
    """Return the street as a thermal camera of a narrower field sees it, and the truth."""
    scene = street()
    c, s = np.cos(np.radians(turn)) * 96, np.sin(np.radians(turn)) * 96
    place = Placement(SIZE, scene.truth.shape, ((c, -s, 260.0), (s, c, 190.0), (0.0, 0.0, 1.0)))
    fine = identity_grid((4 * SIZE[0], 4 * SIZE[1]))
    places = place.places(fine) * 2 / torch.tensor(scene.truth.shape[::-1]) - 1
    seen = sample(torch.tensor(scene.truth.astype(np.float32))[None, None], places.float())
    low = resampler((4 * SIZE[0], 4 * SIZE[1]), SIZE)(seen)[0, 0]
    return low.numpy(), place


def test_a_narrower_field_is_found() -> None:
    low, place = narrow(3.0)
    pair = opened(low, street().guide, Config())
    assert pair.placement is not None
    grid = identity_grid(SIZE)
    away = (pair.placement.places(grid) - place.places(grid)).norm(dim=-1)
    assert float(away.median()) / place.fineness[0] < 1.0
    assert pair.pair.shape == (2 * SIZE[0], 2 * SIZE[1])
    assert any("the photo shows 2.4 times the target's field" in note for note in pair.notes)


def test_the_same_field_stays_as_it_is() -> None:
    pair = opened(street().target, street().guide, Config())
    assert pair.placement is None
    assert pair.pair.shape == street().truth.shape


def test_the_same_field_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Registration] = []

    def searched(*images: torch.Tensor) -> Registration:
        found.append(coarse_search.search(*images))
        return found[-1]

    for user in (framing, coarse_to_fine):
        monkeypatch.setattr(user, "search", searched)
    record = cmsr.align(street().target, street().guide, align="affine").info["alignment"]
    assert len(found) == 1
    assert record["confidence"] == found[0].confidence


def test_another_scene_is_not_placed() -> None:
    low, _ = narrow(0.0)
    other = np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8)
    assert opened(low, other, Config()).placement is None


@pytest.mark.parametrize(
    ("options", "shape"), [({"ratio": 2}, (180, 240)), ({"size": (300, 200)}, (200, 300))]
)
@pytest.mark.parametrize("guided", [True, False])
def test_the_size_can_be_chosen(
    options: dict[str, object], shape: tuple[int, int], guided: bool
) -> None:
    guide = street().guide if guided else None
    config = Config(align="off" if guided else "auto", **options)  # type: ignore[arg-type]
    pair = opened(street().target, guide, config)
    assert pair.pair.shape == shape
    assert pair.guide is None or pair.guide.shape == shape


def test_a_photo_smaller_than_the_target_takes_part() -> None:
    result = cmsr.upscale(np.eye(32), np.eye(24), ratio=2, preset="fast")
    assert result.image.shape == (64, 64)


def test_a_size_below_the_target_is_refused() -> None:
    with pytest.raises(OptionError, match="smaller than the target"):
        opened(np.eye(32), None, Config(size=(16, 64)))


@pytest.mark.parametrize("count", [2, 3, 4, 6])
def test_points_settle_a_map(count: int) -> None:
    _, place = narrow(5.0)
    points = np.random.default_rng(1).uniform(5, 75, (count, 2))
    grid = torch.tensor(points * 2 / np.array(SIZE[::-1]) - 1)
    rows = np.concatenate([points, place.places(grid).numpy()], 1)
    found = fitted(rows, SIZE, place.photo)
    assert residual(found, rows) < 1e-6
    corners = identity_grid((2, 2), dtype=torch.float64)
    assert torch.allclose(found.places(corners), place.places(corners), atol=1e-4)


def test_points_in_a_file_place_the_photo(tmp_path: Path) -> None:
    low, place = narrow(3.0)
    rows = [(10.0, 10.0), (90.0, 15.0), (50.0, 70.0)]
    there = place.places(torch.tensor(rows) * 2 / torch.tensor(SIZE[::-1]) - 1).tolist()
    lines = [f"{x},{y},{u},{v}" for (x, y), (u, v) in zip(rows, there, strict=True)]
    file = tmp_path / "points.csv"
    file.write_text("\n".join(["target_x,target_y,photo_x,photo_y", *lines]))
    pair = opened(low, street().guide, Config(points=str(file), align="off"))
    assert pair.placement is not None
    assert any("3 points" in note for note in pair.notes)
    file.write_text("target_x,target_y,photo_x,photo_y\n1,2,3,4")
    with pytest.raises(InputError, match="do not determine a map"):
        opened(low, street().guide, Config(points=str(file)))


def test_align_tells_where_in_the_photo_each_pixel_lies() -> None:
    low, place = narrow(3.0)
    found = cmsr.align(low, street().guide)
    height, width = found.displacement.shape[:2]
    y, x = np.mgrid[:height, :width] + 0.5
    there = place.places(identity_grid((height, width)))[0].numpy()
    away = np.hypot(*(np.stack([x, y], -1) + found.displacement - there).transpose(2, 0, 1))
    assert np.median(away) / place.fineness[0] < 1.0


def test_a_photo_with_alpha_keeps_its_colours(tmp_path: Path) -> None:
    pair = render_pair((96, 128), (48, 64))
    alpha = np.full((96, 128, 1), 255, np.uint8)
    image_files.write(tmp_path / "t.tif", pair.target)
    image_files.write(tmp_path / "g.tif", pair.guide)
    Image.fromarray(np.concatenate([pair.guide, alpha], -1)).save(tmp_path / "a.png")
    images = [
        cmsr.upscale(tmp_path / "t.tif", tmp_path / name, ratio=3, preset="fast").image
        for name in ("g.tif", "a.png")
    ]
    np.testing.assert_array_equal(*images)


def test_a_wrong_focal_length_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    low, place = narrow(3.0)
    asked = []

    def searched(*args: object) -> Placement | None:
        asked.append(args[-1])
        return None if asked[-1] == wrong else place

    wrong = Prior(1.3, 0.1)
    monkeypatch.setattr(framing, "place", searched)
    monkeypatch.setattr(framing, "fields_in_files", lambda target, photo, sizes: [wrong])
    pair = opened(low, street().guide, Config())
    assert asked == [wrong, Prior()]
    assert pair.placement is not None


def test_a_thinned_photo_holds_the_means_of_its_blocks() -> None:
    photo = np.random.default_rng(2).integers(0, 255, (12, 18, 3)).astype(np.uint8)
    raster = inputs.read_guide(photo, Config())
    raster.valid[3, 4] = False
    thin = thinned(inputs.Photo.of(raster), 3).whole
    blocks = photo.reshape(4, 3, 6, 3, 3).mean((1, 3))
    np.testing.assert_array_equal(thin.data, np.rint(blocks).transpose(2, 0, 1))
    assert np.argwhere(~thin.valid).tolist() == [[1, 1]]


@pytest.mark.parametrize(("scale", "left"), [(20.0, 250.0), (48.0, 390.0), (48.0, 5.0)])
def test_the_part_that_is_read_is_as_the_whole_photos(scale: float, left: float) -> None:
    photo = np.random.default_rng(3).integers(0, 255, (300, 400, 3)).astype(np.uint8)
    rows = (scale, -5.0, left), (5.0, scale, 140.0), (0.0, 0.0, 1.0)
    found = Placement((64, 80), (300, 400), rows)
    made = placed_on(inputs.read_guide(photo, Config()), found, (64, 80)).data
    places = found.places(identity_grid((64, 80), dtype=torch.float64))[0].numpy()
    at = places[..., ::-1].transpose(2, 0, 1) - 0.5
    for band, whole in zip(made, photo.transpose(2, 0, 1), strict=True):
        read = map_coordinates(whole.astype(np.float64), at, order=3, mode="nearest")
        np.testing.assert_array_equal(band, np.rint(read.clip(0, 255)))


@pytest.mark.parametrize("aside", [0.0, 0.25])
def test_only_the_right_place_stands_out(aside: float) -> None:
    low, place = narrow(0.0)
    photo = torch.tensor(street().guide.astype(np.float32)).permute(2, 0, 1)
    frame = torch.tensor(place.matrix[:2], dtype=torch.float32)
    frame[0, 2] += aside * 2 * frame[0, 0]
    target = torch.tensor(low)
    cuts = Cutouts.of(target, torch.ones_like(target), photo, [frame], max(SIZE))
    scores = by_values(cuts, torch.zeros(7)), by_edges(cuts, torch.zeros(7))
    assert (min(scores) > 0.1) == (aside == 0)
    assert prominence(cuts, torch.zeros(7)) == pytest.approx(sum(scores))
