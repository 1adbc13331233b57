"""The way in for everything that works on a pair: read, checked, normalised."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from affine import Affine

from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.guided.other_frames import Frame
from cmsr.guided.source import Source
from cmsr.io import inputs
from cmsr.io.guide_reader import GuideReader, as_tensor
from cmsr.io.raster import Raster, fill_holes
from cmsr.io.result_size import check_pixels
from cmsr.operators.resampling import Kernel
from cmsr.pair import SWAPPED, Pair, output_shape
from cmsr.priors.learned import named_prior
from cmsr.progress import PLACING, READING, Progress, begin
from cmsr.registration.framing import Found, framed, placed_labels
from cmsr.registration.placement import Placement
from cmsr.registration.rig import read_rig
from cmsr.sensor.imaging import named_kernel


@dataclass(frozen=True)
class Opened:
    """A pair that was read and checked.

    Attributes
    ----------
    target : Raster
        As it was read, holes marked.
    guide : GuideReader or None
        Where boxes of the guide come from.
    pair : Pair
        The target, normalised, without the guide.
    kernel : str or PointSpread or None
        The kernel that the options name; None where it is to be found.
    config : Config
        The options.
    notes : tuple of str
        What the user should know of the pair.
    found : Found
        Where the target's field lies in the photo.
    frames : tuple of Frame
        Other frames of the series.
    started : float
        When work began, by `time.perf_counter`.
    """

    target: Raster
    guide: GuideReader | None
    pair: Pair
    kernel: Kernel | None
    config: Config
    notes: tuple[str, ...]
    found: Found = field(default_factory=Found)
    started: float = field(default_factory=time.perf_counter)
    frames: tuple[Frame, ...] = ()

    @property
    def placement(self) -> Placement | None:
        """Where the target's field lies in the photo; None where it is the photo's own."""
        return self.found.placement

    @property
    def photo(self) -> Raster:
        """The whole guide as it is stored.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.guide is None:
            raise ValueError("the pair has no guide")
        return self.guide.photo.whole

    @property
    def placed_photo(self) -> Raster:
        """The same at the target's place on the ground, which it covers, if the target has one."""
        photo, own = self.photo, self.target.profile
        place = own.get("transform", Affine.identity())
        if place.is_identity:
            return photo
        down, across = (n / m for n, m in zip(self.target.shape, photo.shape, strict=True))
        kept = {key: value for key, value in photo.profile.items() if key not in ("gcps", "rpcs")}
        there = {"crs": own.get("crs"), "transform": place * Affine.scale(across, down)}
        return replace(photo, profile=kept | there)

    @cached_property
    def source(self) -> Source:
        """The pair, cut into tiles."""
        source = Source.of(self.pair, self.guide, self.config, near=self.found.near)
        return replace(source, frames=self.frames)

    @property
    def whole(self) -> Pair:
        """The pair with all of its guide."""
        return self.source.part(self.source.whole)


def opened(
    target: inputs.Source,
    guide: inputs.Source | None,
    config: Config,
    *,
    lazily: bool = False,
    guided: bool = False,
    progress: Progress | None = None,
) -> Opened:
    """Read and check a pair: the way in for everything that works on one.

    Parameters
    ----------
    target, guide : path, array or Raster
        As for `cmsr.upscale`.
    config : Config
        The options.
    lazily : bool
        Whether a guide in a file stays there, to be read box by box.
    guided : bool
        Whether there must be a guide.
    progress : callable, optional
        Told the stage.

    Raises
    ------
    InputError
        If an image cannot be used, or a guide is missing.
    OptionError
        If an option has no such value.
    """
    started = time.perf_counter()
    begin(progress, READING)
    device, kernel = device_of(config.device), named_kernel(config.kernel)
    named_prior(config.prior)  # refused before anything is read
    read = inputs.read_pair(target, guide, config, lazily=lazily)
    raster, photo, read_notes = _checked(read, guided)
    labels = inputs.read_segments(photo, config)
    begin(progress if photo else None, PLACING)
    rig = read_rig(config.rig) if config.rig_file else None
    found = Found()
    if photo is not None:
        photo, found = framed(raster, photo, config, rig)
    shape = output_shape(raster, photo, config)
    placement = found.placement
    if labels is not None and placement is not None:
        labels = placed_labels(labels, placement, shape)
    check_pixels(raster.name, shape, config)
    if photo is not None and placement is None:
        raster = _georeferenced(raster, photo)
    pair = Pair.of(raster, shape, fill=config.fill, bounds=config.bounds, segments=labels).to(
        device
    )
    if rig is not None and kernel is None:
        kernel = rig.kernel_at(pair.ratio)
    reader = None if photo is None else GuideReader(photo, device)
    parts = [part for part in (found, pair, reader) if part is not None]
    notes = (*read_notes, *(note for part in parts for note in part.notes))
    return Opened(raster, reader, pair, kernel, config, notes, found, started)


def _checked(read: inputs.Inputs, guided: bool) -> inputs.Inputs:
    """Refuse a pair whose images are swapped, or without a photo where there must be one."""
    if guided and read.guide is None:
        raise InputError(f"{read.target.name}: holds no photo; name one as the guide")
    if read.guide is not None:
        _check_order(read.target, read.guide)
    return read


def with_frames(pair: Opened, frames: Sequence[inputs.Source]) -> Opened:
    """Add other frames of the series; a note names those that cannot be used, and why."""
    if pair.pair.blank:
        return pair
    found, notes = [], []
    for source in frames:
        try:
            raster = inputs.read_pair(source, None, pair.config).target
        except InputError as error:
            notes.append(f"{error}; it does not take part")
            continue
        if raster.data.shape == pair.target.data.shape:
            found.append(_frame(pair.pair, raster))
        else:
            notes.append(f"{raster.name}: is of another size, and does not take part")
    return replace(pair, frames=tuple(found), notes=(*pair.notes, *notes))


def _frame(pair: Pair, raster: Raster) -> Frame:
    """Bring a frame to a pair's normalised units, its holes filled."""
    values = np.where(raster.measured, raster.data, 0).astype(np.float64)
    values = values - pair.surfaces(raster.shape) - pair.offset
    values = values / np.where(pair.scale > 0, pair.scale, 1)
    like = pair.target
    measured = np.broadcast_to(raster.measured, values.shape)
    filled = as_tensor(fill_holes(np.where(measured, values, 0), raster.measured))
    valid = as_tensor(measured.astype(np.float32))
    return Frame(filled[0].to(like), valid[0].to(like), raster.name)


def _check_order(target: Raster, photo: inputs.Photo) -> None:
    """Refuse a grey guide that is smaller than a target in colours: these are swapped."""
    smaller = all(n < m for n, m in zip(photo.shape, target.shape, strict=True))
    if smaller and len(target.data) in (3, 4) and len(photo.read((0, 0, 1, 1)).data) == 1:
        raise InputError(
            f"{photo.name}: {SWAPPED}the guide is {photo.shape[1]} × {photo.shape[0]} pixels in "
            f"one band, smaller than the target's {target.shape[1]} × {target.shape[0]} in "
            f"{len(target.data)}"
        )


def _georeferenced(target: Raster, photo: inputs.Photo) -> Raster:
    """Give a target without a place on the ground that of the photo that covers its area."""
    own = target.profile
    if not own.get("transform", Affine.identity()).is_identity or (own.get("gcps") or ([],))[0]:
        return target
    theirs = photo.read((0, 0, 1, 1)).profile
    place = theirs.get("transform", Affine.identity())
    if place.is_identity:
        return target
    down, across = (n / m for n, m in zip(photo.shape, target.shape, strict=True))
    return replace(
        target,
        profile={**own, "crs": theirs.get("crs"), "transform": place * Affine.scale(across, down)},
    )


def device_of(name: str) -> str:
    """Return where to compute.

    Raises
    ------
    OptionError
        If there is no such device.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise OptionError("device is 'cuda', but no CUDA GPU is available; choose cpu or auto")
    return "cuda" if available and name != "cpu" else "cpu"
