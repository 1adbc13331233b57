"""A tile's guide in place, in the forms that the candidates need."""

from __future__ import annotations

from torch import Tensor

from cmsr.guided.channel import Channel, Level
from cmsr.guided.transfer import Lesson, brightness_of
from cmsr.priors.guide_edges import GuidedFilter
from cmsr.priors.linear_model import detail_of, uncorrelated


class View:
    """A tile's guide in place, in the forms that the candidates need.

    Parameters
    ----------
    guide : Tensor, shape (G, H, W)
        [0, 1].
    seen : Tensor, shape (H, W)
        1 where the guide reaches.
    mixing : Tensor, shape (G, G)
        Makes the guide's detail uncorrelated, see `cmsr.priors.linear_model.mixing_of`.
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
        self.features = uncorrelated(detail_of(guide, ratio), mixing)
        self.filter = GuidedFilter(guide, max(1, round(ratio / 2)))

    def lesson(self, channel: Channel) -> Lesson:
        """Return what the method without a guide misses of this one."""
        if self._lesson is None:
            brightness = brightness_of(self.guide, channel.ratio)
            self._lesson = Lesson.of(brightness, channel, self.level)
        return self._lesson
