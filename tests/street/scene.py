"""A synthetic street seen by a thermal camera and by an RGB camera beside it.

The street is a small three-dimensional model: house fronts, ground, people, a car, a tree.
Rays fill one frame of surface properties (reflectance, temperature, normal, position); both
images are made from that frame, so their silhouettes agree while their textures do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmsr.app.demo.scene import Scene
from tests.street.build import build
from tests.street.frame import SUPERSAMPLE, Frame
from tests.street.light import illuminate
from tests.street.textures import Floats, sample, single

NOISE_KELVIN = 0.07
PSF_SIGMA = 0.35
_FINEST_WALL = 24.0
_ROTATION = np.deg2rad(0.12)


def render(
    seed: int = 0,
    *,
    height: int = 360,
    width: int = 480,
    ratio: int = 4,
    shift: tuple[float, float] = (1.5, -1.0),
) -> Scene:
    """Render the street of a seed.

    Parameters
    ----------
    seed : int
        Chooses the houses, people, car, tree and colours; same seed, same bytes.
    height, width : int
        Size of the guide and of the truth in pixels, multiples of ``ratio``.
    ratio : int
        Guide pixels per target pixel along each axis.
    shift : (float, float)
        Rows and columns, in guide pixels, by which the guide's content lies below and to the
        right of the truth's; the guide is also rotated by 0.12 degrees about its centre.

    Returns
    -------
    Scene
        ``target`` is ``truth`` blurred by a Gaussian of ``PSF_SIGMA`` target pixels, averaged
        over blocks of ``ratio`` x ``ratio`` pixels, plus ``NOISE_KELVIN`` of Gaussian noise.

    Raises
    ------
    ValueError
        If ``ratio`` is below 1, or ``height`` or ``width`` is not a positive multiple of it.
    """
    if ratio < 1:
        raise ValueError(f"ratio must be at least 1, got {ratio}")
    for name, size in (("height", height), ("width", width)):
        if size < ratio or size % ratio:
            raise ValueError(f"{name} must be a positive multiple of {ratio}, got {size}")
    rng = np.random.default_rng(seed)
    margin = int(np.ceil(max(map(abs, shift)))) + 2 + max(height, width) // 400
    frame = Frame.empty(height, width, margin, rng.uniform(0.50, 0.64))
    street = build(frame, rng, max(height / 5, _FINEST_WALL))
    radiance = frame.grid(illuminate(frame, street))
    kelvin = frame.grid(single(frame.celsius + 273.15))
    inner = slice(margin * SUPERSAMPLE, -margin * SUPERSAMPLE)
    truth = single(100 * _reduce(kelvin[inner, inner], SUPERSAMPLE))
    blurred = _reduce(_blur(truth, PSF_SIGMA * ratio), ratio)
    target = blurred + 100 * NOISE_KELVIN * rng.standard_normal(blurred.shape)
    photo = _photograph(radiance, (height, width), margin, shift, rng)
    return Scene(np.round(target).astype(np.uint16), photo, np.round(truth).astype(np.uint16))


def _photograph(
    radiance: Floats,
    shape: tuple[int, int],
    margin: int,
    shift: tuple[float, float],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Take the RGB photo: displaced view, vignette, tone curve, sensor noise."""
    height, width = shape
    row, col = np.indices((height * SUPERSAMPLE, width * SUPERSAMPLE), np.float32)
    y = (row.ravel() + 0.5) / SUPERSAMPLE - height / 2
    x = (col.ravel() + 0.5) / SUPERSAMPLE - width / 2
    cos, sin = np.cos(_ROTATION), np.sin(_ROTATION)
    down = cos * (y - shift[0]) - sin * (x - shift[1]) + height / 2 + margin
    right = sin * (y - shift[0]) + cos * (x - shift[1]) + width / 2 + margin
    seen = sample(radiance, down * SUPERSAMPLE - 0.5, right * SUPERSAMPLE - 0.5)
    vignette = 1 - 0.30 * (x**2 + y**2) / (height**2 + width**2) * 4
    fine = single(0.62 * seen * vignette[:, None]).reshape(height * SUPERSAMPLE, -1, 3)
    light = np.stack([_reduce(fine[..., band], SUPERSAMPLE) for band in range(3)], axis=2)
    curve = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    coded = 255 * curve.clip(0, 1) ** (1 / 2.2) + rng.normal(0, 1.3, curve.shape)
    return np.round(coded.clip(0, 255)).astype(np.uint8)


def _reduce(image: Floats, ratio: int) -> Floats:
    """Average blocks of ``ratio`` x ``ratio`` pixels."""
    rows, cols = image.shape
    blocks = image.reshape(rows // ratio, ratio, cols // ratio, ratio)
    return single(blocks.mean(axis=(1, 3)))


def _blur(image: Floats, sigma: float) -> Floats:
    """Convolve with a Gaussian of ``sigma`` pixels, repeating the border pixels."""
    radius = max(int(np.ceil(3 * sigma)), 1)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    for _ in range(2):
        padded = np.pad(image, ((radius, radius), (0, 0)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=0)
        image = single(windows @ (weights / weights.sum())).T
    return image
