"""Smooth warps of the plane: affine, CPAB and thin-plate spline, as maps of sampling grids.

One coordinate convention holds for every public function. A *grid* is a tensor (N, H, W, 2) of
positions (x, y) as `torch.nn.functional.grid_sample` takes them with ``align_corners=False``: -1
and +1 are the outer edges of the image, so the centre of pixel ``i`` of ``n`` lies at
``(2 i + 1) / n - 1``. A grid says where each output pixel reads its value.

Every warp maps grids to grids and is given the ``size`` (height, width) of the image that it
deforms. Its parameters are lengths in units of half the longer side of that image, the same along
both axes: a rotation is a true rotation whatever the aspect ratio, and parameters fitted at one
resolution hold at any other. All parameters zero is exactly the identity.

Constants follow the dtype and the device of the grid; everything is differentiable in the
parameters and in the grid.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]

KNOTS = 4
"""Pixels between the places where `compose_between` computes warps: four times quicker to train."""

CONTROLS = (5, 5)
"""Control points of a thin-plate spline along (x, y); by eye."""


class Warp(Protocol):
    """A family of warps of one image, indexed by ``dim`` parameters."""

    dim: int

    def __call__(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Map a grid (..., 2) by the warp of parameters ``theta`` (dim,)."""


Motion = tuple[Warp, Tensor]
"""A warp and its parameters."""

Stages = Sequence[Motion]


class Affine:
    """Orientation-preserving affine maps, the exponentials of six-parameter generators.

    Parameters
    ----------
    size : (height, width) of the image that is deformed.

    Notes
    -----
    The parameters are (shift x, shift y, rotation, log-scale, strain, shear): the position moves
    along the velocity field ``v(p) = M p + shift`` with
    ``M = [[s + e, k - r], [r + k, s - e]]`` for unit time, hence ``-theta`` is the exact inverse.
    Rotation is in radians, from x towards y (clockwise on screen).
    """

    dim = 6

    def __init__(self, size: Size) -> None:
        self.extent = half_sides(size)

    def __call__(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Map a grid (..., 2) by the affine map of parameters ``theta`` (6,).

        With parameters (N, 6), map a grid (1 or N, H, W, 2) by each.
        """
        step = self.matrix(theta).to(grid) - torch.eye(2, 3).to(grid)
        if theta.ndim > 1:
            step = step[:, None, None]
        extent = self.extent.to(grid)
        moved = torch.einsum("...ij,...j->...i", step[..., :2], grid * extent) + step[..., 2]
        return grid + moved / extent

    def matrix(self, theta: Tensor) -> Tensor:
        """Return the map as a matrix (..., 2, 3) that acts on (x, y, 1), in half longer sides."""
        check_parameters(theta[(0,) * (theta.ndim - 1)], self.dim)
        shift_x, shift_y, turn, scale, strain, shear = theta.unbind(-1)
        row_x = torch.stack((scale + strain, shear - turn, shift_x), -1)
        row_y = torch.stack((turn + shear, scale - strain, shift_y), -1)
        return exponential(torch.stack((row_x, row_y), -2))

    def parameters(self, matrix: Tensor) -> Tensor:
        """Return the parameters (6,) of a matrix (2, 3), as `matrix` gives them.

        Raises
        ------
        ValueError
            If the matrix mirrors or collapses the plane, or turns it by 180 degrees.
        """
        linear = matrix[:, :2]
        area = torch.linalg.det(linear)
        if area <= 0:
            raise ValueError(f"the affine map has determinant {area.item():.3g}; must be positive")
        root = linear / area.sqrt()
        generator = _unimodular_logarithm(root) + 0.5 * area.log() * torch.eye(2).to(matrix)
        # exp([[M, I], [0, 0]]) holds the integral of exp(t M), which takes velocity to shift.
        blocks = torch.zeros(4, 4).to(matrix)
        blocks[:2, :2], blocks[:2, 2:] = generator, torch.eye(2)
        integral = torch.linalg.matrix_exp(blocks)[:2, 2:]
        shift = torch.linalg.solve(integral, matrix[:, 2])
        (a, b), (c, d) = generator
        return torch.stack((*shift, (c - b) / 2, (a + d) / 2, (a - d) / 2, (b + c) / 2))


class ThinPlate:
    """Thin-plate splines: the smoothest displacement through given ones on a control grid.

    Parameters
    ----------
    size : (height, width) of the image that is deformed.

    Notes
    -----
    The parameters are the displacements of `CONTROLS` points, row by row, (x, y) of each; the outer
    ones lie on the border of the image.

    References
    ----------
    Bookstein, "Principal Warps: Thin-Plate Splines and the Decomposition of Deformations",
    PAMI 1989.
    """

    def __init__(self, size: Size) -> None:
        self._extent = half_sides(size)
        self._controls = lattice(CONTROLS) * self._extent
        count = len(self._controls)
        self.dim = 2 * count
        system = torch.zeros(count + 3, count + 3, dtype=torch.float64)
        system[:count] = _plate_features(self._controls, self._controls)
        system[count:, :count] = system[:count, count:].T
        self._weights: Tensor = torch.linalg.inv(system)[:, :count]

    def __call__(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Displace a grid (..., 2) by the spline of parameters ``theta``."""
        check_parameters(theta, self.dim)
        extent = self._extent.to(grid)
        features = _plate_features(grid * extent, self._controls.to(grid))
        weights = self._weights.to(grid) @ theta.to(grid).reshape(-1, 2)
        return grid + features @ weights / extent


def identity_grid(
    size: Size, *, dtype: torch.dtype = torch.float32, device: torch.device | None = None
) -> Tensor:
    """Return the grid (1, H, W, 2) of the pixel centres of an image of ``size`` (H, W)."""
    x, y = (
        (2 * torch.arange(count, dtype=dtype, device=device) + 1) / count - 1
        for count in (size[1], size[0])
    )
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None]


def compose(stages: Stages, grid: Tensor) -> Tensor:
    """Compose the grid for an image that is warped by the first stage, then the second, and so on.

    Warping an image by A and the result by B reads the image at A(B(grid)): the last stage acts
    on the grid first, and the image is interpolated once.
    """
    for warp, theta in reversed(stages):
        grid = warp(theta, grid)
    return grid


def compose_between(stages: Stages, size: Size) -> Tensor:
    """Compose smooth warps on every `KNOTS` pixels of an image of ``size``, linear between them.

    For the search for warps: many times quicker, exact for affine ones, and for others within some
    hundredths of a pixel, or tenths at the creases of a rough CPAB warp.
    """
    rows, columns = (max(2, round((side - 1) / KNOTS) + 1) for side in size)
    outermost = torch.tensor([1 - 1 / size[1], 1 - 1 / size[0]]).to(stages[0][1])
    knots = (lattice((columns, rows)).to(outermost) * outermost).reshape(1, rows, columns, 2)
    moved = compose(stages, knots).permute(0, 3, 1, 2)
    grid: Tensor = F.interpolate(moved, size, mode="bilinear", align_corners=True)
    return grid.permute(0, 2, 3, 1)


def sample(image: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """Read an image (N, C, h, w) at a grid (N, H, W, 2); the border goes on outside.

    Raises
    ------
    ValueError
        If a position is not finite (some backends of grid_sample crash on those).
    """
    if not torch.isfinite(grid).all():
        raise ValueError("the sampling grid holds positions that are not finite")
    return F.grid_sample(image, grid, mode=mode, padding_mode="border", align_corners=False)


def inside(grid: Tensor) -> Tensor:
    """Mask (N, H, W) of the grid positions that lie on the image."""
    return (grid.abs() <= 1).all(dim=-1)


def displacement(grid: Tensor, size: Size) -> Tensor:
    """Displacement of each position of a grid (N, H, W, 2), in pixels of an image of ``size``."""
    identity = identity_grid((grid.shape[1], grid.shape[2]), dtype=grid.dtype, device=grid.device)
    return (grid - identity) * grid.new_tensor((size[1] / 2, size[0] / 2))


def area_change(grid: Tensor) -> Tensor:
    """Signed area (N, H - 1, W - 1) of each mesh of a grid relative to the identity's.

    1 is unchanged; the warp folds where the value is not positive.
    """
    down = grid[:, 1:] - grid[:, :-1]
    right = grid[:, :, 1:] - grid[:, :, :-1]
    down, right = (down[:, :, 1:] + down[:, :, :-1]) / 2, (right[:, 1:] + right[:, :-1]) / 2
    area = right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]
    return area * (grid.shape[1] * grid.shape[2] / 4)


def half_sides(size: Size) -> Tensor:
    """Half the sides (x, y) of an image, the longer one being 1."""
    if min(size) < 1:
        raise ValueError(f"the size of an image must be positive, not {size}")
    height, width = size
    return torch.tensor((width, height), dtype=torch.float64) / max(size)


def check_parameters(theta: Tensor, dim: int) -> None:
    """Raise ValueError unless ``theta`` has the shape (dim,)."""
    if theta.shape != (dim,):
        raise ValueError(f"the warp has {dim} parameters, not a tensor of {tuple(theta.shape)}")


def exponential(generators: Tensor) -> Tensor:
    """Integrate affine velocities (..., 2, 3) for unit time into affine maps (..., 2, 3)."""
    maps: Tensor = torch.linalg.matrix_exp(F.pad(generators, (0, 0, 0, 1)))
    return maps[..., :2, :]


def _unimodular_logarithm(matrix: Tensor) -> Tensor:
    """Logarithm of a matrix (2, 2) of determinant 1, by the theorem of Cayley and Hamilton."""
    cosine = matrix.trace() / 2
    if cosine <= -1:
        raise ValueError("the affine map turns by 180 degrees or mirrors both axes")
    if cosine < 1:
        angle = torch.acos(cosine)
        factor = 1 / torch.sinc(angle / torch.pi)
    else:
        angle = torch.acosh(cosine)
        factor = angle / torch.sinh(angle) if angle > 0 else torch.ones_like(angle)
    return factor * (matrix - cosine * torch.eye(2).to(matrix))


def lattice(counts: tuple[int, int]) -> Tensor:
    """Evenly spaced points (counts[1] * counts[0], 2) of [-1, 1]^2, row by row, ends included."""
    x, y = (torch.linspace(-1, 1, count, dtype=torch.float64) for count in counts)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)


def _plate_features(point: Tensor, controls: Tensor) -> Tensor:
    """Evaluate the spline's functions (..., K + 3): r^2 log r^2 of each control, then 1, x, y."""
    square = point.square().sum(-1, keepdim=True) - 2 * point @ controls.T
    square = (square + controls.square().sum(-1)).clamp_min(1e-12)
    return torch.cat((square * square.log(), torch.ones_like(point[..., :1]), point), dim=-1)
