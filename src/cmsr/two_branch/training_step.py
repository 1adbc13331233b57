"""One training step of Alternating Scales: which scheme, which patch, which loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor

from cmsr.operators.resampling import Kernel, resampler, shape_of
from cmsr.two_branch.arm import Arm, Fit
from cmsr.two_branch.examples import Example, Place, draw_place
from cmsr.two_branch.network import TwoBranch, masked_l1

Schemes = tuple[tuple[Example, ...], tuple[Example, ...]]
"""Examples of the downsampling-based scheme, and of the upsampling-based one."""


class TrainingStep:
    """One training step as all arms see it: one coin, and one patch in each scheme."""

    def __init__(self, arm: Arm, step: int, schemes: Schemes, kernel: Kernel) -> None:
        config, self._schemes, self._kernel = arm.config, schemes, kernel
        self._ratio, self._key = arm.pair.ratio, (config.seed, step)
        self._crop = config.crop if arm.pair.guide is not None else config.crop_guide_free
        self._coin = np.random.default_rng(self._key).random()
        self._places: dict[int, tuple[int, Place]] = {}
        self._labels: dict[int, tuple[Example, Tensor]] = {}
        self._guides: dict[tuple[int, int], Tensor | None] = {}

    def scheme(self, p: float) -> int:
        """Return 1 for the upsampling-based scheme, which a share p of all steps uses, else 0."""
        return int(self._coin < p)

    def sharpened(self, network: TwoBranch, p: float) -> Tensor:
        """Return what branch S makes of the patch."""
        return network.sharpened(self._label(self.scheme(p))[1])

    def loss(self, output: Tensor, p: float) -> Tensor:
        """Compare with the patch's label where it was measured."""
        label = self._label(self.scheme(p))[0]
        return masked_l1(output, label.label, label.valid)

    def explained(self, arm: Arm, fit: Fit, schemes: Schemes) -> Tensor | None:
        """Return what branch E of an arm makes of its guide; None without one."""
        if fit.network.explain is None:
            return None
        scheme = self.scheme(arm.guide_p)
        index, place = self._place(scheme)
        if fit.chain is not None:
            guide = fit.as_warped(schemes[scheme][index], arm.pair).guide
            return None if guide is None else fit.network.explained(place.of(guide))
        key = scheme, id(arm.pair)
        if key not in self._guides:
            guide = schemes[scheme][index].guide
            self._guides[key] = None if guide is None else place.of(guide)
        return fit.network.explained(self._guides[key])

    def _place(self, scheme: int) -> tuple[int, Place]:
        """Draw which example of a scheme is shown and where, by the same random numbers in both."""
        if scheme not in self._places:
            rng, examples = np.random.default_rng((*self._key, 1)), self._schemes[scheme]
            index = int(rng.integers(len(examples)))
            shape = shape_of(examples[index].label)
            self._places[scheme] = index, draw_place(shape, self._crop, rng)
        return self._places[scheme]

    def _label(self, scheme: int) -> tuple[Example, Tensor]:
        """Return the patch without its guide, and what a network is fed for it."""
        if scheme not in self._labels:
            index, place = self._place(scheme)
            patch = replace(self._schemes[scheme][index], guide=None).patch(place)
            self._labels[scheme] = patch, reenlarged(patch.label, self._ratio, self._kernel)
        return self._labels[scheme]


def reenlarged(label: Tensor, ratio: tuple[float, float], kernel: Kernel) -> Tensor:
    """Reduce a label by the ratio and enlarge it back: the network's input for that label."""
    full = label.shape[-2], label.shape[-1]
    small = max(1, round(full[0] / ratio[0])), max(1, round(full[1] / ratio[1]))
    device = str(label.device)
    reduced = resampler(full, small, kernel, device)(label)
    return resampler(small, full, "bicubic", device)(reduced)
