"""The result's frame: the target's field of view, as fine as the photo shows it, or as asked for.

A photo that shows another field is found in it and resampled once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor

from cmsr.config import Config
from cmsr.io.guide_reader import GuideReader, colours_of
from cmsr.io.inputs import Photo
from cmsr.io.raster import Raster, fitted
from cmsr.operators.resampling import Window, resampler, shape_of
from cmsr.pair import Pair, asked_shape
from cmsr.parallel import pooled, together
from cmsr.registration.coarse_search import Registration, search
from cmsr.registration.coarse_to_fine import LEAST_CONFIDENCE
from cmsr.registration.far_search import reduced_size
from cmsr.registration.known_fields import fields_in_files, known_field
from cmsr.registration.placement import Placement, Prior, place
from cmsr.registration.points import placed_by
from cmsr.registration.rig import Rig, placed_by_rig
from cmsr.registration.transforms import Affine, Size, identity_grid
from cmsr.registration.view import colours

LOOKED_AT = 1280
"""Longer side of the photo that is searched: two per pixel of a target of 160, four fields."""

LEAST_SEARCHED = 32, 64
"""Least sides of target and photo, in pixels, that are searched from far away: of seven aligned
targets of 24 × 24, two were placed wrongly, and were sure of it."""

SAME_SCALE = 0.08
"""Logarithm of a scale up to which the photo counts as showing the target's field."""

LEAST_STEP = 1.25
"""Pixels of the photo per one of the result up to which it is read as it is: smoothing it for less
costs its finest detail, up to 2 dB (EXPERIMENTS.md, "Photos that show another field")."""


BESIDE = 24
"""Pixels beside the part of a photo that is read: there a spline's weights are below 1e-13."""


HELD = 2**26
"""Pixels of a photo up to which it is read once and held, not read again wherever it is used."""


class Found(NamedTuple):
    """Where the target's field lies in a photo.

    Attributes
    ----------
    placement : Placement or None
        None where it is the photo's own, or nobody knows.
    notes : tuple of str
        For the user.
    near : Registration or None
        What the search near the photo's own field gave, where that counts.
    """

    placement: Placement | None = None
    notes: tuple[str, ...] = ()
    near: Registration | None = None


class Framed(NamedTuple):
    """A photo on the target's field, and where it was found."""

    photo: Photo
    found: Found = Found()


def framed(target: Raster, photo: Photo, config: Config, rig: Rig | None = None) -> Framed:
    """Bring a photo to the target's field and the result's size.

    A photo that shows it within
    a few percent stays as it is, but for its size where another one is asked for.
    """
    if not photo.placed and math.prod(photo.shape) <= HELD:
        photo = Photo.of(photo.whole)
    found = _found(target, photo, config, rig)
    asked, place = asked_shape(target.shape, config), found.placement
    if place is None:
        if asked is None or asked == photo.shape:
            return Framed(photo, found)
        return Framed(Photo.of(_resized(photo.whole, asked)), found._replace(near=None))
    ratio = max(1, round(math.sqrt(place.fineness[0] * place.fineness[1])))
    shape = asked or (target.shape[0] * ratio, target.shape[1] * ratio)
    if max(shape) > 1.5 * ratio * max(target.shape):
        coarse = f"{photo.name}: its pixels are only {ratio} times as fine as the target's"
        found = found._replace(notes=(*found.notes, coarse))
    return Framed(Photo.of(placed_on(photo.whole, place, shape)), found)


def _found(target: Raster, photo: Photo, config: Config, rig: Rig | None) -> Found:
    """Return where the target's field lies."""
    if config.points is not None:
        found, said = placed_by(config.points, target.shape, photo.shape)
        return Found(found, (said,))
    if rig is not None:
        return _found_by(rig, target, photo, moved=config.align != "off")
    if photo.placed or config.align == "off" or not large(target.shape, photo.shape):
        return Found()
    if Pair.of(target, target.shape).blank:
        return Found()
    seen, valid, small = looked_at(target, photo)
    field = known_field(config, target.shape, photo.shape)
    known = None if field is None else Prior.of(field)
    sizes = target.shape, photo.shape
    told = [] if known else fields_in_files(target.name, photo.name, sizes)
    best, near = pooled(lambda: _searched(seen, valid, small, known, told))
    if best is None:
        return Found(near=near)
    return Found(_rescaled(best, photo.shape), (f"{photo.name}: {best.text()}",))


def _found_by(rig: Rig, target: Raster, photo: Photo, *, moved: bool) -> Found:
    """Return the place that a rig gives, moved for parallax, unless the files tell another."""
    if photo.placed:
        said = "the rig is not used, because the files already place the photo"
        return Found(notes=(f"{photo.name}: {said}",))
    found = rig.placement(target.shape, photo.shape)
    if moved and not Pair.of(target, target.shape).blank:
        seen, valid, small = looked_at(target, photo)
        found = _rescaled(pooled(lambda: placed_by_rig(rig, seen, valid, small)), photo.shape)
    return Found(found, (f"{photo.name}: {found.text()}, from the rig",))


def large(target: Size, photo: Size) -> bool:
    """Return whether a target is searched for in a photo at all."""
    return min(target) >= LEAST_SEARCHED[0] and min(photo) >= LEAST_SEARCHED[1]


def looked_at(target: Raster, photo: Photo) -> tuple[Tensor, Tensor, Tensor]:
    """Return a target and its validity (h, w), and the photo (3, H, W), as they are searched."""
    pair = Pair.of(target, target.shape)
    size = reduced_size(photo.shape, LOOKED_AT)
    steps = range(1, 1 + min(n // m for n, m in zip(photo.shape, size, strict=True)))
    thin = thinned(photo, max(k for k in steps if all(n % k == 0 for n in photo.shape)))
    small = colours(GuideReader(thin).reduced(size))
    return pair.target[0].mean(0), pair.valid[0].amin(0), small


def thinned(photo: Photo, step: int) -> Photo:
    """Return the means of blocks of so many pixels a side, of which its sides are multiples."""
    if step == 1 or math.prod(photo.shape) > HELD:
        return photo
    whole = photo.whole
    every = [np.s_[i::step, j::step] for i in range(step) for j in range(step)]
    data = colours_of(whole)[0]
    total = np.zeros(data[:, *every[0]].shape, np.float32)
    for some in every:
        total += data[:, *some]
    valid = np.logical_and.reduce([whole.valid[some] for some in every])
    means = fitted(total.astype(np.float64) / step**2, data.dtype).astype(data.dtype)
    return Photo.of(_like(whole, means, valid))


def shows_same(target: Tensor, valid: Tensor, photo: Tensor) -> bool:
    """Return whether a photo shows the target's field and no other, as far as can be seen."""
    return _same(search(target, photo, valid > 0), shape_of(photo))


def _same(near: Registration, size: Size) -> bool:
    scales = torch.linalg.svdvals(Affine(size).matrix(near.affine)[:, :2]).log().abs()
    return near.confidence >= LEAST_CONFIDENCE and float(scales.max()) < SAME_SCALE


def _searched(
    target: Tensor, valid: Tensor, photo: Tensor, known: Prior | None, told: Sequence[Prior]
) -> tuple[Placement | None, Registration | None]:
    """Search near, then far; no place where the photo shows the target's field, or another scene.

    The fields that the files tell are searched first, but others as well if nothing is found there.
    """
    near = None if known else search(target, photo, valid > 0)
    if near and _same(near, shape_of(photo)):
        return None, near
    for prior in (*told, known or Prior()):
        if found := place(target, valid, photo, prior):
            return (None, near) if found.same_field() else (found, None)
    return None, near


def _rescaled(found: Placement, photo: Size) -> Placement:
    """Return a placement in a photo's own pixels."""
    across, down = photo[1] / found.photo[1], photo[0] / found.photo[0]
    x, y, last = found.matrix
    rows = tuple(across * each for each in x), tuple(down * each for each in y), last
    return replace(found, photo=photo, matrix=rows)


def placed_on(photo: Raster, found: Placement, shape: Size) -> Raster:
    """Resample a photo onto the target's field by cubic splines; what lies outside is not valid."""
    data, _ = colours_of(photo)
    height, width = found.target
    steps = found.fineness[0] * height / shape[0], found.fineness[1] * width / shape[1]
    size = tuple(
        max(1, round(n / step)) if step > LEAST_STEP else n
        for n, step in zip(photo.shape, steps, strict=True)
    )
    extent = np.array(photo.shape[::-1])
    places = found.places(identity_grid(shape, dtype=torch.float64))[0].numpy()
    at = (places * (np.array(size[::-1]) / extent) - 0.5)[..., ::-1].transpose(2, 0, 1)
    colours, corner = _part(photo, data, (size[0], size[1]), at)
    at = at - np.array(corner)[:, None, None]

    def interpolated(band: Tensor) -> npt.NDArray[Any]:
        made = map_coordinates(band.double().numpy(), at, order=3, mode="nearest")
        return fitted(made, data.dtype).astype(data.dtype)

    read = np.stack(together(*(partial(interpolated, band) for band in colours)))
    col, row = np.floor(places).astype(int).transpose(2, 0, 1)
    inside = ((places >= 0) & (places <= extent)).all(-1)
    known = photo.valid[row.clip(0, photo.shape[0] - 1), col.clip(0, photo.shape[1] - 1)]
    return _like(photo, read, known & inside)


def _part(
    photo: Raster, data: npt.NDArray[Any], size: Size, at: npt.NDArray[np.float64]
) -> tuple[Tensor, tuple[int, int]]:
    """Return the part (G, h, w) of a photo at another size that is read at places, and its corner.

    Beside it lies enough that neither splines nor the reduction know that it is a part.
    """
    ends = [
        (int(min(max(axis.min() - BESIDE, 0), n - 1)), int(max(min(axis.max() + BESIDE, n), 1)))
        for axis, n in zip(at, size, strict=True)
    ]
    (top, bottom), (left, right) = ends
    if size == photo.shape:
        return _known(photo, data, np.s_[top:bottom, left:right]), (top, left)
    lows, highs = zip(
        *(
            (int(max(0, (low - BESIDE) * n / m)), math.ceil(min(n, (high + BESIDE) * n / m)))
            for (low, high), n, m in zip(ends, photo.shape, size, strict=True)
        ),
        strict=True,
    )
    window = Window((*lows, *highs), (top, left, bottom, right))
    known = _known(photo, data, np.s_[lows[0] : highs[0], lows[1] : highs[1]])
    return resampler(photo.shape, size, window=window)(known), (top, left)


def placed_labels(
    labels: npt.NDArray[np.int64], found: Placement, shape: Size
) -> npt.NDArray[np.int64]:
    """Read a label image of the photo's size on the target's field, nearest label each."""
    places = found.places(identity_grid(shape, dtype=torch.float64))[0].floor().long().numpy()
    x, y = (
        places[..., axis].clip(0, n - 1) for axis, n in ((0, labels.shape[1]), (1, labels.shape[0]))
    )
    return np.asarray(labels[y, x])


def _resized(photo: Raster, shape: Size) -> Raster:
    """Return a photo of the target's field at another size."""
    data, _ = colours_of(photo)
    made = resampler(photo.shape, shape)(_known(photo, data)).double().numpy()
    rows, cols = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for old, new in zip(photo.shape, shape, strict=True)
    )
    return _like(
        photo, fitted(made, data.dtype).astype(data.dtype), photo.valid[np.ix_(rows, cols)]
    )


def _known(photo: Raster, data: npt.NDArray[Any], box: Any = np.s_[:, :]) -> Tensor:
    """Return a box of a photo's bands (G, h, w), 0 where they are not known."""
    return torch.tensor(np.where(photo.valid[box], data[:, *box], 0).astype(np.float32))


def _like(photo: Raster, data: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> Raster:
    """Return a raster of other values and another place on the ground."""
    profile = {
        name: value for name, value in photo.profile.items() if name not in ("crs", "transform")
    }
    return replace(photo, data=data, valid=valid, by_band=None, alpha=False, profile=profile)
