"""The coarse search finds known maps across modalities, and knows when there is none."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.io import image_files
from cmsr.registration.coarse_search import Registration, search
from cmsr.registration.optimisation import climb
from cmsr.registration.similarity import similarity
from cmsr.registration.transforms import Affine, Size, compose, displacement, identity_grid, sample

SIZE = (192, 256)


def scene(seed: int, size: Size = SIZE) -> tuple[Tensor, Tensor]:
    """Draw a target (h/4, w/4) and a guide (3, H, W) of overlapping discs.

    Each disc has its own temperature and its own colour; the guide has a texture besides that
    the target does not see.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    heat, colour = np.zeros(size), np.zeros((3, *size))
    for _ in range(25):
        middle = rng.uniform(0, size)
        inside = np.hypot(y - middle[0], x - middle[1]) < rng.uniform(8, 40)
        heat[inside] = rng.uniform()
        colour[:, inside] = rng.uniform(size=(3, 1))
    colour += 0.1 * np.sin(x * rng.uniform(0.5, 1) + y * rng.uniform(0.5, 1))
    target = F.avg_pool2d(torch.tensor(heat, dtype=torch.float32)[None], 4)[0]
    return target, torch.tensor(colour, dtype=torch.float32)


def random_map(seed: int, size: Size) -> Tensor:
    """Draw affine parameters: shift to 15 %, rotation to 10 degrees, scale 0.8 to 1.25."""
    rng = np.random.default_rng(seed)
    shift = rng.uniform(-0.15, 0.15, 2) * (size[1], size[0]) * 2 / max(size)
    turn = math.radians(rng.uniform(-10, 10))
    grow = math.exp(rng.uniform(-1, 1) * math.log(1.25))
    cosine, sine = grow * math.cos(turn), grow * math.sin(turn)
    matrix = torch.tensor([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])
    return Affine(size).parameters(matrix.double()).float()


def moved(guide: Tensor, theta: Tensor) -> Tensor:
    size = (guide.shape[1], guide.shape[2])
    return sample(guide[None], Affine(size)(theta, identity_grid(size)))[0]


def residual(found: Registration, theta: Tensor, size: Size) -> float:
    """Median distance, in guide pixels, from where a guide moved by theta should be read."""
    affine = Affine(size)
    grid = compose([(affine, theta), (affine, found.affine.cpu())], identity_grid(size))
    return displacement(grid, size).norm(dim=-1).median().item()


@pytest.mark.parametrize("seed", range(4))
def test_known_maps_are_found_from_far_away(seed: int):
    target, guide = scene(seed)
    theta = random_map(seed, SIZE)
    found = search(target, moved(guide, theta))
    assert residual(found, theta, SIZE) <= 1.0
    assert found.confidence > 0.9


def test_aligned_pairs_come_back_exactly_as_identity():
    found = search(*scene(1))
    assert torch.equal(found.affine, torch.zeros(6))
    assert found.confidence > 0.9


@pytest.mark.parametrize("seed", range(4))
def test_another_scene_is_not_recognised(seed: int):
    target, _ = scene(seed)
    _, guide = scene(seed + 100)
    assert search(target, guide).confidence < 0.5


def test_units_and_contrast_of_the_target_do_not_matter():
    target, guide = scene(2)
    guide = moved(guide, random_map(5, SIZE))
    plain, inverted = search(target, guide), search(40_000 - 3_000 * target, 255 * guide)
    assert torch.allclose(plain.affine, inverted.affine, atol=1e-3)
    assert plain.confidence == pytest.approx(inverted.confidence, abs=1e-2)


def test_search_is_deterministic():
    target, guide = scene(3)
    first, second = search(target, guide), search(target, guide)
    assert torch.equal(first.affine, second.affine)
    assert first.confidence == second.confidence


def test_size_of_the_guide_hardly_matters():
    target, guide = scene(4)
    guide = moved(guide, random_map(6, SIZE))
    large = F.interpolate(guide[None], scale_factor=2.5, mode="bicubic")[0]
    small, big = search(target, guide).affine, search(target, large).affine
    grids = [Affine(SIZE)(theta, identity_grid(SIZE)) for theta in (small, big)]
    assert displacement(identity_grid(SIZE) + grids[1] - grids[0], SIZE).norm(dim=-1).max() < 1


def test_invalid_pixels_are_ignored():
    target, guide = scene(0)
    theta = random_map(0, SIZE)
    guide = moved(guide, theta)
    target[10:20, 5:25] = torch.nan
    found = search(target, guide, torch.isfinite(target))
    assert residual(found, theta, SIZE) <= 1.0
    assert found.confidence > 0.9


@pytest.mark.parametrize("empty", ["target", "guide", "both"])
def test_featureless_images_leave_everything_in_place(empty: str):
    target, guide = scene(0)
    target = torch.full_like(target, 3) if empty in ("target", "both") else target
    guide = torch.zeros_like(guide) if empty in ("guide", "both") else guide
    found = search(target, guide)
    assert torch.equal(found.affine, torch.zeros(6))
    assert found.confidence < 0.1


def test_tiny_images_are_refused():
    with pytest.raises(ValueError, match=r"not \(5, 9\) for the target and \(192, 256\)"):
        search(torch.rand(5, 9), torch.rand(3, *SIZE))


def test_similarity_is_large_for_linear_functions_and_nothing_for_noise():
    guide = torch.randn(3, 40, 50, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(40, 50, generator=torch.Generator().manual_seed(1))
    everywhere = torch.ones(40, 50)
    mixture = 0.5 * guide[0] - 0.6 * guide[1] + 0.6 * guide[2]
    assert similarity(mixture, guide, everywhere) > 3
    assert similarity(noise, guide, everywhere) < 0.1
    assert similarity(torch.zeros(40, 50), guide, everywhere) == 0
    assert similarity(mixture, guide, torch.zeros(40, 50)) == 0


def test_similarity_ignores_what_has_no_weight():
    guide = torch.randn(3, 40, 50, generator=torch.Generator().manual_seed(0))
    target, weight = guide[0].clone(), torch.ones(40, 50)
    target[10:14, 20:30] = 50
    weight[10:14, 20:30] = 0
    assert similarity(target, guide, weight) > 3


def test_climbs_reach_the_tops_of_skew_hills_each_by_itself():
    tops = torch.tensor([[0.08, -0.05, 0.02], [0.0, 0.0, 0.0], [-0.03, 0.1, 0.05]])
    skew = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 8.0]])

    def heights(points: Tensor, rows: Tensor, tops: Tensor = tops) -> Tensor:
        away = points - tops[rows]
        return 1 - torch.einsum("ni,ij,nj->n", away, skew, away)

    points, values = climb(heights, torch.zeros(3, 3))
    assert torch.allclose(points, tops, atol=1e-2)
    assert torch.allclose(values, torch.ones(3), atol=1e-3)
    for n, top in enumerate(tops):
        alone, _ = climb(lambda at, row, top=top: heights(at, row, top[None]), torch.zeros(1, 3))
        assert torch.allclose(alone[0], points[n], atol=1e-6)


def test_similarity_takes_stacks():
    random = torch.Generator().manual_seed(1)
    guides, targets = (
        torch.randn(4, 3, 30, 40, generator=random),
        torch.randn(4, 30, 40, generator=random),
    )
    weights = (torch.rand(4, 30, 40, generator=random) > 0.1).float()
    targets = targets / 5 + guides[:, 0]
    stacked = similarity(targets, guides, weights)
    single = torch.stack([similarity(*each) for each in zip(targets, guides, weights, strict=True)])
    assert torch.allclose(stacked, single, atol=1e-5)
    thetas = torch.randn(4, 6, generator=random) * 0.05
    grid = identity_grid((30, 40))
    moved = Affine((30, 40))(thetas, grid)
    assert torch.allclose(
        moved, torch.cat([Affine((30, 40))(theta, grid) for theta in thetas]), atol=1e-6
    )


RealPairs = Callable[[str], Iterator[dict[str, str]]]


def load(data: Path, row: dict[str, str]) -> tuple[Tensor, Tensor]:
    """Read a pair as (h, w) and (3, H, W)."""
    target, guide = (
        torch.from_numpy(image_files.read(data / row[key]).data.astype(np.float32))
        for key in ("target", "guide")
    )
    return target[0], guide[:3]


def test_known_maps_of_near_infrared_pairs_are_found(data: Path, real_pairs: RealPairs):
    for seed, row in enumerate(real_pairs("epfl_nir")):
        target, guide = load(data, row)
        size = (guide.shape[1], guide.shape[2])
        theta = random_map(seed, size)
        found = search(target, moved(guide, theta))
        assert residual(found, theta, size) <= 1.1  # indoor_0027's own photo is off by 0.95 px
        assert found.confidence > 0.99


def test_thermal_pairs_are_recognised_among_others(data: Path, real_pairs: RealPairs):
    pairs = [load(data, row) for row in real_pairs("ulb17_thermal")][:8:2]
    guides = [guide for _, guide in pairs]
    strangers = guides[1:] + guides[:1]
    own = [search(*pair).confidence for pair in pairs]
    other = [
        search(target, guide).confidence
        for (target, _), guide in zip(pairs, strangers, strict=True)
    ]
    assert min(own) > 0.5
    assert max(other) < 0.5


def test_a_turned_depth_map_is_turned_back(data: Path, real_pairs: RealPairs):
    row = next(row for row in real_pairs("art_depth") if row["name"] == "rotated")
    found = search(*load(data, row))
    assert math.degrees(found.affine[2].item()) == pytest.approx(-1.95, abs=0.2)
