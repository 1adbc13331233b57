"""Similarity of a target and a guide that show one scene in different bands.

In each small window the target is regressed on the guide's channels. The similarity is the decrease
of the log-variance, in nats; the logarithm keeps a few windows of strong contrast from dominating.
Both images have a mean of about 0 and a variance of about 1.
"""

from torch import Tensor

from cmsr.operators.local_regression import LocalRegression, box_mean, inner_box_mean

RADIUS = 3
"""Windows of `similarity` have 2 · radius + 1 pixels a side."""

MAP_RADIUS = 2
"""The same of `similarity_map`, which keeps apart what segments show."""

FLOOR = 0.02
"""Variance that counts as noise."""

RIDGE = 0.01
"""Variance added to each channel of the guide in a window."""


def similarity(target: Tensor, guide: Tensor, weight: Tensor) -> Tensor:
    """Return the mean similarity over all windows.

    Parameters
    ----------
    target : Tensor (..., h, w)
    guide : Tensor (..., G, h, w)
        On the target's grid.
    weight : Tensor (..., h, w)
        0 where the target or the guide is not known, else 1.

    Returns
    -------
    Tensor (...)
        In nats; 0 means nothing is explained. Differentiable in the guide.
    """
    target, weight = target.unsqueeze(-3), weight.unsqueeze(-3)
    share = inner_box_mean(weight, RADIUS)
    shown = share.clamp_min(1e-3)

    def average(image: Tensor) -> Tensor:
        return inner_box_mean(image * weight, RADIUS) / shown

    mean = average(target)
    variance = (average(target.square()) - mean.square()).clamp_min(0)
    regression = LocalRegression.on(guide, RIDGE, average)
    cross = average(target * guide) - mean * regression.mean
    gain = _log_ratio(variance.squeeze(-3), regression.explained(cross))
    share = share.squeeze(-3)
    return (gain * share).sum((-2, -1)) / share.sum((-2, -1)).clamp_min(1e-3)


class SimilarityMap:
    """Similarity of a target and guides in the window around each pixel.

    Parameters
    ----------
    target : Tensor (h, w)
    """

    def __init__(self, target: Tensor) -> None:
        self._target, self._mean = target, map_average(target)
        self._variance = (map_average(target.square()) - self._mean.square()).clamp_min(0)

    def __call__(self, guide: Tensor, statistics: LocalRegression | None = None) -> Tensor:
        """Return the similarity (h, w) of a guide (G, h, w), in nats.

        Its ``statistics`` may be given where they are known.
        """
        regression = statistics or map_statistics(guide)
        cross = map_average(self._target * guide) - self._mean * regression.mean
        return _log_ratio(self._variance, regression.explained(cross))


def map_average(image: Tensor) -> Tensor:
    """Mean of (..., h, w) over the windows of `SimilarityMap`, cut at the border."""
    return box_mean(image, MAP_RADIUS)


def map_statistics(guide: Tensor) -> LocalRegression:
    """Return the statistics of a guide (G, h, w) in the windows of `SimilarityMap`."""
    return LocalRegression.on(guide, RIDGE, map_average)


def _log_ratio(variance: Tensor, explained: Tensor) -> Tensor:
    """Logarithm of a variance over what is left of it."""
    left = (variance - explained).clamp_min(0)
    return ((variance + FLOOR) / (left + FLOOR)).log()
