"""Laws of the warps: identity, inverse, continuity, orientation, gradients, composition."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cmsr.registration.cpab import Cpab
from cmsr.registration.transforms import (
    CONTROLS,
    Affine,
    Size,
    ThinPlate,
    Warp,
    area_change,
    compose,
    compose_between,
    displacement,
    identity_grid,
    inside,
    sample,
)

SIZE = (60, 80)
HALF = max(SIZE) / 2  # pixels in one unit of a warp's parameters
WARPS: dict[str, Callable[[Size], Warp]] = {
    "affine": Affine,
    "cpab": Cpab,
    "cpab-3x2": lambda size: Cpab(size, (3, 2)),
    "plate": ThinPlate,
}
seeds = st.integers(min_value=0, max_value=10_000)
quick = settings(max_examples=10)


def grid_of(size: Size) -> Tensor:
    return identity_grid(size, dtype=torch.float64)


def random_theta(warp: Warp, seed: int, pixels: float = 3.0) -> Tensor:
    """Draw parameters (float64) that move the farthest pixel of SIZE by about ``pixels``."""
    theta = torch.randn(
        warp.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    far = displacement(warp(0.01 * theta, grid_of(SIZE)), SIZE).norm(dim=-1).max()
    return 0.01 * theta * (pixels / far)


def distance(a: Tensor, b: Tensor, size: Size = SIZE) -> float:
    """Largest distance between two grids, in pixels."""
    gap = (a - b) * torch.tensor((size[1] / 2, size[0] / 2), dtype=a.dtype)
    return gap.norm(dim=-1).max().item()


@pytest.mark.parametrize("name", WARPS)
@pytest.mark.parametrize("size", [(60, 80), (7, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zero_parameters_are_exactly_the_identity(name: str, size: Size, dtype: torch.dtype):
    warp = WARPS[name](size)
    grid = 1.5 * identity_grid(size, dtype=dtype)  # also beyond the image
    moved = warp(torch.zeros(warp.dim, dtype=dtype), grid)
    assert moved.dtype == dtype
    assert torch.equal(moved, grid)


@pytest.mark.parametrize("name", ["affine", "cpab", "cpab-3x2"])
@quick
@given(seed=seeds)
def test_opposite_parameters_invert_within_a_hundredth_of_a_pixel(name: str, seed: int):
    warp = WARPS[name](SIZE)
    theta, grid = random_theta(warp, seed), grid_of(SIZE)
    assert distance(warp(-theta, warp(theta, grid)), grid) < 0.01


@pytest.mark.parametrize("name", WARPS)
@quick
@given(seed=seeds)
def test_orientation_is_preserved(name: str, seed: int):
    warp = WARPS[name](SIZE)
    pixels = 2.0 if name.startswith("plate") else 6.0
    assert area_change(warp(random_theta(warp, seed, pixels), grid_of(SIZE))).min() > 0


@pytest.mark.parametrize("name", WARPS)
def test_gradients_match_finite_differences(name: str):
    warp = WARPS[name](SIZE)
    theta = random_theta(warp, 0).requires_grad_()
    points = torch.rand(12, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    points = (2.4 * points - 1.2).requires_grad_()
    assert torch.autograd.gradcheck(warp, (theta, points), eps=1e-7, atol=1e-5)


def test_affine_rotation_keeps_distances_on_a_wide_image():
    turn = torch.tensor([0, 0, math.radians(30), 0, 0, 0], dtype=torch.float64)
    moved = displacement(Affine(SIZE)(turn, grid_of(SIZE)), SIZE)[0]
    place = displacement(2 * grid_of(SIZE), SIZE)[0]  # pixels from the centre
    cosine, sine = math.cos(math.radians(30)), math.sin(math.radians(30))
    matrix = torch.tensor([[cosine, -sine], [sine, cosine]], dtype=torch.float64)
    assert torch.allclose(place + moved, place @ matrix.T)


def test_affine_shift_is_in_half_longer_sides():
    theta = torch.tensor([0.1, -0.2, 0, 0, 0, 0], dtype=torch.float64)
    moved = displacement(Affine(SIZE)(theta, grid_of(SIZE)), SIZE)
    assert torch.allclose(moved, torch.tensor([0.1 * HALF, -0.2 * HALF], dtype=torch.float64))


@given(theta=st.lists(st.floats(-0.6, 0.6), min_size=6, max_size=6))
def test_affine_parameters_and_matrix_are_each_others_inverse(theta: list[float]):
    affine, given_theta = Affine(SIZE), torch.tensor(theta, dtype=torch.float64)
    found = affine.parameters(affine.matrix(given_theta))
    assert torch.allclose(affine.matrix(found), affine.matrix(given_theta), atol=1e-10)
    assert torch.allclose(found, given_theta, atol=1e-6)


def test_affine_parameters_refuse_a_mirror():
    mirror = torch.tensor([[-1.0, 0, 0], [0, 1, 0]])
    with pytest.raises(ValueError, match="determinant -1"):
        Affine(SIZE).parameters(mirror)
    with pytest.raises(ValueError, match="180 degrees"):
        Affine(SIZE).parameters(torch.tensor([[-1.0, 0, 0], [0, -1, 0]]))


def velocity_of(vertices: Tensor, cells: tuple[int, int], size: Size, place: Tensor) -> Tensor:
    """Evaluate the field of vertex velocities at grid places (P, 2), from its definition.

    Along the ray from a cell's centre the field goes linearly from the centre's velocity to that
    of the cell's edge, which is linear between its two corners.
    """
    columns, rows = cells
    corners = vertices[: (rows + 1) * (columns + 1)].reshape(rows + 1, columns + 1, 2)
    centres = vertices[(rows + 1) * (columns + 1) :].reshape(rows, columns, 2)
    x, y = ((place.clamp(-1, 1) + 1) / 2 * torch.tensor(cells)).unbind(-1)
    column, row = x.long().clamp_max(columns - 1), y.long().clamp_max(rows - 1)
    local = torch.stack((x - column, y - row), dim=-1) * 2 - 1
    reach = local.abs().amax(dim=-1, keepdim=True)
    right, low = (((local / reach.clamp_min(1e-9)) + 1) / 2).split(1, dim=-1)
    edge = (
        (1 - right) * (1 - low) * corners[row, column]
        + right * (1 - low) * corners[row, column + 1]
        + (1 - right) * low * corners[row + 1, column]
        + right * low * corners[row + 1, column + 1]
    )
    velocity = (1 - reach) * centres[row, column] + reach * edge
    return velocity * max(size) / torch.tensor((size[1], size[0]))


@pytest.mark.parametrize("cells", [(1, 1), (4, 4), (3, 5)])
def test_cpab_agrees_with_fine_integration(cells: tuple[int, int]):
    warp = Cpab(SIZE, cells)
    theta = random_theta(warp, 3)
    start = 1.1 * grid_of(SIZE)[0, ::3, ::3].reshape(-1, 2)
    place, step = start, 1 / 200
    for _ in range(200):
        middle = place + step / 2 * velocity_of(theta.view(-1, 2), cells, SIZE, place)
        place = place + step * velocity_of(theta.view(-1, 2), cells, SIZE, middle)
    assert distance(warp(theta, start), place) < 0.02


def test_cpab_agrees_with_libcpab():
    """Golden values of libcpab 0.1.3 (PyPI), 4 x 4 cells, zero boundary, 50 solver steps.

    Its parameters were fitted to the same velocities at 2000 points, to 1e-15; its unit square
    is [-1, 1]^2 here.
    """
    warp = Cpab((64, 64))
    number = torch.arange(25, dtype=torch.float64)
    free = torch.zeros(5, 5, dtype=torch.bool)
    free[1:4, 1:4] = True
    theta = torch.zeros(warp.dim // 2, 2, dtype=torch.float64)
    theta[torch.cat((free.flatten(), torch.ones(16, dtype=torch.bool)))] = torch.stack(
        (0.1 * torch.sin(1.3 * number), 0.1 * torch.cos(2.1 * number)), dim=1
    )
    start = [
        [-0.74, -0.78],
        [-0.26, 0.04],
        [-0.02, -0.48],
        [0.22, 0.66],
        [0.48, -0.24],
        [0.8, 0.38],
    ]
    golden = [
        [-0.807156, -0.691976],
        [-0.341899, 0.099439],
        [0.072790, -0.529853],
        [0.166928, 0.615647],
        [0.518701, -0.285336],
        [0.831960, 0.353870],
    ]
    moved = warp(theta.flatten(), torch.tensor(start, dtype=torch.float64))
    assert torch.allclose(moved, torch.tensor(golden, dtype=torch.float64), atol=5e-5)


@quick
@given(seed=seeds)
def test_cpab_velocity_is_continuous_across_every_edge(seed: int):
    """Triangles that share an edge agree on it: so do those of the ring, inside and outside."""
    warp = Cpab(SIZE, (3, 2))
    theta = random_theta(warp, seed)
    steps = torch.linspace(-1.3, 1.3, 4001, dtype=torch.float64)
    for slope in (0.0, 0.4, -3.0):
        line = torch.stack((steps, slope * steps + 0.07), dim=-1)
        jump = (warp(theta, line) - line).diff(dim=0).norm(dim=-1)
        assert jump.max() < 20 * theta.norm() * (steps[1] - steps[0])


def test_cpab_refuses_no_cells():
    with pytest.raises(ValueError, match=r"not \(0, 4\)"):
        Cpab(SIZE, (0, 4))


def test_plate_moves_its_controls_by_its_parameters():
    warp = ThinPlate(SIZE)
    theta = random_theta(warp, 4)
    x, y = (torch.linspace(-1, 1, count, dtype=torch.float64) for count in CONTROLS)
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
    moved = (warp(theta, places) - places) * torch.tensor((SIZE[1], SIZE[0])) / max(SIZE)
    assert torch.allclose(moved, theta.view(-1, 2), atol=1e-9)


def test_plate_reproduces_affine_maps():
    affine, plate, grid = Affine(SIZE), ThinPlate(SIZE), grid_of(SIZE)
    theta = torch.tensor([0.05, -0.02, 0.1, 0.04, 0.02, -0.03], dtype=torch.float64)
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)
    places = torch.stack(torch.meshgrid(x, x, indexing="xy"), dim=-1).reshape(-1, 2)
    moved = (affine(theta, places) - places) * torch.tensor((SIZE[1], SIZE[0])) / max(SIZE)
    assert plate.dim == moved.numel()
    assert distance(plate(moved.flatten(), grid), affine(theta, grid)) < 1e-9


def test_composition_reads_the_first_stage_last():
    stages = [(make(SIZE), random_theta(make(SIZE), 7)) for make in (Affine, Cpab, ThinPlate)]
    (affine, a), (cpab, c), (plate, t) = stages
    grid = grid_of(SIZE)
    whole = compose(stages, grid)
    assert torch.equal(whole, affine(a, cpab(c, plate(t, grid))))
    assert torch.equal(compose([], grid), grid)


@pytest.mark.parametrize(("makes", "bound"), [((Affine,), 1e-4), ((Affine, Cpab, ThinPlate), 0.1)])
def test_composing_on_some_pixels_is_near_composing_on_all(
    makes: tuple[Callable[[Size], Warp], ...], bound: float
):
    """RMS in pixels; each warp moves a 320-px image by up to 12 px, each of its nodes by itself."""
    size = (240, 319)
    for seed in range(5):
        stages = [(make(size), random_theta(make(SIZE), seed)) for make in makes]
        near = displacement(compose_between(stages, size), size)
        gap = near - displacement(compose(stages, grid_of(size)), size)
        assert gap.norm(dim=-1).square().mean().sqrt() < bound


def test_composed_warp_of_a_smooth_image_equals_warping_twice():
    grid = grid_of(SIZE)
    image = torch.sin(3 * grid[..., 0]) * torch.cos(2 * grid[..., 1])
    stages = [(make(SIZE), random_theta(make(SIZE), 8)) for make in (Affine, Cpab)]
    once = sample(image[:, None], compose(stages, grid))
    twice = sample(sample(image[:, None], compose(stages[:1], grid)), compose(stages[1:], grid))
    assert (once - twice)[..., 6:-6, 6:-6].abs().max() < 2e-3


def test_sampling_at_the_identity_returns_the_image():
    image = torch.rand(1, 3, *SIZE, dtype=torch.float64)
    assert torch.allclose(sample(image, grid_of(SIZE)), image)


def test_sampling_refuses_positions_that_are_not_finite():
    grid = grid_of(SIZE).clone()
    grid[0, 3, 4, 0] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        sample(torch.rand(1, 3, *SIZE, dtype=torch.float64), grid)


def test_displacement_area_and_inside_of_a_known_map():
    grid = grid_of(SIZE)
    moved = 1.2 * grid + torch.tensor((0.1, 0.0))
    assert torch.allclose(displacement(moved, SIZE)[0, 29, 39], torch.tensor((3.9, -0.1)).double())
    assert torch.allclose(area_change(moved), torch.tensor(1.44).double())
    assert inside(grid).all()
    assert not inside(moved)[0, :, -1].any()


@pytest.mark.parametrize("name", WARPS)
def test_wrong_number_of_parameters_is_named(name: str):
    warp = WARPS[name](SIZE)
    with pytest.raises(ValueError, match=rf"{warp.dim} parameters, not a tensor of \(3,\)"):
        warp(torch.zeros(3), identity_grid(SIZE))


def test_empty_images_are_refused():
    with pytest.raises(ValueError, match=r"not \(0, 5\)"):
        Affine((0, 5))
