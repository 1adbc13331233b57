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


class Warp(Protocol):
    """A family of warps of one image, indexed by ``dim`` parameters."""

    dim: int

    def __call__(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Map a grid (..., 2) by the warp of parameters ``theta`` (dim,)."""

    def inverse(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Map a grid (..., 2) by the inverse of the warp of parameters ``theta``."""


Stages = Sequence[tuple[Warp, Tensor]]


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
        self.extent = _extent(size)

    def __call__(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Map a grid (..., 2) by the affine map of parameters ``theta`` (6,)."""
        step = self.matrix(theta).to(grid) - torch.eye(2, 3).to(grid)
        extent = self.extent.to(grid)
        return grid + ((grid * extent) @ step[:, :2].T + step[:, 2]) / extent

    def inverse(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Map a grid by the inverse map, exactly."""
        return self(-theta, grid)

    def matrix(self, theta: Tensor) -> Tensor:
        """Return the map as a matrix (2, 3) that acts on (x, y, 1), in half longer sides."""
        _check_parameters(theta, self.dim)
        shift_x, shift_y, turn, scale, strain, shear = theta
        row_x = torch.stack((scale + strain, shear - turn, shift_x))
        row_y = torch.stack((turn + shear, scale - strain, shift_y))
        return _exponential(torch.stack((row_x, row_y)))

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


class Cpab:
    """Diffeomorphisms that integrate continuous piecewise-affine velocity fields (CPAB).

    The image is tessellated into ``cells`` rectangles, each cut by its diagonals into four
    triangles. A velocity field that is affine on every triangle and continuous is fixed by its
    values at the vertices, which are the parameters: first the rectangles' corners, row by row,
    then their centres, (x, y) of each; constraints leave a null space of them, spanned by an
    orthonormal basis. Outside the image the velocity is that of the nearest edge point.

    Parameters
    ----------
    size : (height, width) of the image that is deformed.
    cells : number of rectangles along (x, y).
    fixed_border : keep the border of the image, and all beyond, in place.
    volume_preserving : keep areas; the field is then free of divergence inside the image.
    steps : number of integration steps, each an exact flow within one triangle.

    Notes
    -----
    Within a triangle the flow is affine, and a step follows the flow of the triangle that holds
    its midpoint: exact unless the step crosses an edge, and then off by a quarter of the square
    of the step. With 8 steps, displacements of up to 12 px of a 320-px image are exact to
    0.02 px, and ``-theta`` inverts ``theta`` to 0.01 px.

    References
    ----------
    Freifeld, Hauberg, Batmanghelich, Fisher, "Transformations Based on Continuous
    Piecewise-Affine Velocity Fields", PAMI 2017, sections 3 to 5.
    """

    def __init__(
        self,
        size: Size,
        cells: tuple[int, int] = (4, 4),
        *,
        fixed_border: bool = False,
        volume_preserving: bool = False,
        steps: int = 8,
    ) -> None:
        if min(cells) < 1 or steps < 1:
            raise ValueError(f"cells and steps must be at least 1, not {cells} and {steps}")
        self._extent = _extent(size)
        self._cells = cells
        self._steps = steps
        self._pieces = _pieces_of_vertices(self._extent, cells)
        self._basis = _velocity_basis(self._pieces, cells, fixed_border, volume_preserving)
        self.dim = self._basis.shape[1]
        if self.dim == 0:
            raise ValueError(f"no velocity field on {cells} cells meets the constraints")

    def __call__(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Map a grid (..., 2) along the velocity field of parameters ``theta`` for unit time."""
        extent = self._extent.to(grid)
        start = (grid * extent).reshape(-1, 2).T.contiguous()
        flow = _exponential(self.velocity_pieces(theta) / self._steps)
        flow = flow.permute(1, 2, 0).flatten(0, 1).to(grid)
        with torch.no_grad():
            half = (_apply(flow, self._triangle(start), start) - start) / 2
        point = start
        for _ in range(self._steps):
            moved = _apply(flow, self._triangle(point.detach() + half), point)
            half, point = (moved - point).detach() / 2, moved
        return grid + (point - start).T.reshape(grid.shape) / extent

    def inverse(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Map a grid by the inverse warp: the flow of the opposite velocity."""
        return self(-theta, grid)

    def velocity_pieces(self, theta: Tensor) -> Tensor:
        """Return the velocity on each triangle as a matrix (triangles, 2, 3) for (x, y, 1)."""
        _check_parameters(theta, self.dim)
        vertices = (self._basis.to(theta) @ theta).reshape(-1, 2)
        pieces: Tensor = self._pieces.to(theta) @ vertices
        return pieces.transpose(1, 2)

    def _triangle(self, point: Tensor) -> Tensor:
        """Index (P,) of the triangle that holds each point (2, P)."""
        columns, rows = self._cells
        width, height = (2 * self._extent).tolist()
        x = point[0] * (columns / width) + (columns / 2 + 1)
        y = point[1] * (rows / height) + (rows / 2 + 1)
        column, row = x.floor().clamp(0, columns + 1), y.floor().clamp(0, rows + 1)
        x, y = x - column - 0.5, y - row - 0.5
        side: Tensor = 2 * (y >= x) + (x + y >= 0)
        index: Tensor = (row * (columns + 2) + column) * 4 + side
        return index.to(torch.int64)


class ThinPlate:
    """Thin-plate splines: the smoothest displacement through given ones on a control grid.

    Parameters
    ----------
    size : (height, width) of the image that is deformed.
    controls : number of control points along (x, y), at least 2 each; the outer ones lie on the
        border of the image.

    Notes
    -----
    The parameters are the displacements of the control points, row by row, (x, y) of each.

    References
    ----------
    Bookstein, "Principal Warps: Thin-Plate Splines and the Decomposition of Deformations",
    PAMI 1989.
    """

    def __init__(self, size: Size, controls: tuple[int, int] = (5, 5)) -> None:
        if min(controls) < 2:
            raise ValueError(f"a thin-plate spline needs 2 x 2 controls or more, not {controls}")
        self._extent = _extent(size)
        self._controls = _lattice(controls) * self._extent
        count = len(self._controls)
        self.dim = 2 * count
        system = torch.zeros(count + 3, count + 3, dtype=torch.float64)
        system[:count] = _plate_features(self._controls, self._controls)
        system[count:, :count] = system[:count, count:].T
        self._weights: Tensor = torch.linalg.inv(system)[:, :count]

    def __call__(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Displace a grid (..., 2) by the spline of parameters ``theta``."""
        return self.displace(theta, grid, self.basis(grid))

    def basis(self, grid: Tensor) -> Tensor:
        """Influence (..., controls) of each control on each grid position, for `displace`."""
        point = grid * self._extent.to(grid)
        return _plate_features(point, self._controls.to(grid)) @ self._weights.to(grid)

    def displace(self, theta: Tensor, grid: Tensor, basis: Tensor) -> Tensor:
        """Displace a grid whose `basis` is at hand: for a grid that is warped many times."""
        _check_parameters(theta, self.dim)
        return grid + (basis @ theta.to(grid).reshape(-1, 2)) / self._extent.to(grid)

    def inverse(self, theta: Tensor, grid: Tensor, *, iterations: int = 50) -> Tensor:
        """Map a grid by the inverse warp, by fixed-point iteration, without gradients.

        Raises
        ------
        ValueError
            If the iteration leaves more than 1e-4 of half the longer side: the warp folds or
            nearly does.
        """
        source = grid.detach()
        with torch.no_grad():
            for _ in range(iterations):
                source = source + (grid - self(theta, source))
            left = (grid - self(theta, source)).abs().max()
        if not left <= 1e-4:
            raise ValueError(f"the thin-plate warp has no inverse here (residual {left:.2g})")
        return source


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
    """Make one grid for an image that is warped by the first stage, then the second, and so on.

    Warping an image by A and the result by B reads the image at A(B(grid)): the last stage acts
    on the grid first, and the image is interpolated once.
    """
    for warp, theta in reversed(stages):
        grid = warp(theta, grid)
    return grid


def compose_inverse(stages: Stages, grid: Tensor) -> Tensor:
    """Undo `compose`: where in the output each position of the image goes."""
    for warp, theta in stages:
        grid = warp.inverse(theta, grid)
    return grid


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
    """How far a grid (N, H, W, 2) moves each position, in pixels of an image of ``size``."""
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


def _extent(size: Size) -> Tensor:
    """Half the sides (x, y) of an image, the longer one being 1."""
    if min(size) < 1:
        raise ValueError(f"the size of an image must be positive, not {size}")
    height, width = size
    return torch.tensor((width, height), dtype=torch.float64) / max(size)


def _check_parameters(theta: Tensor, dim: int) -> None:
    if theta.shape != (dim,):
        raise ValueError(f"the warp has {dim} parameters, not a tensor of {tuple(theta.shape)}")


def _exponential(generators: Tensor) -> Tensor:
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


def _apply(maps: Tensor, index: Tensor, point: Tensor) -> Tensor:
    """Move each point (2, P) by the affine map of its index (P,) among ``maps`` (6, K)."""
    from_x, from_y, shift = maps.index_select(1, index).reshape(2, 3, -1).unbind(1)
    x, y = point
    return torch.addcmul(torch.addcmul(shift, from_x, x), from_y, y)


def _lattice(counts: tuple[int, int]) -> Tensor:
    """Evenly spaced points (counts[1] * counts[0], 2) of [-1, 1]^2, row by row, ends included."""
    x, y = (torch.linspace(-1, 1, count, dtype=torch.float64) for count in counts)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)


def _plate_features(point: Tensor, controls: Tensor) -> Tensor:
    """Evaluate the spline's functions (..., K + 3): r^2 log r^2 of each control, then 1, x, y."""
    square = point.square().sum(-1, keepdim=True) - 2 * point @ controls.T
    square = (square + controls.square().sum(-1)).clamp_min(1e-12)
    return torch.cat((square * square.log(), torch.ones_like(point[..., :1]), point), dim=-1)


def _pieces_of_vertices(extent: Tensor, cells: tuple[int, int]) -> Tensor:
    """Linear map (triangles, 3, vertices) from values at vertices to (x, y, 1) coefficients.

    A ring of cells around the image repeats the values of its border, so that the field goes on
    to the whole plane without change across the border.
    """
    columns, rows = cells
    corner_count, centre_count = (rows + 1) * (columns + 1), rows * columns
    values = torch.eye(corner_count + centre_count, dtype=torch.float64)
    inner = values[:corner_count].reshape(rows + 1, columns + 1, -1)
    ring_rows = torch.arange(-1, rows + 2).clamp(0, rows)
    ring_columns = torch.arange(-1, columns + 2).clamp(0, columns)
    corners = inner[ring_rows][:, ring_columns]
    centres = _cell_means(corners)
    centres[1:-1, 1:-1] = values[corner_count:].reshape(rows, columns, -1)

    pitch = 2 / torch.tensor(cells, dtype=torch.float64)
    places = _lattice((columns + 3, rows + 3)) * (1 + pitch) * extent
    places = F.pad(places, (0, 1), value=1.0).reshape(rows + 3, columns + 3, 3)
    pieces: Tensor = torch.linalg.solve(_fans(places, _cell_means(places)), _fans(corners, centres))
    return pieces


def _cell_means(corners: Tensor) -> Tensor:
    """Mean (rows, columns, K) of the four corners (rows + 1, columns + 1, K) of each cell."""
    pairs = corners[:-1] + corners[1:]
    return (pairs[:, :-1] + pairs[:, 1:]) / 4


def _fans(corners: Tensor, centres: Tensor) -> Tensor:
    """Values (triangles, 3, K) at the vertices of the top, right, left, bottom of each cell."""
    top_left, top_right = corners[:-1, :-1], corners[:-1, 1:]
    low_left, low_right = corners[1:, :-1], corners[1:, 1:]
    edges = ((top_left, top_right), (top_right, low_right), (top_left, low_left),
             (low_left, low_right))  # fmt: skip
    triangles = [torch.stack((start, end, centres), dim=2) for start, end in edges]
    return torch.stack(triangles, dim=2).flatten(0, 2)


def _velocity_basis(
    pieces: Tensor, cells: tuple[int, int], fixed_border: bool, volume_preserving: bool
) -> Tensor:
    """Orthonormal basis (2 * vertices, dim) of the vertex velocities that meet the constraints."""
    columns, rows = cells
    free = torch.ones(pieces.shape[2], dtype=torch.bool)
    if fixed_border:
        free[: (rows + 1) * (columns + 1)] = False
        free[: (rows + 1) * (columns + 1)].view(rows + 1, columns + 1)[1:-1, 1:-1] = True
    basis = torch.eye(2 * len(free), dtype=torch.float64)[:, free.repeat_interleave(2)]
    if not volume_preserving:
        return basis
    divergence = torch.stack((pieces[:, 0], pieces[:, 1]), dim=-1)
    divergence = divergence.reshape(rows + 2, columns + 2, 4, -1)[1:-1, 1:-1].flatten(0, 2)
    _, strengths, modes = torch.linalg.svd(divergence @ basis)
    rank = int((strengths > 1e-9 * strengths[0]).sum())
    null: Tensor = modes[rank:].T
    return basis @ null
