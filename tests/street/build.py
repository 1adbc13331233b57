"""Where things stand in the street of a seed."""

from __future__ import annotations

import numpy as np

from tests.street import site
from tests.street.car import Car, hatchback
from tests.street.figures import lamp_post, person, trunk
from tests.street.frame import EYE, Frame
from tests.street.houses import house_row
from tests.street.light import SUN, Street
from tests.street.site import KERB, ROW_START, STEP
from tests.street.solids import Limbs, Solid
from tests.street.textures import Floats, fractal_noise, single
from tests.street.tree import foliage

_PAINTS = ((0.02, 0.04, 0.10), (0.17, 0.015, 0.015), (0.25, 0.26, 0.27), (0.02, 0.065, 0.05))


def build(frame: Frame, rng: np.random.Generator, scale: float) -> Street:
    """Fill the frame with a random street; ``scale`` is the houses' pixels per metre."""
    grain = fractal_noise(rng, (512, 512), 0.75)
    clouds = fractal_noise(rng, (512, 512), 1.6)
    length = rng.uniform(17.0, 20.0)
    site.skyline(frame, grain)
    site.roof(frame, rng, grain, length)
    for _ in range(3):
        site.chimney(frame, rng.uniform(4.0, length + ROW_START - 0.5), grain)
    site.walls(frame, house_row(rng, length, scale), SUN)
    site.ground(frame, rng, grain, clouds)
    tree = single([rng.uniform(8.2, 9.6), KERB + 0.6, STEP])
    height = rng.uniform(4.9, 5.6)
    lamp = rng.choice([rng.uniform(3.8, 4.6), rng.uniform(6.4, 7.6)])
    solids: list[Solid] = [*_cars(rng), *_people(rng)]
    solids.append(trunk(rng, (float(tree[0]), float(tree[1]), STEP), height))
    solids.append(lamp_post((lamp, KERB + 0.35, STEP)))
    for solid in solids:
        _place(frame, solid, grain)
    beside_camera = single([rng.uniform(-3.0, -2.0), rng.uniform(3.8, 4.6), rng.uniform(5.6, 6.4)])
    centres = (tree + single([0, 0, height - 0.7]), beside_camera)
    crowns = [foliage(frame, rng, centre) for centre in centres]
    site.sky(frame, clouds)
    return Street(solids, crowns, rng.uniform(10.8, 12.0), clouds)


def _cars(rng: np.random.Generator) -> list[Car]:
    """Park a car that has just been driven and, at times, a cold one behind it."""
    x, y = rng.uniform(5.1, 6.1), KERB - 1.0
    paint, other = (_PAINTS[k] for k in rng.permutation(len(_PAINTS))[:2])
    heading = np.pi if rng.random() < 0.75 else 0.0
    cars = [hatchback((x, y, 0.0), heading, paint, rng.uniform(24, 32))]
    if rng.random() < 0.7:
        cars.append(hatchback((x + 5.7, y, 0.0), 0.0, other, 0.0))
    return cars


def _people(rng: np.random.Generator) -> list[Limbs]:
    """Let two people walk in the foreground and two in the distance."""
    places = (
        (rng.uniform(1.2, 2.2), rng.uniform(5.6, 6.2), rng.uniform(-0.3, 0.4)),
        (rng.uniform(2.8, 3.9), rng.uniform(6.6, 7.8), rng.choice([np.pi, -2.0, -2.6, 0.2])),
        (rng.uniform(8.0, 12.0), rng.uniform(6.4, 8.0), rng.choice([0.1, 3.0])),
        (rng.uniform(11.0, 16.0), rng.uniform(6.4, 8.0), rng.choice([0.1, 3.0])),
    )
    return [person(rng, (x, y, STEP), float(heading)) for x, y, heading in places]


def _place(frame: Frame, solid: Solid, grain: Floats) -> None:
    """Render a solid into the frame."""
    row, col, _ = frame.project(solid.corners())
    rows, cols = frame.shape
    top, bottom = np.clip([row.min(), row.max() + 1], 0, rows).astype(int)
    left, right = np.clip([col.min(), col.max() + 1], 0, cols).astype(int)
    index = (np.arange(top, bottom)[:, None] * cols + np.arange(left, right)).ravel()
    rays = solid.to_local(frame.rays[index], origin=False)
    norm = np.linalg.norm(rays, axis=1)
    eye = solid.to_local(EYE[None], origin=True)
    travelled, _ = solid.march(np.broadcast_to(eye, rays.shape), single(rays / norm[:, None]))
    depth = travelled / norm
    hit = depth < frame.depth[index]
    index, depth = index[hit], depth[hit]
    points = single(eye + depth[:, None] * rays[hit])
    look = solid.material(points, solid.normals(points), grain)
    normals = solid.to_street(look.normals)
    frame.put(index, depth, look.albedo, normals, look.celsius, look.gloss)
