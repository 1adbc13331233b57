"""Superpixels of a guide: small, compact regions of one colour."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.slic import slic
from cmsr.registration.transforms import Size

COUNT = 400
"""Approximate number of superpixels of an image, at least: 250 or 700 are no better
(EXPERIMENTS.md, "Segments")."""

AREA = 8
"""Approximate pixels of the target per superpixel, where that gives more; by eye."""

COMPACTNESS = 12.0
"""Colour difference (CIELAB) that weighs as much as a superpixel's width; by eye."""

LARGEST = 512
"""Longer side, in pixels, at which superpixels are computed."""


def superpixels(guide: Tensor, count: int = COUNT) -> Tensor:
    """Cut a guide into superpixels.

    Parameters
    ----------
    guide : Tensor (3, H, W)
        [0, 1].
    count : int
        About how many.

    Returns
    -------
    Tensor (h, w), int64
        Labels from 0 on; smaller than the guide where its longer side exceeds `LARGEST`.
    """
    shrink = min(1.0, LARGEST / max(shape_of(guide)))
    size = [max(1, round(side * shrink)) for side in shape_of(guide)]
    small = F.interpolate(guide[None], size, mode="bilinear", antialias=True)[0]
    picture = small.clamp(0, 1).permute(1, 2, 0).cpu().double().numpy()
    return torch.from_numpy(slic(picture, count, COMPACTNESS)).to(guide.device)


def at_size(labels: Tensor, size: Size) -> Tensor:
    """Bring labels (h, w) to another size, the nearest label each."""
    return F.interpolate(labels[None, None].double(), size, mode="nearest-exact")[0, 0].long()


def numbered(labels: Tensor) -> Tensor:
    """Renumber labels (h, w) of any integers from 0 on, without gaps."""
    numbers: Tensor = torch.unique(labels, return_inverse=True)[1]
    return numbers
