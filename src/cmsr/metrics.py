"""Error measures of an image against the truth: PSNR, SSIM, RMSE."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from cmsr.errors import InputError
from cmsr.io.raster import Raster

_RADIUS, _SIGMA = 5, 1.5
"""Radius of SSIM's window and width of its Gaussian, in pixels."""


def psnr(image: npt.NDArray[Any], truth: npt.NDArray[Any], peak: float) -> float:
    """Return the peak signal-to-noise ratio in dB; infinite where the two are equal.

    >>> psnr(np.array([1.0, 3.0]), np.array([2.0, 2.0]), peak=100)
    40.0
    """
    error = float(np.mean((image.astype(np.float64) - truth) ** 2))
    return float(10 * np.log10(peak**2 / error)) if error else math.inf


def evaluate(image: Raster, truth: Raster) -> dict[str, float]:
    """Compare an image with the truth where both are valid.

    Parameters
    ----------
    image, truth : Raster
        Of the same shape and number of channels.

    Returns
    -------
    dict
        ``psnr`` in dB, ``ssim`` (Wang et al., 2004), ``rmse`` in the data's units, and the
        ``peak`` that the first two refer to: 255 for 8-bit truth, its range otherwise.

    Raises
    ------
    InputError
        If the two differ in shape or channels, or share no valid pixel.

    Examples
    --------
    >>> from cmsr.io.raster import from_array
    >>> truth = np.arange(256, dtype=np.uint8).reshape(16, 16)
    >>> image = truth + np.uint8(2)
    >>> image[-1] = truth[-1]
    >>> figures = evaluate(from_array(image, "image"), from_array(truth, "truth"))
    >>> {name: round(value, 2) for name, value in figures.items()}
    {'psnr': 42.39, 'ssim': 1.0, 'rmse': 1.94, 'peak': 255.0}
    """
    if image.data.shape != truth.data.shape:
        raise InputError(
            f"{image.name}: is {_size(image)}, but {truth.name} is {_size(truth)}; "
            "only images of one size can be compared"
        )
    valid = np.broadcast_to(image.measured & truth.measured, truth.data.shape)
    if not valid.any():
        raise InputError(f"{image.name}: shares no valid pixel with {truth.name}")
    ours, true = (np.where(valid, r.data, 0).astype(np.float64) for r in (image, truth))
    peak = 255.0 if truth.data.dtype == np.uint8 else float(np.ptp(true[valid])) or 1.0
    return {
        "psnr": psnr(ours[valid], true[valid], peak),
        "ssim": _ssim(ours, true, peak),
        "rmse": float(np.sqrt(np.mean((ours - true)[valid] ** 2))),
        "peak": peak,
    }


def _ssim(ours: npt.NDArray[np.float64], true: npt.NDArray[np.float64], peak: float) -> float:
    """SSIM with the Gaussian window of the paper, averaged over all pixels, mirrored borders."""
    from scipy.ndimage import gaussian_filter

    def local(image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Average over the window; the border's own pixels are not repeated."""
        window = {"sigma": _SIGMA, "radius": _RADIUS, "axes": (1, 2), "mode": "mirror"}
        return np.asarray(gaussian_filter(image, **window))

    low, high = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    a, b = local(ours), local(true)
    between = local(ours * true) - a * b
    spread = local(ours**2) - a**2 + local(true**2) - b**2
    alike = (2 * a * b + low) * (2 * between + high) / ((a**2 + b**2 + low) * (spread + high))
    return float(alike.mean())


def _size(raster: Raster) -> str:
    channels, height, width = raster.data.shape
    return f"{width} × {height} × {channels}"
