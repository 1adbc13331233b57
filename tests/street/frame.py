"""The camera and what every ray of it meets first.

Street frame: x along the houses, y towards them, z up, metres, the camera above (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tests.street.textures import Floats, single

EYE = np.array([0.0, 0.0, 1.6], np.float32)
SUPERSAMPLE = 2


@dataclass
class Frame:
    """Properties of the nearest surface along every ray, flat arrays of n rays.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the rays, supersampled and with a margin.
    centre, focal : float
        Row, column of the viewing direction; focal length; in rays.
    right, ahead : float32 arrays (3,)
        Camera axes; the vertical axis is z.
    rays : float32 array (n, 3)
        Directions whose component along ``ahead`` is 1.
    depth : float32 array (n,)
        Distance along ``ahead`` in metres, infinite in the sky.
    albedo, normal : float32 arrays (n, 3)
    celsius, gloss, unlit : float32 arrays (n,)
        Temperature; mirror share; share of ``albedo`` that is radiance already.
    """

    shape: tuple[int, int]
    centre: tuple[float, float]
    focal: float
    right: Floats
    ahead: Floats
    rays: Floats
    depth: Floats
    albedo: Floats
    normal: Floats
    celsius: Floats
    gloss: Floats
    unlit: Floats

    @classmethod
    def empty(cls, height: int, width: int, margin: int, yaw: float) -> Frame:
        """Aim a camera ``yaw`` radians to the right of the houses, verticals upright."""
        shape = ((height + 2 * margin) * SUPERSAMPLE, (width + 2 * margin) * SUPERSAMPLE)
        centre = ((0.63 * height + margin) * SUPERSAMPLE, shape[1] / 2)
        focal = 1.04 * height * SUPERSAMPLE
        right = np.array([np.cos(yaw), -np.sin(yaw), 0], np.float32)
        ahead = np.array([np.sin(yaw), np.cos(yaw), 0], np.float32)
        row, col = np.indices(shape, np.float32).reshape(2, -1, 1) + 0.5
        up = np.array([0, 0, 1], np.float32)
        rays = ahead + (col - centre[1]) / focal * right + (centre[0] - row) / focal * up
        n = len(rays)
        flat = [np.zeros(n, np.float32) for _ in range(3)]
        vectors = [np.zeros((n, 3), np.float32) for _ in range(2)]
        depth = np.full(n, np.inf, np.float32)
        rays = single(rays)
        return cls(shape, centre, focal, right, ahead, rays, depth, *vectors, *flat)

    def grid(self, values: Floats) -> Floats:
        """Reshape flat values to rows and columns."""
        return values.reshape(*self.shape, *values.shape[1:])

    def points(self, index: NDArray[np.intp]) -> Floats:
        """Return the street positions (k, 3) of the surfaces at some rays."""
        return single(EYE + self.depth[index, None] * self.rays[index])

    def put(
        self,
        index: NDArray[np.intp],
        depth: Floats,
        albedo: ArrayLike,
        normal: ArrayLike,
        celsius: ArrayLike,
        gloss: ArrayLike = 0.0,
        unlit: ArrayLike = 0.0,
    ) -> None:
        """Write a surface at the rays ``index``; later surfaces replace earlier ones."""
        self.depth[index] = depth
        self.albedo[index] = single(albedo)
        self.normal[index] = single(normal)
        self.celsius[index] = single(celsius)
        self.gloss[index] = single(gloss)
        self.unlit[index] = single(unlit)

    def project(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the row, column and depth, each (k,), of street points (k, 3)."""
        offset = points - EYE
        depth = offset @ self.ahead
        row = self.centre[0] - self.focal * offset[:, 2] / depth
        col = self.centre[1] + self.focal * (offset @ self.right) / depth
        return single(row), single(col), single(depth)

    def plane(self, point: ArrayLike, normal: ArrayLike) -> tuple[NDArray[np.intp], Floats]:
        """Return the rays that meet a plane before anything else, and their depths."""
        facing = self.rays @ single(normal)
        with np.errstate(divide="ignore"):
            depth = np.float32((np.asarray(point) - EYE) @ np.asarray(normal)) / facing
        index = np.flatnonzero((depth > 0.1) & (depth < np.minimum(self.depth, 90.0)))
        return index, depth[index]
