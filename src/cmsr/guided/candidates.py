"""The candidates for one channel of a tile, and what held-out pixels say of them.

From one closed-form estimate several priors each make their own image that agrees with the
measurement. All are made twice: from all pixels, and with a fifth of them held out. How well the
second predicts the held-out pixels decides, region by region, how much of the first is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from cmsr.guided.channel import Channel, Damping, Dampings
from cmsr.guided.expected_error import gain_of
from cmsr.guided.held_out import CONTROL, Error, local_error, region_weights
from cmsr.guided.learned_share import LearnedShare
from cmsr.guided.restorations import guide_free, guided
from cmsr.guided.transfer import STRENGTH, Fit, transferred
from cmsr.guided.view import View
from cmsr.operators.resampling import Resampler, Shape, resampler, shape_of
from cmsr.parallel import ahead, both, together

FINENESS = 2.0
"""Pixels of the result per one of the target at which a guide is registered, and its control made:
it tells where a guide lies, and whether it tells anything, as well as finer."""


class Gain(NamedTuple):
    """Held-out errors of the linear estimate: without and with the guide, and with control guides.

    The last two are errors of a coarser estimate, without a guide and with the better control.
    """

    free: Error
    guided: Error
    coarse: Error
    control: Error

    @property
    def gain(self) -> float:
        """By how many dB held-out pixels are predicted better with the guide."""
        return self.free.db - self.guided.db

    @property
    def control_gain(self) -> float:
        """The same for a guide displaced on purpose."""
        return self.coarse.db - self.control.db

    @classmethod
    def pooled(cls, tiles: Sequence[Gain]) -> Gain:
        """Return the errors over several tiles."""
        return cls(*(Error.pooled(list(errors)) for errors in zip(*tiles, strict=True)))


class Candidates:
    """All candidates for one channel of a tile.

    Parameters
    ----------
    channel : Channel
        The measurement.
    kept : Tensor, shape (h, w)
        1 where a pixel is measured and not held out.
    straightness : float
        How far the target consists of straight, sharp edges, 0 to 1.
    dampings : mapping, optional
        Where pixels are held out, see `cmsr.guided.channel.Dampings`.

    Notes
    -----
    What was made once is kept. Rounds are those of denoising without the guide.
    """

    def __init__(
        self,
        channel: Channel,
        kept: Tensor,
        straightness: float,
        dampings: Dampings | None = None,
    ) -> None:
        self.channel, self.straightness = channel, straightness
        self._partial = replace(channel, valid=kept, damping=Damping(dampings), others=None)
        self._hidden = channel.valid - kept
        self._judged: Tensor | None = None
        self._free: Tensor | None = None
        self._free_start: Tensor | None = None
        self._free_held_out: Tensor | None = None
        self._start: list[Tensor] = []
        self._predicted: dict[bool, Tensor] = {}
        self._learned = LearnedShare(channel, self._partial, self._hidden)
        self._begun: Callable[[], tuple[Tensor, list[Tensor]]] | None = None

    def free(self, rounds: int) -> Tensor:
        """Return the image (H, W) without a guide."""
        if self._free is None:
            estimate = self.channel.estimate(None)
            self._free = guide_free(self.channel, estimate, self.straightness, rounds)
        return self._free

    @property
    def noted(self) -> Damping:
        """The dampings measured where pixels are held out."""
        return self._partial.damping

    def free_held_out(self, rounds: int) -> Tensor:
        """Return the image (H, W) without a guide, pixels held out."""
        if self._free_held_out is None:
            start = self._free_started()
            self._free_held_out = guide_free(self._partial, start, self.straightness, rounds)
        return self._free_held_out

    def prior_errors(self, rounds: int) -> list[Error]:
        """Return the held-out errors without a guide, without and with a learned prior, if any."""
        if self.channel.prior is None:
            return []
        return self._learned.errors(self.free_held_out(rounds))

    def unguided(self, rounds: tuple[int, int], errors: tuple[float, ...]) -> Tensor:
        """Return the image (H, W) without a guide, a learned prior's share included.

        Rounds are from all pixels and where some are held out; ``errors`` the means of
        `prior_errors`.
        """
        free = self.free(rounds[0])
        if not errors:
            return free
        return self._learned.mixed(free, self.free_held_out(rounds[1]), errors)

    def begin(self, view: View, rounds: int) -> None:
        """Let a thread with nothing else to do make what `mixed` needs next."""
        self._begun = ahead(lambda: self._found(view, rounds))

    def hidden(self, view: View) -> Tensor:
        """Return 1 where a pixel is held out and the guide reaches, (h, w)."""
        if self._judged is None:
            self._judged = self._hidden * (self.channel.reduce(view.seen) > 0.99)
        return self._judged

    def gain(self, view: View, control: bool = True) -> Gain:
        """Compare what the linear estimate predicts with the guide and without."""
        errors = [self._error(self._partial, x, view) for x in self._started(view)]
        coarse = self._controlled(view) if control else [Error(0, 0)] * 2
        return Gain(*errors, *coarse)

    @property
    def _may_trust(self) -> bool:
        """Whether there is more to make of a guide that proved itself: not of straight steps."""
        return self.straightness == 0

    def predicted(self, view: View, rounds: int, trusting: bool = True) -> Tensor:
        """Return each candidate's prediction of the target, held-out pixels and all, (K, h, w).

        The first does without the guide, in so many rounds. What the cautious ones predict proves
        a guide; `mixed` is made of the ``trusting`` ones, which any guide helps to predict.
        """
        trusting = trusting and self._may_trust
        if trusting not in self._predicted:
            free, estimate = self._started(view)
            if trusting:
                estimate = self._partial.estimate(view.all_features, trusting)
            others = guided(self._partial, free, estimate, view, self.straightness, trusting)
            found = [self.free_held_out(rounds), *others]
            self._predicted[trusting] = torch.stack([self.channel.reduce(x) for x in found])
        return self._predicted[trusting]

    def errors(self, view: View, rounds: int, trusting: bool) -> list[Error]:
        """Return each candidate's held-out error."""
        return [self._measured(x, view) for x in self.predicted(view, rounds, trusting)]

    def proof(self, view: View, rounds: int, errors: Tensor) -> Error:
        """Return the held-out error of the cautious mixture, given their mean errors (K,)."""
        predicted = self.predicted(view, rounds, trusting=False)
        weights = region_weights(predicted, self.channel.y, self.hidden(view), errors)
        return self._measured((weights * predicted).sum(0), view)

    def fit(self, view: View, rounds: int, held_out: bool) -> Fit:
        """Compare the guide's gradients with those of the image without it.

        That is the one from all pixels, or the one where some are held out, in so many rounds.
        """
        free = self.free_held_out(rounds) if held_out else self.free(rounds)
        return Fit.of(free, view.lesson(self.channel), self.channel.ratio)

    def taught(self, view: View, free: Tensor, transfer: float) -> tuple[Tensor, Tensor]:
        """Add what the guide-free method misses of the guide; return image and weight, (H, W)."""
        share = STRENGTH * transfer * view.seen
        if transfer == 0:
            return free, share
        return free + share * transferred(free, view.lesson(self.channel), self.channel), share

    def mixed(
        self,
        view: View,
        rounds: tuple[int, int],
        errors: Tensor,
        weight: float,
        transfer: float,
        prior: tuple[float, ...] = (),
    ) -> tuple[Tensor, Tensor]:
        """Mix all candidates; return the image and the guide's weight, both (H, W).

        Parameters
        ----------
        view : View
            The guide.
        rounds : (int, int)
            From all pixels, and where some are held out.
        errors : Tensor, shape (K,)
            Mean held-out errors in the whole image.
        weight, transfer : float
            Of the guide in the whole image, and of what goes over from it beside that.
        prior : tuple of float
            See `unguided`.
        """
        found = self._begun or (lambda: self._found(view, rounds[0]))
        predicted, (free, others) = both(lambda: self.predicted(view, rounds[1]), found)
        weights = region_weights(predicted, self.channel.y, self.hidden(view), errors)
        wide = self.channel.enlarge(weights)
        free, given = self.taught(view, self.unguided(rounds, prior), transfer)
        mixed = (wide * torch.stack([free, *others])).sum(0)
        share = weight * view.seen
        image = self.channel.consistent(free + share * (mixed - free))
        return image, torch.lerp(given, torch.ones_like(given), share * (1 - wide[0]))

    def local_gain(self, view: View, rounds: int, errors: Tensor, weight: float) -> Tensor:
        """Return how much better the mixture predicts held-out pixels nearby, (H, W).

        See `cmsr.guided.expected_error.Traces`; the parameters are those of `mixed`.
        """
        predicted, y, hidden = self.predicted(view, rounds), self.channel.y, self.hidden(view)
        mixed = (region_weights(predicted, y, hidden, errors) * predicted).sum(0)
        mixed = torch.lerp(predicted[0], mixed, weight)
        found = (local_error(x, y, hidden) for x in (mixed, predicted[0]))
        return self.channel.enlarge(gain_of(*found))

    def _found(self, view: View, rounds: int) -> tuple[Tensor, list[Tensor]]:
        """Return the candidates from all pixels: without the guide, and with it."""
        free = self.free(rounds)
        trusting = self._may_trust
        features = view.all_features if trusting else view.features
        estimate = self.channel.estimate(features, trusting)
        return free, guided(self.channel, free, estimate, view, self.straightness, trusting)

    def _started(self, view: View) -> list[Tensor]:
        """Return the linear estimates without and with the guide, pixels held out."""
        if not self._start:
            self._start = together(
                lambda: self._partial.estimate(view.features), self._free_started
            )[::-1]
        return self._start

    def _free_started(self) -> Tensor:
        """Return the linear estimate without the guide, pixels held out."""
        if self._free_start is None:
            self._free_start = self._partial.estimate(None)
        return self._free_start

    def _controlled(self, view: View) -> list[Error]:
        """Return a coarser estimate's errors without a guide, and with the better control."""
        coarse, shrink = coarsened(self._partial)
        small, distance = shrink(view.features), max(1, round(CONTROL * coarse.ratio))
        displaced = [small.roll((down, distance), (-2, -1)) for down in (distance, -distance)]
        found = together(*(partial(coarse.estimate, at) for at in (None, *displaced)))
        free, *controls = (self._error(coarse, x, view) for x in found)
        return [free, min(controls, key=lambda error: error.total)]

    def _error(self, of: Channel, image: Tensor, view: View) -> Error:
        return self._measured(of.reduce(image), view)

    def _measured(self, predicted: Tensor, view: View) -> Error:
        return Error.of(predicted, self.channel.y, self.hidden(view))


def coarsened(channel: Channel) -> tuple[Channel, Resampler]:
    """Bring the result's grid to `FINENESS`; return also the map of images to there."""
    low = shape_of(channel.y)
    shape: Shape = channel.reduce.rows.shape[1], channel.reduce.cols.shape[1]
    ratio = min(channel.ratio, FINENESS)
    working = max(low[0], round(low[0] * ratio)), max(low[1], round(low[1] * ratio))
    device = str(channel.y.device)
    enlarge = resampler(working, shape, "bicubic", device)
    coarser = replace(channel, reduce=channel.reduce.after(enlarge), ratio=ratio)
    coarser = replace(coarser, enlarge=resampler(low, working, "bilinear", device))
    return coarser, resampler(shape, working, "bicubic", device)
