"""The site: sky, roofs, walls, road and pavement."""

from __future__ import annotations

import numpy as np

from tests.street.frame import EYE, Frame
from tests.street.houses import EAVES
from tests.street.textures import Floats, Surface, sample, single, soften

WALL, KERB, STEP = 9.0, 5.4, 0.12
ROW_START = -4.0


def sky_radiance(rays: Floats, clouds: Floats) -> tuple[Floats, Floats]:
    """Return the radiance (n, 3) and the apparent celsius (n,) of the sky along rays."""
    x, y, z = (rays / np.linalg.norm(rays, axis=1, keepdims=True)).T
    z = np.abs(z)
    cover = sample(clouds, 60 * y / (z + 0.15), 60 * x / (z + 0.15))
    cover = np.clip(0.35 + 0.35 * cover, 0, 1)[:, None]
    haze = np.exp(-z / 0.22)[:, None]
    blue = single([0.33, 0.50, 0.80]) * (1 - haze) + single([0.98, 0.90, 0.76]) * haze
    white = single([1.05, 0.98, 0.92])
    celsius = -34 + 26 * haze[:, 0] + 11 * cover[:, 0]
    return single(blue + cover * (white - blue)), single(celsius)


def sky(frame: Frame, clouds: Floats) -> None:
    """Fill the rays that met nothing with sky."""
    index = np.flatnonzero(np.isinf(frame.depth))
    radiance, celsius = sky_radiance(frame.rays[index], clouds)
    frame.put(index, single(np.inf), radiance, (0, 0, 1), celsius, 0.0, 1.0)


def skyline(frame: Frame, grain: Floats) -> None:
    """Put hazy distant trees at the end of the street."""
    azimuth = np.arctan2(frame.rays[:, 0], frame.rays[:, 1]) * 260
    rise = frame.rays[:, 2] / np.linalg.norm(frame.rays[:, :2], axis=1)
    top = 0.075 + 0.025 * sample(grain, 0 * azimuth, azimuth * 0.25)
    top += 0.010 * sample(grain, rise * 300, azimuth * 2)
    index = np.flatnonzero((rise < top) & np.isinf(frame.depth))
    light = sample(grain, rise[index] * 500, azimuth[index] * 1.5)[:, None]
    colour = single([0.24, 0.27, 0.20]) * (1 + 0.22 * light) + single([0.1, 0.1, 0.1])
    frame.put(index, single(80.0), colour, (0, 0, 1), 6.5 + 0.5 * light[:, 0], 0.0, 1.0)


def roof(frame: Frame, rng: np.random.Generator, grain: Floats, length: float) -> None:
    """Cover the houses with tiles, cold under the open sky."""
    slope = single([0, -0.60, 0.80])
    index, depth = frame.plane((0, WALL - 0.1, EAVES - 0.1), slope)
    points = EYE + depth[:, None] * frame.rays[index]
    u, v = points[:, 0] - ROW_START, (points[:, 2] - EAVES) / 0.60
    keep = (u > 0) & (u < length + 0.15) & (v > 0) & (v < 4.2)
    index, depth, u, v = index[keep], depth[keep], u[keep], v[keep]
    course = v / 0.28
    shade = 0.55 + 0.45 * (course % 1) - 0.12 * (((u / 0.22) + 0.5 * (course.astype(int) % 2)) % 1)
    tone = sample(grain, np.floor(course) * 17, np.floor(u / 0.22) * 13)
    clay = single([(0.13, 0.062, 0.045), (0.085, 0.085, 0.095), (0.10, 0.058, 0.05)])
    tile = clay[rng.integers(3)] * (shade * (1 + 0.15 * tone))[:, None]
    celsius = 3.0 + 0.5 * sample(grain, v * 30, u * 30) + 1.2 * np.sin(u * rng.uniform(0.5, 0.8))
    frame.put(index, depth, tile, slope, celsius)


def chimney(frame: Frame, x: float, grain: Floats) -> None:
    """Stand a brick chimney on the roof, warm towards the flue."""
    y, half, top = WALL + 1.5, 0.32, EAVES + 2.3
    for point, normal in (((x, y, 0), (0, -1, 0)), ((x - half, y, 0), (-1, 0, 0))):
        index, depth = frame.plane(point, normal)
        across, along, z = (EYE + depth[:, None] * frame.rays[index]).T
        keep = (np.abs(across - x) < half + 1e-3) & (along > y - 1e-3) & (along < y + 0.5)
        keep &= (z > EAVES + 0.9) & (z < top)
        index, depth, u, z = index[keep], depth[keep], (across + along)[keep], z[keep]
        course = np.floor(z / 0.083)
        brick = sample(grain, course * 17, np.floor(u / 0.25 + 0.5 * (course % 2)) * 13)
        cap = z > top - 0.16
        level = (1 + 0.12 * brick) * np.where(z % 0.083 < 0.012, 1.3, 1.0) * np.where(cap, 1.4, 1)
        colour = single([0.17, 0.085, 0.065]) * level[:, None]
        warm = 11 + 13 * np.exp((z - top) / 0.5) + 4 * cap
        frame.put(index, depth, colour, normal, warm)


def walls(frame: Frame, houses: Surface, sun: Floats) -> None:
    """Map the house fronts, with parallax in the window reveals and shadows of the relief."""
    index, depth = frame.plane((0, WALL, 0), (0, -1, 0))
    rays = frame.rays[index]
    points = EYE + depth[:, None] * rays
    rows, cols = houses.relief.shape
    row = single(points[:, 2] * houses.scale)
    col = single((points[:, 0] - ROW_START) * houses.scale)
    keep = (row > 0) & (row < rows - 1) & (col > 0) & (col < cols - 1)
    step = single((rays[keep][:, [2, 0]] / rays[keep, 1:2] * houses.scale).T)
    row, col = _parallax(houses, row[keep], col[keep], step)
    tilt = np.clip(np.gradient(houses.relief, 1 / houses.scale), -0.6, 0.6)
    crevice = soften(houses.relief, max(round(houses.scale / 9), 1)) - houses.relief
    shade = _relief_shadow(houses, sun) * np.clip(1 - 3 * crevice, 0.45, 1.1)
    layers = np.stack([houses.celsius, houses.glass, shade, *tilt], axis=2)
    look = sample(np.concatenate([houses.albedo, layers], axis=2), row, col)
    albedo, celsius, glass, shade, rise, run = np.split(look, (3, 4, 5, 6, 7), axis=1)
    normal = np.concatenate([-run, np.full_like(run, -1), -rise], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    albedo *= np.where(glass > 0.5, 1, shade)
    frame.put(index[keep], depth[keep], albedo, normal, celsius[:, 0], 0.0, 0.9 * glass[:, 0])


def _parallax(houses: Surface, row: Floats, col: Floats, step: Floats) -> tuple[Floats, Floats]:
    """Return where rays meet the relief, given where they meet its base plane.

    Parameters
    ----------
    row, col : float32 arrays (n,)
        Pixel position in the base plane.
    step : float32 array (2, n)
        Rows and columns that a ray advances per metre of depth.
    """
    rows, cols = houses.relief.shape
    height, relief = np.zeros_like(row), np.zeros_like(row)
    outside = np.ones(len(row), bool)
    for level in np.linspace(0.14, -0.17, 16, dtype=np.float32):
        r = np.clip(row - level * step[0], 0, rows - 1).astype(np.intp)
        c = np.clip(col - level * step[1], 0, cols - 1).astype(np.intp)
        relief = np.where(outside, houses.relief[r, c], relief)
        height = np.where(outside, level, height)
        outside &= relief < level
    height = np.where(relief < height + 0.03, np.minimum(relief, height + 0.02), height)
    row = np.clip(row - height * step[0], 0, rows - 1.01)
    return single(row), single(np.clip(col - height * step[1], 0, cols - 1.01))


def _relief_shadow(houses: Surface, sun: Floats) -> Floats:
    """Return 1 where the sun reaches the relief and about a third in its shadows."""
    shade = np.ones_like(houses.relief)
    for height in np.linspace(0.015, 0.3, 12):
        up, left = np.round(height * sun[[2, 0]] / -sun[1] * houses.scale).astype(int)
        blocker = np.roll(houses.relief, (-up, -left), (0, 1))
        shade[blocker > houses.relief + height] = 0.35
    return soften(shade, 2)


def ground(frame: Frame, rng: np.random.Generator, grain: Floats, clouds: Floats) -> None:
    """Lay the road, the kerb and the footway, across them the trace of a buried heating main."""
    main = rng.uniform(3.4, 4.6)
    manhole = (rng.uniform(2.4, 3.6), rng.uniform(3.4, 4.2))
    for level in (STEP, 0.0):
        index, depth = frame.plane((0, 0, level), (0, 0, 1))
        x, y = (EYE + depth[:, None] * frame.rays[index]).T[:2]
        footway = (y >= KERB) & (y < WALL) & (x <= 45)
        keep = footway if level else ~footway
        index, depth, x, y = index[keep], depth[keep], x[keep], y[keep]
        broad = sample(clouds, y * 22, x * 22)
        fine = single(sample(grain, y * 85, x * 85) * np.exp(-depth / 18))
        celsius = 9.0 + 0.4 * broad + 2.2 * np.exp(-(((x - main + 0.1 * (y - 6)) / 0.35) ** 2))
        if level:
            albedo = _paving(x, y, fine, broad, grain)
            celsius += 0.8 * np.exp((y - WALL) / 0.6)
        else:
            albedo = _asphalt(x, y, fine, broad, grain)
            celsius += 0.6 + _cover_manhole(x - manhole[0], y - manhole[1], albedo)
        frame.put(index, depth, albedo, (0, 0, 1), celsius)
    index, depth = frame.plane((0, KERB, 0), (0, -1, 0))
    rise = EYE[2] + depth * frame.rays[index, 2]
    keep = (rise > 0) & (rise < STEP)
    frame.put(index[keep], depth[keep], (0.30, 0.29, 0.27), (0, -1, 0), 9.4)


def _cover_manhole(x: Floats, y: Floats, albedo: Floats) -> Floats:
    """Draw an iron lid at the origin into ``albedo`` (n, 3); return its warmth (n,) in kelvin."""
    away = np.hypot(x, y)
    lid = away < 0.36
    stud = (np.floor(x * 12) + np.floor(y * 12)) % 2
    albedo[lid] = single([0.10, 0.095, 0.09]) * (0.6 + 0.5 * stud[lid, None])
    warmth = lid * (9 + 8 * np.exp(-((away / 0.22) ** 2)) + stud)
    return single(warmth + 2.5 * np.exp(-((away / 0.6) ** 2)))


def _paving(x: Floats, y: Floats, fine: Floats, broad: Floats, grain: Floats) -> Floats:
    """Return the albedo of concrete slabs with a kerb stone along the road."""
    kerb = y < KERB + 0.16
    across = np.where(kerb, x / 1.0, x / 0.6 + 0.5 * (np.floor(y / 0.6) % 2))
    along = np.where(kerb, 0.5, y / 0.6)
    joint = np.minimum(0.5 - np.abs(across % 1 - 0.5), 0.5 - np.abs(along % 1 - 0.5)) * 0.6
    gap = np.exp(-((joint / 0.012) ** 2)) + 0.8 * (np.abs(y - KERB - 0.16) < 0.012)
    tone = sample(grain, np.floor(along) * 23 + 7 * kerb, np.floor(across) * 31)
    level = 0.30 * (1 + 0.09 * tone + 0.10 * fine + 0.08 * broad) * (1 - 0.55 * gap)
    level *= np.where(kerb, 1.15, 1 - 0.35 * np.exp((y - WALL) / 0.12))
    return single(level[:, None] * single([1.0, 0.96, 0.89]))


def _asphalt(x: Floats, y: Floats, fine: Floats, broad: Floats, grain: Floats) -> Floats:
    """Return the albedo of worn asphalt with cracks, a patch and a dashed centre line."""
    level = 0.125 * (1 + 0.20 * fine + 0.12 * broad)
    crack = np.abs(sample(grain, y * 9, x * 9) + 0.4 * broad) < 0.02
    level = level * np.where(crack, 0.6, 1) * (1 - 0.35 * np.exp(np.minimum(y - KERB, 0) / 0.2))
    repair = (np.abs(x % 11 - 6.5) < 1.1) & (np.abs(y - 2.9) < 0.7)
    level = np.where(repair, level * 0.72, level)
    worn = np.clip(0.75 + 0.35 * fine + 0.2 * broad, 0, 1)
    dash = (np.abs(y - 1.9) < 0.07) & (x % 3.0 < 1.6)
    level += dash * worn * 0.38
    return single(level[:, None] * single([0.98, 1.0, 1.02]))
