"""Pairs with their truths as training data: exact grids, random patches, folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.operators.resampling import resampler, shape_of
from cmsr.two_branch.examples import turn
from cmsr_bench.cases import Case


@dataclass(frozen=True)
class TrainingPair:
    """A pair whose truth is known, normalised as `Pair` does.

    Attributes
    ----------
    name : str
        For messages.
    digests : tuple of str
        See `Case.image_digests`.
    target : Tensor, shape (1, 1, h, w)
    guide : Tensor, shape (1, 3, scale · h, scale · w)
    truth : Tensor, shape (1, 1, scale · h, scale · w)
    span : float
        A normalised value of 1 as a share of the peak of PSNR.
    """

    name: str
    digests: tuple[str, ...]
    target: Tensor
    guide: Tensor
    truth: Tensor
    span: float

    @classmethod
    def of(cls, case: Case, scale: int) -> Self:
        """Read a pair; guide and truth are resampled where their grid is not quite the factor's.

        Raises
        ------
        InputError
            If truth or guide is missing, the truth has holes, the target is constant or has several
            channels, or the ratio is another.
        """
        opened, truth = case.opened(Config()), case.true_image()
        if truth is None or opened.guide is None:
            raise InputError(f"{case.label}: training needs a guide and a truth")
        if not truth.valid.all():
            raise InputError(f"{case.label}: training needs a truth without holes")
        pair = opened.whole.to("cpu")
        if len(truth.data) != 1 or pair.target.shape[1] != 1 or pair.blank:
            raise InputError(f"{case.label}: training needs a target of one channel, not constant")
        if truth.shape != pair.shape or any(abs(r / scale - 1) > 0.05 for r in pair.ratio):
            raise InputError(f"{case.label}: is not a pair for a factor of {scale}")
        low = shape_of(pair.target)
        exact = resampler(pair.shape, (low[0] * scale, low[1] * scale))
        normal = (truth.data.astype(np.float64) - pair.offset) / pair.scale
        peak = 255.0 if truth.data.dtype == np.uint8 else float(np.ptp(truth.data))
        return cls(
            name=case.label,
            digests=case.image_digests,
            target=pair.target,
            guide=exact(coloured(pair.photo)[None]),
            truth=exact(torch.from_numpy(normal.astype(np.float32))[None]),
            span=float(pair.scale[0, 0, 0]) / peak,
        )

    def patch(self, side: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Cut a random square of ``side`` target pixels, turned and mirrored at random."""
        height, width = shape_of(self.target)
        scale = self.truth.shape[-1] // width
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))

        def cut(x: Tensor, factor: int) -> Tensor:
            rows = slice(top * factor, (top + side) * factor)
            cols = slice(left * factor, (left + side) * factor)
            return turn(x[..., rows, cols], turns, mirror)

        return cut(self.target, 1), cut(self.guide, scale), cut(self.truth, scale)


def coloured(guide: Tensor) -> Tensor:
    """Give a guide (G, H, W) three channels."""
    return guide[[min(band, len(guide) - 1) for band in range(3)]]


def batch(
    pairs: Sequence[TrainingPair], size: int, side: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw patches: targets, guides, truths, each (size, channels, …)."""
    chosen = [pairs[int(rng.integers(len(pairs)))] for _ in range(size)]
    side = min(side, *(min(shape_of(k.target)) for k in pairs))
    targets, guides, truths = zip(*(k.patch(side, rng) for k in chosen), strict=True)
    return torch.cat(targets), torch.cat(guides), torch.cat(truths)


def folded(pairs: Sequence[TrainingPair], folds: int) -> list[list[TrainingPair]]:
    """Divide pairs into folds; neighbours, and pairs of one scene, stay together.

    Raises
    ------
    OptionError
        If there are fewer scenes than folds.
    """
    scenes: list[list[TrainingPair]] = []
    for pair in pairs:
        joined, others = [pair], list[list[TrainingPair]]()
        for group in scenes:
            if any({*pair.digests} & {*other.digests} for other in group):
                joined = [*group, *joined]
            else:
                others.append(group)
        scenes = [*others, joined]
    if len(scenes) < folds:
        raise OptionError(f"folds is {folds}; these pairs show {len(scenes)} scenes only")
    dealt: list[list[TrainingPair]] = [[] for _ in range(folds)]
    for index, group in enumerate(scenes):
        dealt[index * folds // len(scenes)] += group
    return dealt
