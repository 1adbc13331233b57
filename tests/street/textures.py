"""Noise, texture look-up, and surfaces painted in both spectral bands.

Lengths are metres, temperatures degrees Celsius, colours linear RGB reflectances.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

Floats = NDArray[np.float32]
Region = tuple[slice, slice]


def single(values: ArrayLike) -> Floats:
    """Return the values as a float32 array."""
    return np.asarray(values, np.float32)


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, int], slope: float = 1.0, stretch: float = 1.0
) -> Floats:
    """Noise whose amplitude spectrum falls as frequency to the power ``-slope``.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    shape : (int, int)
        Rows and columns; periodic along an axis whose size is a multiple of 32.
    slope : float
        0 is white noise, 1 looks like weathered stone, 2 like clouds.
    stretch : float
        Above 1 the pattern is elongated along the rows (vertical streaks).

    Returns
    -------
    float32 array (rows, columns)
        Zero mean and unit standard deviation over a period.
    """
    rows, cols = (-(-size // 32) * 32 for size in shape)
    down = np.fft.fftfreq(rows)[:, None] * max(shape) * stretch
    across = np.fft.rfftfreq(cols)[None, :] * max(shape)
    fall = np.maximum(np.hypot(down, across), 1.0).astype(np.float32) ** -slope
    fall[0, 0] = 0.0
    white = rng.standard_normal((rows, cols), dtype=np.float32)
    noise = np.fft.irfft2(np.fft.rfft2(white) * fall, s=(rows, cols))
    return single(noise / noise.std())[: shape[0], : shape[1]]


def sample(texture: Floats, row: ArrayLike, col: ArrayLike) -> Floats:
    """Bilinear look-up of a periodic texture.

    Parameters
    ----------
    texture : float32 array (rows, columns) or (rows, columns, channels)
    row, col : float arrays (n,)
        Positions in texture pixels, any value.

    Returns
    -------
    float32 array (n,) or (n, channels)
    """
    row, col = single(row), single(col)
    top, left = np.floor(row), np.floor(col)
    down, right = row - top, col - left
    height, width = texture.shape[:2]
    r0, c0 = top.astype(np.int32) % height, left.astype(np.int32) % width
    r1, c1 = (r0 + 1) % height * width, (c0 + 1) % width
    r0 *= width
    flat = texture.reshape(height * width, -1)
    total = flat[r0 + c0] * ((1 - down) * (1 - right))[:, None]
    total += flat[r0 + c1] * ((1 - down) * right)[:, None]
    total += flat[r1 + c0] * (down * (1 - right))[:, None]
    total += flat[r1 + c1] * (down * right)[:, None]
    return single(total.reshape(len(row), *texture.shape[2:]))


def soften(field: Floats, factor: int) -> Floats:
    """Smooth a (rows, columns) field by shrinking it ``factor`` times and enlarging it again."""
    rows, cols = field.shape
    small = Image.fromarray(field).resize(
        (max(cols // factor, 1), max(rows // factor, 1)), Image.Resampling.BOX
    )
    return np.array(small.resize((cols, rows), Image.Resampling.BICUBIC), np.float32)


@dataclass
class Surface:
    """A flat surface in both spectral bands, at first black and smooth; row 0 is its lower edge.

    Attributes
    ----------
    scale : float
        Pixels per metre.
    celsius : float32 array (rows, columns)
    albedo : float32 array (rows, columns, 3)
    relief, glass : float32 arrays (rows, columns)
        Height in front of the surface in metres; share of glass in 0..1.
    """

    scale: float
    celsius: Floats
    albedo: Floats = field(init=False)
    relief: Floats = field(init=False)
    glass: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.albedo = np.zeros((*self.celsius.shape, 3), np.float32)
        self.relief = np.zeros_like(self.celsius)
        self.glass = np.zeros_like(self.celsius)

    def region(self, left: float, low: float, width: float, height: float) -> Region:
        """Return the slices of the pixels of a rectangle given in metres."""
        bounds = np.round(np.array([low, low + height, left, left + width]) * self.scale)
        r0, r1, c0, c1 = np.maximum(bounds, 0).astype(int)
        return slice(r0, max(r1, r0 + 1)), slice(c0, max(c1, c0 + 1))

    def paint(self, region: Region, albedo: ArrayLike, relief: float, warmth: float = 0.0) -> None:
        """Cover a region with a new material, ``warmth`` kelvin warmer than what was there."""
        self.albedo[region] = single(albedo) * (0.75 + 0.25 * self.albedo[region] / 0.4)
        self.relief[region] = relief
        self.celsius[region] += np.float32(warmth)

    def heat(self, u: float, v: float, size: tuple[float, float], kelvin: float) -> None:
        """Add a Gaussian warm patch at (u, v) with the standard deviations ``size``."""
        rows, cols = self.celsius.shape
        down = np.exp(-0.5 * ((np.arange(rows) / self.scale - v) / size[1]) ** 2)
        across = np.exp(-0.5 * ((np.arange(cols) / self.scale - u) / size[0]) ** 2)
        self.celsius += (kelvin * down[:, None] * across[None, :]).astype(np.float32)

    def decal(self, left: float, low: float, picture: Image.Image) -> None:
        """Paste an RGBA picture of this surface's scale, visible in RGB only."""
        pixels = np.asarray(picture, np.float32)[::-1] / 255
        rows, cols = self.region(left, low, 0, 0)
        place = self.albedo[rows.start :, cols.start :][: pixels.shape[0], : pixels.shape[1]]
        pixels = pixels[: place.shape[0], : place.shape[1]]
        opacity = pixels[..., 3:] * 0.88
        place += opacity * (pixels[..., :3] ** 2.2 * 0.8 - place)


def lettering(
    text: str, size: int, ink: tuple[int, int, int], outline: tuple[int, int, int], stroke: int
) -> Image.Image:
    """Draw a line of text ``size`` pixels high on a transparent RGBA picture."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text, stroke_width=stroke))
    picture = Image.new("RGBA", (right - left + 4, bottom - top + 4), (*outline, 0))
    ImageDraw.Draw(picture).text(
        (2 - left, 2 - top), text, (*ink, 255), font, stroke_width=stroke, stroke_fill=outline
    )
    return picture
