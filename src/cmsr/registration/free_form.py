"""Free-form deformation: displacements on a lattice of nodes, interpolated between them.

Coordinates and parameters follow the convention of `cmsr.registration.transforms`.
"""

from typing import Self

import torch.nn.functional as F
from torch import Tensor

from cmsr.registration.transforms import Size, check_parameters, half_sides


class FreeForm:
    """Smooth displacements given at the nodes of a lattice, cubically interpolated.

    Parameters
    ----------
    size : (height, width) of the image that is deformed.
    nodes : number of nodes along (x, y), at least 2 each; the outer ones lie on its border.

    Notes
    -----
    The parameters are the displacements of the nodes, first all of x, row by row, then all of y.
    Beyond the border the displacement is that of the nearest edge point.
    """

    def __init__(self, size: Size, nodes: tuple[int, int]) -> None:
        if min(nodes) < 2:
            raise ValueError(f"a free-form deformation needs 2 x 2 nodes or more, not {nodes}")
        self._extent = half_sides(size)
        self.nodes = nodes
        self.dim = 2 * nodes[0] * nodes[1]

    @classmethod
    def spaced(cls, size: Size, low: Size, distance: float) -> Self:
        """Return a warp of an image of ``size`` with nodes ``distance`` pixels of ``low`` apart."""
        rows, columns = (max(3, round(side / distance) + 1) for side in low)
        return cls(size, (columns, rows))

    def __call__(self, theta: Tensor, grid: Tensor) -> Tensor:
        """Displace a grid (N, H, W, 2) by the deformation of parameters ``theta``."""
        lattice = self.lattice(theta).to(grid).expand(len(grid), -1, -1, -1)
        moved = F.grid_sample(
            lattice, grid, mode="bicubic", padding_mode="border", align_corners=True
        )
        return grid + moved.permute(0, 2, 3, 1) / self._extent.to(grid)

    def lattice(self, theta: Tensor) -> Tensor:
        """Return the displacements as an image (1, 2, rows, columns) of the nodes."""
        check_parameters(theta, self.dim)
        columns, rows = self.nodes
        return theta.reshape(1, 2, rows, columns)

    def resampled(self, theta: Tensor, other: "FreeForm") -> Tensor:
        """Return the parameters with which another lattice of nodes deforms about alike."""
        columns, rows = other.nodes
        lattice = self.lattice(theta)
        return F.interpolate(lattice, (rows, columns), mode="bicubic", align_corners=True).flatten()

    def roughness(self, theta: Tensor) -> Tensor:
        """Mean over the nodes of the squared differences to their neighbours."""
        lattice = self.lattice(theta)
        along = lattice.diff(dim=2).square().sum() + lattice.diff(dim=3).square().sum()
        return along * 2 / self.dim
