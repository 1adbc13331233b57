"""A tile's guide in place, in the forms that the candidates need."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from cmsr.guided.channel import Channel, Level
from cmsr.guided.transfer import Lesson, brightness_of
from cmsr.priors.guide_edges import GuidedFilter
from cmsr.priors.guide_features import described, detail_of, uncorrelated

FINE_RIDGE = 5e-5
"""Ridge of the guided filter where the guide tells much: near-infrared gains .05 dB; a smaller one
lets more of the guide's texture into flat regions."""


class View:
    """A tile's guide in place, in the forms that the candidates need.

    Parameters
    ----------
    guide : Tensor, shape (G, H, W)
        [0, 1].
    seen : Tensor, shape (H, W)
        1 where the guide reaches.
    mixing : Tensor, shape (F, F)
        Makes the guide's detail uncorrelated, see `cmsr.priors.guide_features.joint_mixing_of`.
    level : Level
        Of the brightness of the whole guide, reduced as the target was.
    ratio : float
        Pixels of the guide per one of the target.
    """

    def __init__(
        self, guide: Tensor, seen: Tensor, mixing: Tensor, level: Level, ratio: float
    ) -> None:
        self.guide, self.seen, self.level = guide, seen, level
        self._lesson: Lesson | None = None
        self.all_features = uncorrelated(detail_of(described(guide), ratio), mixing)
        self.features = self.all_features[: len(guide)]
        self._radius = max(1, round(ratio / 2))

    @cached_property
    def filter(self) -> GuidedFilter:
        """The guided filter."""
        return GuidedFilter(self.guide, self._radius)

    @cached_property
    def fine_filter(self) -> GuidedFilter:
        """The same for a guide that is known to tell much."""
        return GuidedFilter(self.guide, self._radius, FINE_RIDGE)

    def lesson(self, channel: Channel) -> Lesson:
        """Return what the method without a guide misses of this one."""
        if self._lesson is None:
            brightness = brightness_of(self.guide, channel.ratio)
            self._lesson = Lesson.of(brightness, channel, self.level)
        return self._lesson
