"""A parked hatchback."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tests.street.solids import Material, Point, Solid, smooth_min
from tests.street.textures import Floats, sample, single


def _planes(rows: list[tuple[tuple[float, float, float], tuple[float, float, float]]]) -> Floats:
    """Turn (point, outward normal) rows into half-space coefficients (k, 4)."""
    out = []
    for point, normal in rows:
        unit = np.array(normal) / np.linalg.norm(normal)
        out.append([*unit, -unit @ np.array(point)])
    return np.array(out, np.float32)


_HULL = _planes(
    [
        ((0, 0, 0.20), (0, 0, -1)),
        ((0, 0.86, 0.55), (0, 1, 0.10)),
        ((0, 0.86, 0.45), (0, 1, -0.2)),
        ((2.08, 0, 0.45), (1, 0, 0.05)),
        ((2.02, 0, 0.70), (1, 0, 0.8)),
        ((1.95, 0.62, 0.5), (1, 0.75, 0)),
        ((1.6, 0, 0.86), (0.16, 0, 1)),
        ((1.2, 0.80, 0.86), (0.1, 0.7, 1)),
        ((2.0, 0.0, 0.3), (1, 0, -0.6)),
        ((-2.08, 0, 0.7), (-1, 0, 0.04)),
        ((-1.98, 0.70, 0.6), (-1, 0.8, 0)),
        ((0, 0, 0.99), (-0.02, 0, 1)),
        ((-2.0, 0, 0.3), (-1, 0, -0.5)),
        ((0, 0.80, 0.93), (0, 0.8, 1)),
    ]
)
_CABIN = _planes(
    [
        ((1.02, 0, 0.92), (0.53, 0, 0.85)),
        ((0.2, 0, 1.42), (0.16, 0, 1)),
        ((-0.7, 0, 1.455), (-0.03, 0, 1)),
        ((-1.5, 0, 1.41), (-0.25, 0, 1)),
        ((-2.02, 0, 0.95), (-0.87, 0, 0.42)),
        ((0, 0.79, 0.92), (0, 1, 0.36)),
        ((0, 0, 0.9), (0, 0, -1)),
        ((0, 0.62, 1.40), (0, 0.6, 1)),
    ]
)
_AXLES = (1.28, -1.27)
_MIRROR, _MIRROR_SIZE = single([0.72, 0.93, 1.0]), single([0.07, 0.12, 0.08])
_Detail = tuple[NDArray[np.bool_], ArrayLike, float, float]


@dataclass(frozen=True)
class Car(Solid):
    """A parked hatchback; with a hot engine its bonnet and wheels glow.

    Attributes
    ----------
    paint : tuple of float
        Linear RGB.
    engine : float
        Kelvin above the ambient temperature.
    """

    paint: Point
    engine: float

    def _wheels(self, points: Floats) -> Floats:
        """Return (2, n): distance from the nearest axle and from the wheels' middle plane."""
        x, y, z = points.T
        radial = np.minimum(*(np.hypot(x - axle, z - 0.31) for axle in _AXLES))
        return single(np.stack([radial, np.abs(np.abs(y) - 0.76)]))

    def distance(self, points: Floats) -> Floats:
        """See `Solid.distance`."""
        breadth = np.abs(points[:, 1])
        mirrored = np.stack([points[:, 0], breadth, points[:, 2], np.ones_like(breadth)])
        body = -smooth_min(-_HULL @ mirrored, 0.030)
        cabin = -smooth_min(-_CABIN @ mirrored, 0.022)
        body = smooth_min(np.stack([body, cabin]), 0.012)
        mirror = np.linalg.norm((mirrored[:3].T - _MIRROR) / _MIRROR_SIZE, axis=1)
        body = np.minimum(body, 0.07 * (mirror - 1))
        radial, lateral = self._wheels(points)
        arch = np.minimum(0.37 - radial, breadth - 0.55)
        wheel = np.maximum(radial - 0.31, lateral - 0.09)
        return single(np.minimum(np.maximum(body, arch), wheel))

    def material(self, points: Floats, normals: Floats, grain: Floats) -> Material:
        """See `Solid.material`."""
        x, y, z = points.T
        n = len(points)
        engine = np.exp(-(((x - 1.45) / 0.55) ** 2) - (y / 0.75) ** 2 - ((z - 0.85) / 0.35) ** 2)
        celsius = np.float32(9.0) + self.engine * engine - 4.0 * normals[:, 2].clip(0, 1)
        celsius += 0.25 * sample(grain, z * 40, x * 40)
        albedo = np.tile(single(self.paint), (n, 1))
        gloss = np.full(n, 0.35, np.float32)
        for mask, colour, shine, kelvin in self._details(points, normals):
            albedo[mask], gloss[mask] = single(colour), shine
            celsius[mask] += np.float32(kelvin)
        return Material(albedo, normals, single(celsius), gloss)

    def _details(self, points: Floats, normals: Floats) -> list[_Detail]:
        """Return (where, albedo, gloss, kelvin) of everything that is not plain paintwork."""
        x, y, z = points.T
        breadth = np.abs(y)
        radial, lateral = self._wheels(points)
        side = np.abs(normals[:, 1]) > 0.75
        seams = np.min([np.abs(x - edge) for edge in (0.82, -0.32, -1.28)], axis=0)
        lamp = ((breadth - 0.60) / 0.19) ** 2 + ((z - 0.635 - 0.2 * (breadth - 0.6)) / 0.075) ** 2
        lamp = np.where((x > 1.6) & (normals[:, 0] > 0.3), lamp, 2)
        grille = (x > 1.75) & (breadth < 0.5) & (z > 0.38) & (z < 0.56)
        rear = (x < -1.8) & (normals[:, 0] < -0.3)
        tips = np.abs(x) > 1.95
        wheel = (radial < 0.34) & (lateral < 0.13) & (z < 0.65)
        spokes = np.cos(5 * np.arctan2(z - 0.31, np.abs(x) - 1.275)) > -0.35
        rim = wheel & (radial < 0.205)
        return [
            (side & (seams < 0.009) & (z > 0.33) & (z < 0.95), (0.01, 0.01, 0.01), 0.0, 0.3),
            (side & (np.abs(z - 0.8) < 0.014) & (np.abs(x + 0.15) < 0.08), (0.3,) * 3, 0.5, 0),
            (z < 0.33, (0.03, 0.03, 0.032), 0.05, 0.5),
            (grille, (0.015,) * 3, 0.05, 0.2 * self.engine),
            (lamp < 1, (0.10, 0.11, 0.12), 0.9, 1.0),
            (lamp < 0.3, (0.70, 0.72, 0.74), 0.9, 1.0),
            (rear & (breadth > 0.58) & (z > 0.64) & (z < 0.84), (0.35, 0.01, 0.01), 0.4, 0.5),
            (
                (x < -1.9) & (np.hypot(y - 0.5, z - 0.29) < 0.05),
                (0.02,) * 3,
                0.1,
                1.6 * self.engine,
            ),
            (tips & (breadth < 0.26) & (np.abs(z - 0.47) < 0.055), (0.6, 0.6, 0.55), 0.1, 0),
            (self._panes(points, normals), (0.012, 0.014, 0.016), 0.75, -3.0),
            (wheel, (0.018, 0.018, 0.019), 0.02, 1.5 + 0.25 * self.engine),
            (rim & spokes, (0.19, 0.19, 0.20), 0.5, 0.15 * self.engine),
            (rim & ~spokes, (0.02, 0.02, 0.02), 0.0, 0.30 * self.engine),
        ]

    @staticmethod
    def _panes(points: Floats, normals: Floats) -> NDArray[np.bool_]:
        """Tell which surface points are window glass."""
        x, y, z = points.T
        breadth, rise = np.abs(y), z - 0.92
        side = (np.abs(normals[:, 1]) > 0.6) & (z > 0.985) & (z < 1.33)
        side &= (x < 0.86 - 1.55 * rise) & (x > -1.72 + 0.45 * rise) & (np.abs(x + 0.32) > 0.035)
        screen = (np.abs(normals[:, 0]) > 0.35) & (z > 0.985) & (z < 1.36)
        screen &= breadth < 0.72 - 0.36 * rise
        return np.asarray(side | screen)


def hatchback(foot: Point, heading: float, paint: Point, engine: float) -> Car:
    """Build a car of 4.2 m; see `Car` for the paint and the engine."""
    return Car(foot, heading, (-2.25, -1.05, 0.0), (2.25, 1.05, 1.6), paint, engine)
