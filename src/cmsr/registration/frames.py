"""Where another frame of the same camera lies over this one, to a fraction of a pixel.

The motion is affine. It is found from what the camera would have seen from between its pixels of an
estimate of the scene, so that the frames' aliasing does not bias it; level and contrast may drift
from frame to frame, and what moves by itself is left out by robust weights.

References
----------
S. Baker, I. Matthews, "Lucas-Kanade 20 Years On", IJCV 56(3), 2004; B. S. Reddy, B. N. Chatterji,
"An FFT-Based Technique for Translation, Rotation, and Scale-Invariant Image Registration", IEEE
Trans. Image Processing 5(8), 1996, for the start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

Array = npt.NDArray[np.float64]
Box = tuple[int, int, int, int]

WIDTHS = (2.0, 1.0, 0.0, 0.0)
"""Blur of both frames, in pixels, from step to step of the search."""

ITERATIONS = 8
"""Gauss-Newton steps at each blur, at most."""

SETTLED = 2e-3
"""Motion of a corner, in pixels, below which no more steps are taken."""

OUTLIER = 4.6851
"""Tukey's constant, in standard deviations."""

LEAST_COVER = 0.25
"""Share of a frame that must lie on this one."""


@dataclass(frozen=True)
class Motion:
    """Where the pixels of a frame lie in another one.

    Attributes
    ----------
    down, across : (float, float, float)
        How far a pixel lies from its place in the frame, in pixels: so many times its row, counted
        from the centre on in halves of the longer side, so many times its column, plus a constant.
    gain, offset : float
        The frame's values are so many times the other's, plus this.
    centre, half : (float, float), float
        Row and column of the centre, and half of the longer side.
    """

    down: tuple[float, float, float]
    across: tuple[float, float, float]
    gain: float
    offset: float
    centre: tuple[float, float]
    half: float

    @classmethod
    def still(cls, box: Box, down: float = 0.0, across: float = 0.0) -> Motion:
        """Return the shift of a box (top, left, bottom, right)."""
        top, left, bottom, right = box
        centre = (top + bottom - 1) / 2, (left + right - 1) / 2
        half = max(bottom - top, right - left) / 2
        return cls((0, 0, down), (0, 0, across), 1.0, 0.0, centre, half)

    def terms(self, rows: Array, cols: Array) -> Array:
        """Return row, column and 1 of some pixels, (3, M), as the motion counts them."""
        down, across = ((n - c) / self.half for n, c in zip((rows, cols), self.centre, strict=True))
        return np.stack([down, across, np.ones_like(down)])

    def moved(self, rows: Array, cols: Array) -> tuple[Array, Array]:
        """Return where some pixels lie in the other frame."""
        terms = self.terms(rows, cols)
        return rows + np.array(self.down) @ terms, cols + np.array(self.across) @ terms

    def changed(self, by: Array) -> Motion:
        """Add to its parameters, (8,)."""
        down, across, level = np.split(
            np.array([*self.down, *self.across, *self.level]) + by, (3, 6)
        )
        return replace(
            self,
            down=tuple(down.tolist()),
            across=tuple(across.tolist()),
            gain=float(level[0]),
            offset=float(level[1]),
        )

    @property
    def level(self) -> tuple[float, float]:
        """Gain and offset."""
        return self.gain, self.offset

    @property
    def largest(self) -> float:
        """The largest displacement of a pixel in a square around the box, about."""
        return float(np.hypot(*(np.abs(each).sum() for each in (self.down, self.across))))


@dataclass(frozen=True)
class View:
    """What the camera would have seen from between its pixels, in a box of its frame.

    Attributes
    ----------
    image : array, shape (h · q, w · q)
    phases : int
        q, places in a pixel along each axis.
    box : (int, int, int, int)
        Top, left, bottom and right.
    """

    image: Array
    phases: int
    box: Box

    def blurred(self, width: float) -> View:
        """Blur it by so many pixels of the camera."""
        if width == 0:
            return self
        return replace(self, image=ndimage.gaussian_filter(self.image, width * self.phases))

    def pixels(self) -> tuple[Array, Array]:
        """Return rows and columns of the camera's pixels in the box, each (h · w,)."""
        top, left, bottom, right = self.box
        rows, cols = np.mgrid[top:bottom, left:right].astype(float).reshape(2, -1)
        return rows, cols

    def inside(self, rows: Array, cols: Array) -> npt.NDArray[np.bool_]:
        """Return which places lie in it."""
        top, left, bottom, right = self.box
        down = (rows > top - 0.5) & (rows < bottom - 0.5)
        return down & (cols > left - 0.5) & (cols < right - 0.5)

    def fine(self, rows: Array, cols: Array) -> tuple[Array, Array]:
        """Return places in pixels of ``image``."""
        down, across = rows - self.box[0], cols - self.box[1]
        return (down + 0.5) * self.phases - 0.5, (across + 0.5) * self.phases - 0.5

    def read(self, rows: Array, cols: Array) -> tuple[Array, Array, Array]:
        """Return values and slopes (down, across) at places, in pixels of the camera."""
        place = np.stack(self.fine(rows, cols))
        value, down, across = (
            ndimage.map_coordinates(layer, place, order=1, mode="mirror")
            for layer in (self.image, *self._slopes)
        )
        return value, down, across

    @cached_property
    def _slopes(self) -> list[Array]:
        down, across = np.gradient(self.image)
        return [np.asarray(down * self.phases), np.asarray(across * self.phases)]


def find_motion(view: View, frame: Array, valid: npt.NDArray[np.bool_]) -> Motion | None:
    """Find where a frame lies in what was seen; None where too little of it lies there.

    Parameters
    ----------
    view : View
        Of the scene as it is known.
    frame, valid : array, shape (h, w)
        The same box of the frame, holes filled, and where it was measured.
    """
    height, width = frame.shape
    low = view.image.reshape(height, view.phases, width, view.phases).mean((1, 3))
    starts = Motion.still(view.box), Motion.still(view.box, *shift(low, frame))
    found = [_refined(view, frame, valid, start) for start in starts]
    motion, error = min(found, key=lambda each: each[1])
    return motion if np.isfinite(error) else None


def levelled(view: View, frame: Array, valid: npt.NDArray[np.bool_], at: Motion) -> Motion:
    """Return a motion with the gain and offset that hold for another channel."""
    level = replace(at, gain=1.0, offset=0.0)
    for _ in range(ITERATIONS):
        step = _step(view, frame.ravel(), valid.ravel(), level, moving=False)
        if step is None:
            return at
        level = step[0]
    return level


def shift(first: Array, second: Array) -> tuple[float, float]:
    """Return how far down and across a second image lies in a first, by phase correlation."""
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in first.shape))
    one, two = (fft.rfft2((each - each.mean()) * window) for each in (first, second))
    cross = two.conj() * one
    power = fft.irfft2(cross / (np.abs(cross) + 1e-12) ** 0.5, s=first.shape)
    peak = np.array(np.unravel_index(int(power.argmax()), power.shape))
    down, across = np.where(peak > np.array(power.shape) / 2, peak - power.shape, peak)
    return float(down), float(across)


def _refined(
    view: View, frame: Array, valid: npt.NDArray[np.bool_], at: Motion
) -> tuple[Motion, float]:
    """Descend by Gauss and Newton's steps; return also the robust spread of what is left."""
    error = float("inf")
    for width in WIDTHS:
        seen, goal = view.blurred(width), ndimage.gaussian_filter(frame, width) if width else frame
        for _ in range(ITERATIONS):
            step = _step(seen, goal.ravel(), valid.ravel(), at)
            if step is None:
                return at, float("inf")
            before, (at, error) = at, step
            parts = zip((*at.down, *at.across), (*before.down, *before.across), strict=True)
            if sum(abs(now - then) for now, then in parts) < SETTLED:
                break
    return at, error


def _step(
    view: View,
    goal: Array,
    valid: npt.NDArray[np.bool_],
    at: Motion,
    *,
    moving: bool = True,
) -> tuple[Motion, float] | None:
    """Take one step; return also the robust spread of what was left before it."""
    pixels = view.pixels()
    rows, cols = at.moved(*pixels)
    inside = view.inside(rows, cols) & valid
    if inside.sum() < LEAST_COVER * goal.size:
        return None
    value, down, across = view.read(rows[inside], cols[inside])
    terms = at.terms(*pixels)[:, inside] * moving
    rest = goal[inside] - at.gain * value - at.offset
    spread = 1.4826 * float(np.median(np.abs(rest - np.median(rest)))) + 1e-12
    trust = np.clip(1 - (rest / (OUTLIER * spread)) ** 2, 0, None) ** 2
    slopes = [*(at.gain * down * terms), *(at.gain * across * terms), value, np.ones_like(value)]
    design = np.stack(slopes, 1)
    normal = (design * trust[:, None]).T @ design
    damped = normal + np.diag(1e-6 * normal.diagonal() + 1e-12)
    return at.changed(np.linalg.solve(damped, (design * trust[:, None]).T @ rest)), spread
