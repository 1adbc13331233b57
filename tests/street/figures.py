"""What stands in a street on round limbs: people, a tree trunk, a street lamp."""

from __future__ import annotations

import numpy as np

from tests.street.solids import Cone, Limbs, Point, limbs
from tests.street.textures import Floats, single

_SKINS = ((0.30, 0.165, 0.115), (0.33, 0.19, 0.14), (0.15, 0.078, 0.05), (0.23, 0.125, 0.08))
_HAIR = ((0.02, 0.015, 0.012), (0.08, 0.045, 0.02), (0.28, 0.19, 0.09), (0.3, 0.29, 0.28))
_COATS = (
    (0.20, 0.035, 0.03),
    (0.035, 0.06, 0.11),
    (0.32, 0.22, 0.09),
    (0.025, 0.025, 0.03),
    (0.07, 0.095, 0.06),
    (0.36, 0.33, 0.28),
)
_TROUSERS = ((0.035, 0.045, 0.075), (0.025, 0.025, 0.03), (0.17, 0.13, 0.09), (0.09, 0.10, 0.12))


def person(rng: np.random.Generator, foot: Point, heading: float) -> Limbs:
    """Build a walking person: warm face and hands, cooler clothes."""
    skin, hair = rng.choice(_SKINS), rng.choice(_HAIR)
    coat, cloth = rng.choice(_COATS), rng.choice(_TROUSERS)
    warm, broad = rng.uniform(17.5, 21.0), rng.uniform(0.9, 1.05)
    stride = rng.uniform(0.12, 0.21) * rng.choice([-1, 1])
    long = rng.random() < 0.5
    hip, neck = 0.16 * broad, 0.11 * broad
    cones: list[Cone] = [
        ((0, -0.07, 0.95), (0, 0.07, 0.95), 0.122, 0.122, coat if long else cloth, 20.0),
        ((0, -0.06, 1.02), (0.01, -neck, 1.34), 0.115, 0.115, coat, warm),
        ((0, 0.06, 1.02), (0.01, neck, 1.34), 0.115, 0.115, coat, warm),
        ((-0.01, -hip, 1.40), (-0.01, hip, 1.40), 0.07, 0.07, coat, warm + 1),
        *_head(rng, skin, hair),
    ]
    if long:
        for x, z in ((-0.018, 0.68), (0.018, 0.68), (-0.018, 0.83), (0.018, 0.83)):
            cones.append(((x, -0.075, z), (x, 0.075, z), 0.118, 0.118, coat, warm - 1))
    if rng.random() < 0.55:
        pack = rng.choice(_COATS) * 0.8
        sides = (-0.06, 0.06)
        cones += [((-0.2, y, 1.08), (-0.18, y, 1.34), 0.09, 0.08, pack, 13.5) for y in sides]
    for side in (-1, 1):
        cones += _leg(side, stride * side, cloth)
        cones += _arm(side, -stride * side, broad, coat, skin, warm)
    size = rng.uniform(0.94, 1.05)
    scaled: list[Cone] = [
        (size * single(a), size * single(b), r * size, s * size, colour, celsius)
        for a, b, r, s, colour, celsius in cones
    ]
    return limbs(foot, heading, scaled)


def _head(rng: np.random.Generator, skin: Floats, hair: Floats) -> list[Cone]:
    """Model neck, head, face and hair, and at times long hair or a scarf."""
    cones: list[Cone] = [
        ((0.0, 0, 1.42), (0.015, 0, 1.55), 0.062, 0.052, skin, 33.5),
        ((0.022, 0, 1.59), (0.012, 0, 1.67), 0.062, 0.080, skin, 33.8),
        ((0.09, 0, 1.64), (0.102, 0, 1.615), 0.010, 0.014, skin, 30.5),
        ((-0.032, 0, 1.655), (-0.018, 0, 1.685), 0.085, 0.088, hair, 25.0),
    ]
    eyes = ((0.080, -0.028, 1.645), (0.080, 0.028, 1.645))
    cones += [(eye, eye, 0.009, 0.009, skin * 0.4, 33.0) for eye in eyes]
    if rng.random() < 0.5:
        cones.append(((-0.04, 0, 1.66), (-0.06, 0, 1.48), 0.08, 0.07, hair, 24.0))
    if rng.random() < 0.6:
        scarf = rng.choice(_COATS) * 1.3
        cones.append(((-0.02, 0, 1.47), (0.03, 0, 1.47), 0.085, 0.08, scarf, 22.0))
    return cones


def _leg(side: int, swing: float, cloth: Floats) -> list[Cone]:
    """Model a leg and its shoe, ``swing`` metres ahead of the hip."""
    knee = single([swing * 0.75 + 0.05, side * 0.09, 0.51])
    ankle = single([swing * 1.35 - 0.04, side * 0.085, 0.09 + 0.06 * (swing < 0)])
    heel, toe = ankle + single([-0.02, 0, -0.03]), ankle + single([0.14, 0.01 * side, -0.045])
    return [
        ((0.0, side * 0.085, 0.92), knee, 0.095, 0.066, cloth, 21.0),
        (knee, ankle, 0.064, 0.048, cloth, 19.5),
        (heel, toe, 0.05, 0.04, (0.03, 0.028, 0.026), 15.0),
    ]


def _arm(
    side: int, swing: float, broad: float, coat: Floats, skin: Floats, warm: float
) -> list[Cone]:
    """Model an arm and its hand, ``swing`` metres ahead of the shoulder."""
    shoulder = single([-0.01, side * 0.195 * broad, 1.40])
    elbow = single([swing * 0.6 - 0.04, side * 0.235 * broad, 1.13])
    hand = single([swing * 1.2 + 0.05, side * 0.215 * broad, 0.89])
    return [
        (shoulder, elbow, 0.066, 0.052, coat, warm),
        (elbow, hand, 0.052, 0.041, coat, warm - 0.5),
        (hand, hand + single([0.02, 0, -0.09]), 0.036, 0.030, skin, 30.5),
    ]


def trunk(rng: np.random.Generator, foot: Point, height: float) -> Limbs:
    """Build a tree trunk that forks into boughs below ``height``."""
    bark = (0.115, 0.095, 0.075)
    fork = single([*rng.uniform(-0.12, 0.12, 2), height * 0.45])
    cones: list[Cone] = [
        ((0, 0, -0.1), (0, 0, 0.25), 0.22, 0.15, bark, 9.6),
        ((0, 0, 0.2), fork, 0.145, 0.11, bark, 9.3),
    ]
    for angle in np.arange(5) * 2.4 + rng.uniform(0, 6):
        reach = single([np.cos(angle), np.sin(angle), 0]) * rng.uniform(0.5, 0.9)
        middle = fork + 0.6 * reach + single([0, 0, height * 0.22])
        tip = fork + 1.5 * reach + single([0, 0, height * rng.uniform(0.25, 0.38)])
        cones += [(fork, middle, 0.075, 0.05, bark, 9.0), (middle, tip, 0.05, 0.015, bark, 8.8)]
    return limbs(foot, 0.0, cones, blend=0.03, fold=0.3)


def lamp_post(foot: Point) -> Limbs:
    """Build a street lamp with its arm over the road (towards local -y)."""
    iron = (0.045, 0.055, 0.05)
    cones: list[Cone] = [
        ((0, 0, 0), (0, 0, 0.5), 0.09, 0.08, iron, 8.5),
        ((0, 0, 0.5), (0, 0, 4.6), 0.05, 0.035, iron, 8.0),
        ((0, 0, 4.6), (0, -0.35, 4.95), 0.03, 0.025, iron, 8.0),
        ((0, -0.35, 4.95), (0, -0.8, 5.0), 0.025, 0.025, iron, 8.0),
        ((0, -0.72, 4.985), (0, -1.1, 5.0), 0.055, 0.04, (0.22, 0.22, 0.21), 24.0),
    ]
    return limbs(foot, 0.0, cones, blend=0.015, fold=0.04)
