"""Rounded bodies described by signed distances.

Every solid lives in its own frame, x forward, y left, z up, metres, standing on z = 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tests.street.textures import Floats, sample, single

Point = tuple[float, float, float]
Cone = tuple[ArrayLike, ArrayLike, float, float, ArrayLike, float]
_WEAVE = ((0.6, -0.5), (-0.5, 0.8), (0.3, 0.9))


class Material(NamedTuple):
    """Look of n surface points: albedo and normals (n, 3), celsius and gloss (0..1) (n,)."""

    albedo: Floats
    normals: Floats
    celsius: Floats
    gloss: Floats


@dataclass(frozen=True)
class Solid(ABC):
    """A body placed in the street: position of its foot, heading in radians, bounding box."""

    foot: Point
    heading: float
    low: Point
    high: Point

    @abstractmethod
    def distance(self, points: Floats) -> Floats:
        """Return the distances (n,) of local points (n, 3) to the surface, negative inside."""

    @abstractmethod
    def material(self, points: Floats, normals: Floats, grain: Floats) -> Material:
        """Return the material of local surface points (n, 3); ``grain`` is a noise tile."""

    def to_local(self, vectors: Floats, *, origin: bool) -> Floats:
        """Rotate street vectors (n, 3) into the local frame; points also need the origin."""
        moved = vectors - single(self.foot) if origin else vectors
        return single(moved @ self._axes().T)

    def to_street(self, vectors: Floats) -> Floats:
        """Rotate local directions (n, 3) into the street frame."""
        return single(vectors @ self._axes())

    def _axes(self) -> Floats:
        cos, sin = np.cos(self.heading), np.sin(self.heading)
        return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]], np.float32)

    def normals(self, points: Floats) -> Floats:
        """Return unit outward normals (n, 3) at local surface points."""
        corners = single([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])
        slope = sum(corner * self.distance(points + 4e-3 * corner)[:, None] for corner in corners)
        return single(slope / np.linalg.norm(slope, axis=1, keepdims=True))

    def corners(self) -> Floats:
        """Return the street positions (8, 3) of the corners of the bounding box."""
        unit = single([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        low, high = single(self.low), single(self.high)
        return self.to_street(low + unit * (high - low)) + single(self.foot)

    def ball(self) -> tuple[Floats, float]:
        """Return the centre (3,) and the radius of a sphere around the bounding box."""
        corners = self.corners()
        return corners.mean(axis=0), float(np.linalg.norm(corners[7] - corners[0])) / 2

    def march(self, origin: Floats, ray: Floats, softness: float = 0.0) -> tuple[Floats, Floats]:
        """Follow rays to the surface.

        Parameters
        ----------
        origin, ray : float32 arrays (n, 3)
            Local start points and unit directions.
        softness : float
            Apparent radius of the light (radians) that the clearance is measured in.

        Returns
        -------
        travelled : float32 array (n,)
            Distance to the surface, infinite where the ray misses.
        clearance : float32 array (n,)
            Smallest distance to the body along the ray, in units of ``softness`` times the
            distance travelled.
        """
        travelled = np.full(len(ray), np.inf, np.float32)
        clearance = travelled.copy()
        with np.errstate(divide="ignore", invalid="ignore"):
            walls = (np.array([self.low, self.high], np.float32)[:, None] - origin) / ray
        near = np.maximum(walls.min(axis=0).max(axis=1), 0.0)
        far = walls.max(axis=0).min(axis=1)
        active = np.flatnonzero(near < far)
        t = near[active]
        for _ in range(60):
            gap = self.distance(origin[active] + t[:, None] * ray[active])
            if softness:
                share = gap / (softness * np.maximum(t, 0.05))
                clearance[active] = np.minimum(clearance[active], share)
            hit = gap < 2e-3
            travelled[active[hit]] = t[hit]
            t = t + np.maximum(0.85 * gap, 0.015 if softness else 1e-3)
            going = ~hit & (t < far[active])
            active, t = active[going], t[going]
            if not len(active):
                break
        return travelled, clearance


@dataclass(frozen=True)
class Limbs(Solid):
    """Round cones blended into one body.

    Attributes
    ----------
    starts, ends : float32 arrays (k, 3)
    radii : float32 array (k, 2)
        Radius at both ends.
    albedo : float32 array (k, 3)
    celsius : float32 array (k,)
    blend : float
        Radius in metres of the fillets between cones.
    fold : float
        Strength of the surface's mottling and wrinkles.
    """

    starts: Floats
    ends: Floats
    radii: Floats
    albedo: Floats
    celsius: Floats
    blend: float = 0.022
    fold: float = 0.08

    def _parts(self, points: Floats) -> Floats:
        """Return the distances (k, n) to every cone."""
        along = self.ends - self.starts
        length = np.maximum((along**2).sum(axis=1), 1e-8)[:, None]
        reach = along @ points.T - (self.starts * along).sum(axis=1)[:, None]
        share = np.clip(reach / length, 0, 1)
        offset = (points**2).sum(axis=1) + (self.starts**2).sum(axis=1)[:, None]
        offset += share * (share * length - 2 * reach) - 2 * (self.starts @ points.T)
        first, last = self.radii.T[..., None]
        distances = np.sqrt(np.maximum(offset, 0)) - first - share * (last - first)
        return single(distances)

    def distance(self, points: Floats) -> Floats:
        """See `Solid.distance`."""
        return smooth_min(self._parts(points), self.blend)

    def material(self, points: Floats, normals: Floats, grain: Floats) -> Material:
        """See `Solid.material`."""
        part = self._parts(points).argmin(axis=0)
        x, y, z = (points * 90).T
        mottle = sample(grain, z * 0.4 + x, y + 0.7 * x + 50 * part)
        albedo = self.albedo[part] * (1 + self.fold * mottle[:, None]).clip(0.4, 1.6)
        celsius = self.celsius[part] + np.float32(6 * self.fold) * mottle
        wrinkles = [sample(grain, 0.6 * z + a * x, y + b * x + 90 * part) for a, b in _WEAVE]
        normals = normals + np.float32(3.0 * self.fold) * np.stack(wrinkles, axis=1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return Material(albedo, normals, celsius, np.zeros(len(points), np.float32))


def limbs(
    foot: Point,
    heading: float,
    cones: list[Cone],
    *,
    blend: float = 0.022,
    fold: float = 0.08,
) -> Limbs:
    """Build a `Limbs` from rows of start, end, both radii, albedo and celsius."""
    starts, ends, first, last, albedo, celsius = (
        np.array(column, np.float32) for column in zip(*cones, strict=True)
    )
    radii = np.stack([first, last], axis=1)
    margin = radii.max(axis=1, keepdims=True) + 0.06
    low = np.minimum(starts, ends) - margin
    high = np.maximum(starts, ends) + margin
    box = (tuple(low.min(axis=0).tolist()), tuple(high.max(axis=0).tolist()))
    return Limbs(foot, heading, *box, starts, ends, radii, albedo, celsius, blend, fold)


def smooth_min(distances: Floats, radius: float) -> Floats:
    """Blend the rows of (k, n) distances into one minimum (n,) with fillets."""
    least = distances.min(axis=0)
    spread = np.exp((least - distances) / np.float32(radius)).sum(axis=0)
    return single(least - np.float32(radius) * np.log(spread))
