"""A target and the guide to read beside it, cut into tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.guided.calibration import Calibration, ChannelCalibration
from cmsr.guided.candidates import Candidates
from cmsr.guided.channel import Channel, Damping, Level
from cmsr.guided.held_out import kept_pixels
from cmsr.guided.view import View
from cmsr.io.guide_reader import GuideReader
from cmsr.operators.resampling import Box, Kernel, resampler, shape_of
from cmsr.pair import Pair
from cmsr.priors.learned import named_prior
from cmsr.registration.alignment import Alignment
from cmsr.registration.coarse_search import Registration
from cmsr.registration.transforms import sample
from cmsr.tiling import Plan

REACH = 3
"""Pixels beside a place at which a guide is read that take part in the interpolation."""

KNOWN = 0.99
"""Share of a place that must be known where a guide with holes is interpolated or reduced."""


class Sample(NamedTuple):
    """A box of the target: the candidates for its channels and, where it takes part, its guide."""

    candidates: list[Candidates]
    view: View | None = None


@dataclass(frozen=True)
class Source:
    """The source of the tiles of one result.

    Attributes
    ----------
    pair : Pair
        The whole target, normalised; it holds no guide.
    guide : GuideReader or None
        The guide, as it lies in its file.
    plan : Plan
        How the result is cut.
    config : Config
        ``solver_iterations``, ``denoising_rounds``, ``prior``, ``seed`` and ``align`` count.
    kept : Tensor, shape (h, w)
        0 where pixels of the target are held out, else 1.
    near : Registration or None
        Where the guide lies, affinely, if that was searched for already.
    """

    pair: Pair
    guide: GuideReader | None
    plan: Plan
    config: Config
    kept: Tensor
    near: Registration | None = None

    @classmethod
    def of(
        cls,
        pair: Pair,
        guide: GuideReader | None,
        config: Config,
        plan: Plan | None = None,
        near: Registration | None = None,
    ) -> Source:
        """Cut a pair up, and choose the pixels that are held out."""
        target = pair.target.shape[-2], pair.target.shape[-1]
        kept = kept_pixels(torch.ones_like(pair.valid[0, 0]), config.seed)
        return cls(pair, guide, plan or Plan.of(target, pair.shape), config, kept, near)

    @property
    def ratio(self) -> float:
        """Pixels of the result per pixel of the target, the larger of both axes."""
        return max(self.pair.ratio)

    @property
    def whole(self) -> Box:
        """The box of the target that is all of it."""
        return 0, 0, *self.plan.target

    def part(self, box: Box) -> Pair:
        """Return a box of the target as a pair, with its guide as it lies in its file."""
        fine = self.plan.fine(box)
        guide = None if self.guide is None else self.guide.read(fine)[None]
        return self.pair.part(box, (fine[2] - fine[0], fine[3] - fine[1]), guide)

    def shown(self, box: Box) -> Pair:
        """Return a box as `part` does, measured only where the guide is known."""
        part, fine = self.part(box), self.plan.fine(box)
        known = None if self.guide is None else self.guide.read_known(fine)[1]
        if known is None or known.all():
            return part
        reduce = resampler(shape_of(known), shape_of(part.target), device=str(known.device))
        return replace(part, valid=part.valid * (reduce(known) > KNOWN).to(known))

    def channels(
        self, box: Box, kernel: Kernel, calibrated: Sequence[ChannelCalibration]
    ) -> list[Channel]:
        """Return the channels of a box of the target."""
        inside = np.s_[box[0] : box[2], box[1] : box[3]]
        device = str(self.pair.target.device)
        reduce = self.plan.reducer(box, kernel, device)
        enlarge = self.plan.enlarger(box, device)
        fine, prior = self.plan.fine(box), named_prior(self.config.prior)
        return [
            Channel(
                y[inside],
                self.pair.measured(number)[inside],
                reduce,
                enlarge,
                self.ratio,
                self.config.solver_iterations,
                Level(found.mean, found.contrast),
                found.noise,
                Damping(found.dampings),
                fine[:2],
                prior,
            )
            for number, (y, found) in enumerate(zip(self.pair.target[0], calibrated, strict=True))
        ]

    def sample(self, box: Box, kernel: Kernel, calibrated: Sequence[ChannelCalibration]) -> Sample:
        """Return the candidates for each channel of a box of the target, none made yet."""
        kept = self.kept[box[0] : box[2], box[1] : box[3]]
        return Sample(
            [
                Candidates(channel, channel.valid * kept, found.straightness, found.dampings)
                for channel, found in zip(
                    self.channels(box, kernel, calibrated), calibrated, strict=True
                )
            ]
        )

    def view(self, box: Box, calibration: Calibration) -> View:
        """Return the guide in place over a box of the target."""
        guide, seen = self.registered(box, calibration.alignment)
        level = Level(*calibration.brightness)
        return View(guide, seen, calibration.mixing_matrix(guide), level, self.ratio)

    def registered(self, box: Box, alignment: Alignment | None) -> tuple[Tensor, Tensor]:
        """Return the guide (G, H, W) in place over a box of the target, and where it reaches.

        Raises
        ------
        ValueError
            If there is no guide.
        """
        if self.guide is None:
            raise ValueError("there is no guide")
        fine = self.plan.fine(box)
        if alignment is None or not alignment.stages:
            return self.guide.read_known(fine)
        size = torch.tensor(self.plan.result[::-1])
        rows, cols = (torch.arange(*fine[axis::2]) + 0.5 for axis in (0, 1))
        place = torch.stack(torch.meshgrid(cols, rows, indexing="xy"), -1)[None]
        grid, shown = alignment.placed(2 * place / size - 1)
        place = (grid + 1) / 2 * size
        first = place.amin((0, 1, 2)).long() - REACH
        last = place.amax((0, 1, 2)).long() + REACH + 1
        left, top = (int(x) for x in first.clamp(min=0).minimum(size - 1))
        right, bottom = (int(x) for x in last.minimum(size).maximum(torch.tensor([left, top]) + 1))
        guide, known = self.guide.read_known((top, left, bottom, right))
        corner, extent = torch.tensor([left, top]), torch.tensor([right - left, bottom - top])
        grid = (2 * (place - corner) / extent - 1).to(guide)
        reached = shown[0].to(guide)
        if not known.all():
            reached = reached * (sample(known[None, None], grid)[0, 0] > KNOWN).to(guide)
        return sample(guide[None], grid, "bicubic")[0], reached
