"""Correlation of a template with every place of an image of which parts are unknown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SEEN = 0.5
"""Share of the template's pixels that must be known under it."""

_FLAT = 1e-12
"""Spread, of the largest, below which a part counts as constant."""

Floats = npt.NDArray[np.float64]


def masked_correlation(image: Floats, known: npt.NDArray[np.bool_], template: Floats) -> Floats:
    """Return Pearson's coefficient at every place where the template lies within the image.

    Parameters
    ----------
    image, known : arrays, shape (H, W)
        Only known pixels count; the others may have any finite value.
    template : array, shape (h, w)

    Returns
    -------
    array, shape (H - h + 1, W - w + 1)
        0 where less than `SEEN` of the template lies on known pixels, or either part is constant.

    References
    ----------
    D. Padfield, "Masked Object Registration in the Fourier Domain", IEEE TIP 21(5), 2012.
    """
    from scipy.signal import fftconvolve

    image = np.where(known, image - image[known].mean() if known.any() else 0.0, 0.0)
    template = template - template.mean()
    flipped, ones = template[::-1, ::-1], np.ones_like(template)
    mask = known.astype(np.float64)
    count = np.maximum(np.rint(fftconvolve(mask, ones, mode="valid")), 1)
    here, there = (
        fftconvolve(*pair, mode="valid") for pair in ((image, ones), (mask, flipped))
    )  # sums of both under the mask
    product = fftconvolve(image, flipped, mode="valid") - here * there / count
    spread_here = fftconvolve(image**2, ones, mode="valid") - here**2 / count
    spread_there = fftconvolve(mask, flipped**2, mode="valid") - there**2 / count
    uneven = (spread_here > _FLAT * np.max(spread_here, initial=0.0)) & (
        spread_there > _FLAT * np.max(spread_there, initial=0.0)
    )
    told = uneven & (count >= SEEN * template.size)
    scale = np.sqrt(np.where(told, spread_here * spread_there, 1.0))
    return np.asarray(np.where(told, np.clip(product / scale, -1, 1), 0.0))
