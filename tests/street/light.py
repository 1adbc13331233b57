"""Sunlight, its shadows, and light from the sky."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.street.frame import Frame
from tests.street.site import sky_radiance
from tests.street.solids import Solid
from tests.street.textures import Floats, sample, single, soften

SUN = single([-0.517, -0.640, 0.568])
_ACROSS_SUN = single([[0.778, 0.357], [-0.628, 0.442], [0.0, 0.823]])
_SUNLIGHT = single([3.5, 2.75, 1.90])
_SKYLIGHT = single([0.36, 0.46, 0.66])
_BOUNCE = single([0.24, 0.20, 0.155])
_HAZE = single([0.75, 0.72, 0.68])
_SUN_WARMTH = 0.7
_CELL = 0.03


@dataclass(frozen=True)
class Street:
    """What casts shadows and is mirrored.

    Attributes
    ----------
    solids : list of Solid
    crowns : list of float32 arrays (k, 3)
        Leaf positions of every tree.
    opposite : float
        Height in metres of the houses behind the camera.
    clouds : float32 array (rows, columns)
        Periodic noise tile of the sky.
    """

    solids: list[Solid]
    crowns: list[Floats]
    opposite: float
    clouds: Floats


def illuminate(frame: Frame, street: Street) -> Floats:
    """Return the radiance (n, 3) of the frame; sunlit surfaces also become a little warmer."""
    index = np.flatnonzero(frame.unlit < 1)
    points, normal = frame.points(index), frame.normal[index]
    direct = np.clip(normal @ SUN, 0, 1) * _sunshine(street, points, normal)
    up = normal[:, 2:3]
    ambient = _SKYLIGHT * (0.6 + 0.4 * up) + _BOUNCE * (1 - up)
    irradiance = _SUNLIGHT * direct[:, None] + _openness(street, points, normal) * ambient
    unlit = frame.unlit[index, None]
    radiance = frame.albedo.copy()
    radiance[index] *= unlit + (1 - unlit) * irradiance
    _mirror(frame, street, radiance)
    haze = 1 - np.exp(-frame.depth[index, None] / 140)
    radiance[index] += haze * (_HAZE - radiance[index])
    frame.celsius[index] += _SUN_WARMTH * (1 - frame.unlit[index]) * direct
    return radiance


def _sunshine(street: Street, points: Floats, normal: Floats) -> Floats:
    """Return the share (n,) of the sun that points (n, 3) see."""
    away = points[:, 1] + 9
    gables = np.abs((points[:, 0] - away * SUN[0] / SUN[1]) / 3 % 2 - 1)
    above = points[:, 2] - away * SUN[2] / SUN[1] - street.opposite - 1.3 * gables
    sun = np.clip(above / 0.3, 0, 1)
    plane = points @ _ACROSS_SUN
    for crown in street.crowns:
        behind = np.flatnonzero(points @ SUN < crown.mean(axis=0) @ SUN - 1.0)
        sun[behind] *= _leaf_shade(crown @ _ACROSS_SUN, plane[behind])
    for solid in street.solids:
        middle, radius = solid.ball()
        near = ((plane - middle @ _ACROSS_SUN) ** 2).sum(axis=1) < radius**2
        index = np.flatnonzero(near & (normal @ SUN > 0) & (sun > 0))
        start = solid.to_local(points[index] + 0.02 * normal[index], origin=True)
        ray = np.broadcast_to(solid.to_local(SUN[None], origin=False), start.shape)
        _, clearance = solid.march(start, ray, 0.02)
        sun[index] *= np.clip(0.5 + 0.5 * clearance, 0, 1)
    return single(sun)


def _leaf_shade(leaves: Floats, points: Floats) -> Floats:
    """Return the sunlight (n,) that leaves (k, 2) let through to points (n, 2) behind them."""
    cells = leaves / _CELL
    origin = cells.min(axis=0) - 12
    shape = np.ceil(cells.max(axis=0) - origin + 12).astype(int)
    shadow = np.zeros(shape, np.float32)
    np.add.at(shadow, tuple((cells - origin).astype(int).T), 1.0)
    shadow = np.clip(4.0 * soften(shadow, 3), 0, 1)
    spot = points / _CELL - origin
    inside = np.flatnonzero(((spot > 0) & (spot < shape - 1)).all(axis=1))
    light = np.ones(len(points), np.float32)
    light[inside] -= 0.92 * sample(shadow, *spot[inside].T)
    return light


def _openness(street: Street, points: Floats, normal: Floats) -> Floats:
    """Return the share (n, 1) of the sky that the solids nearby leave to points (n, 3)."""
    sky = np.ones(len(points), np.float32)
    for solid in street.solids:
        middle, radius = solid.ball()
        near = np.flatnonzero(((points - middle) ** 2).sum(axis=1) < (radius + 0.3) ** 2)
        for reach in (0.06, 0.35):
            probe = solid.to_local(points[near] + reach * normal[near], origin=True)
            sky[near] *= 1 - 0.6 * np.clip(1 - solid.distance(probe) / reach, 0, 1)
    return sky[:, None]


def _mirror(frame: Frame, street: Street, radiance: Floats) -> None:
    """Add what glossy surfaces reflect: clouds, branches, the houses opposite."""
    index: NDArray[np.intp] = np.flatnonzero(frame.gloss > 0)
    rays, normal = frame.rays[index], frame.normal[index]
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    cosine = -(rays * normal).sum(axis=1, keepdims=True)
    way = single(rays + 2 * cosine * normal)
    seen, _ = sky_radiance(way, street.clouds)
    branches = sample(street.clouds, 90 * way[:, 1] - 60 * way[:, 2], 90 * way[:, 0])
    seen *= np.clip(0.8 + 0.45 * branches, 0.15, 1.4)[:, None]
    roofs = 0.22 + 0.1 * np.abs(np.sin(5 * way[:, :1]))
    seen = np.where(way[:, 2:3] > roofs, seen, 0.10 + 0.10 * (way[:, 2:3] < 0))
    fresnel = 0.06 + 0.94 * (1 - cosine.clip(0, 1)) ** 5
    radiance[index] += 1.6 * frame.gloss[index, None] * fresnel * seen
