"""The crown of a tree, leaf by leaf."""

from __future__ import annotations

import numpy as np

from tests.street.frame import Frame
from tests.street.light import SUN
from tests.street.site import KERB, STEP
from tests.street.textures import Floats, single

_TINTS = ((0.085, 0.13, 0.03), (0.22, 0.13, 0.03), (0.13, 0.135, 0.035))
_CLUMPS, _LEAVES, _FALLEN = 85, 260, 500


def foliage(frame: Frame, rng: np.random.Generator, crown: Floats) -> Floats:
    """Grow leaves in clumps about the point ``crown`` and return their centres (k, 3)."""
    way = rng.standard_normal((_CLUMPS, 1, 3))
    way /= np.linalg.norm(way, axis=2, keepdims=True)
    way *= single([1.9, 1.9, 1.6]) * rng.uniform(0.1, 1.0, (_CLUMPS, 1, 1)) ** 0.5
    way[..., 2] -= 0.13 * (way[..., :2] ** 2).sum(axis=2)
    spread = rng.standard_normal((_CLUMPS, _LEAVES, 3)) * single([1, 1, 0.75])
    size = rng.uniform(0.17, 0.36, (_CLUMPS, 1, 1))
    leaves = single(crown + way + size * spread).reshape(-1, 3)
    sunlit = 0.24 * (spread @ SUN).clip(-1.6, 1.6) + 0.20 * (way @ SUN)
    lit = (0.42 + sunlit + 0.13 * rng.standard_normal(sunlit.shape)).clip(0.06, 1.4)
    tint = 1.3 * single(_TINTS[rng.integers(len(_TINTS))])
    hue = 1 + 0.08 * rng.standard_normal((len(leaves), 3))
    colour = single((tint * hue * lit.reshape(-1, 1)).clip(0.002, 1))
    _draw(frame, rng, leaves, colour)
    ground = crown + 1.9 * rng.standard_normal((_FALLEN, 3))
    ground[:, 2] = np.where(ground[:, 1] > KERB, STEP, 0) + 0.01
    _draw(frame, rng, single(ground), single(0.8 * colour[:_FALLEN]))
    return leaves


def _draw(frame: Frame, rng: np.random.Generator, leaves: Floats, colour: Floats) -> None:
    """Draw every leaf in front of the camera as a small ellipse, the far ones first."""
    row, col, depth = frame.project(leaves)
    order = np.argsort(-depth)
    order = order[depth[order] > 1.0]
    row, col, depth, colour = row[order, None], col[order, None], depth[order], colour[order]
    line = np.linspace(-1, 1, max(round(frame.focal / 94), 4))
    across, along = np.meshgrid(line, line)
    disc = across**2 + along**2 <= 1
    length = frame.focal * 0.05 / depth * rng.uniform(0.6, 1.1, len(order))
    along = along[disc] * length[:, None]
    across = across[disc] * (length * rng.uniform(0.25, 0.6, len(order)))[:, None]
    turn = rng.uniform(0, 2 * np.pi, (len(order), 1))
    r = np.floor(row + along * np.sin(turn) + across * np.cos(turn)).astype(np.intp).ravel()
    c = np.floor(col + along * np.cos(turn) - across * np.sin(turn)).astype(np.intp).ravel()
    leaf = np.repeat(np.arange(len(order)), disc.sum())
    rows, cols = frame.shape
    seen = np.flatnonzero((r >= 0) & (r < rows) & (c >= 0) & (c < cols))
    index, leaf = r[seen] * cols + c[seen], leaf[seen]
    nearer = depth[leaf] < frame.depth[index]
    index, leaf = index[nearer], leaf[nearer]
    celsius = 8.2 + 0.5 * rng.standard_normal(len(order))
    facing = 0.6 * SUN + single([0, 0, 0.6])
    frame.put(index, depth[leaf], colour[leaf], facing, celsius[leaf])
