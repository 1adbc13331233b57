"""The parts of the evidence on a kernel, each on what is known of it."""

import numpy as np
import pytest

from cmsr.operators.kernels import weights
from cmsr.sensor.kernel_from_guide import Blocks, standard_errors
from cmsr.sensor.kernel_from_target import Edges, Spectra, transfer

KERNELS = ("bicubic", "bicubic-plain", "bilinear", "box", "nearest", "gaussian:2")
SIDE = 64


def seen(x: np.ndarray, kernel: str) -> np.ndarray:
    rows = weights(len(x), SIDE, kernel)
    return rows @ x @ rows.T


def best(scores: dict[str, np.ndarray]) -> str:
    return max(scores, key=lambda name: scores[name].sum())


def scene(slope: float, seed: int = 0) -> np.ndarray:
    """Noise with a power spectrum that falls as a power of the frequency, alike in all ways."""
    side = 4 * SIDE
    rows, cols = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    gain = (rows**2 + cols**2 + 1 / side**2) ** (-slope / 4)
    x = np.fft.irfft2(gain * np.fft.rfft2(np.random.default_rng(seed).normal(size=(side, side))))
    return (x - x.mean()) / x.std()


def discs(seed: int = 0) -> np.ndarray:
    """Large discs that do not overlap, each of its own level."""
    rng, x = np.random.default_rng(seed), np.zeros((4 * SIDE, 4 * SIDE))
    rows, cols = np.mgrid[: 4 * SIDE, : 4 * SIDE]
    for top in range(32, 4 * SIDE, 64):
        for left in range(32, 4 * SIDE, 64):
            y0, x0 = top + rng.uniform(-4, 4), left + rng.uniform(-4, 4)
            x[(rows - y0) ** 2 + (cols - x0) ** 2 < rng.uniform(18, 26) ** 2] = rng.uniform(0.3, 1)
    return x


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("frequency", [0.1, 0.4])
def test_a_wave_is_seen_as_the_transfer_says(kernel: str, frequency: float) -> None:
    at = (np.arange(128) + 0.5) / 4
    wave = weights(128, 32, kernel) @ np.exp(2j * np.pi * frequency * at)
    expected = transfer(kernel, 4.0, frequency) * np.exp(2j * np.pi * frequency * 16.5)
    assert wave[16] == pytest.approx(complex(expected), abs=1e-9)


@pytest.mark.parametrize("slope", [2.5, 3.0])
@pytest.mark.parametrize("kernel", KERNELS)
def test_spectra_tell_the_kernel_of_a_scene_alike_in_all_directions(
    kernel: str, slope: float
) -> None:
    y = seen(scene(slope), kernel)
    spectra = Spectra(y, np.ones(y.shape, bool), (4.0, 4.0), 1e-4)
    scores = {name: spectra.log_likelihoods(name) for name in KERNELS}
    assert standard_errors(scores[best(scores)], scores[kernel]) < 3
    far = "nearest" if kernel == "gaussian:2" else "gaussian:3"
    assert standard_errors(scores[kernel], spectra.log_likelihoods(far)) > 10


@pytest.mark.parametrize("kernel", KERNELS)
def test_edges_exclude_what_is_far_too_wide(kernel: str) -> None:
    y = seen(discs(), kernel)
    edges = Edges(y, np.ones(y.shape, bool), (4.0, 4.0), 1e-3)
    assert standard_errors(edges.log_likelihoods(kernel), edges.log_likelihoods("gaussian:3")) > 3


@pytest.mark.parametrize("kernel", KERNELS)
def test_blocks_tell_the_kernel_by_a_guide_that_explains_all(kernel: str) -> None:
    x = scene(2.5, seed=1)
    y = seen(x, kernel)
    blocks = Blocks.of(y, np.ones(y.shape, bool), 3 - 2 * x[None], (0.0, 0.0), 1e-4)
    assert blocks is not None
    scores = {name: blocks.log_likelihoods(name) for name in KERNELS}
    assert best(scores) == kernel
    assert blocks.unexplained(kernel, (0.0, 0.0)) < 0.05


def test_a_shift_of_the_guide_is_followed() -> None:
    x = scene(2.5, seed=2)
    y = seen(x, "box")
    blocks = Blocks.of(y, np.ones(y.shape, bool), np.roll(x, (1, -2), (0, 1))[None], (0, 0), 1e-4)
    assert blocks is not None
    assert blocks.grid_phase(["box"], ("-topleft", "-corners"), (4.0, 4.0)).offset == (1.0, -2.0)


def test_scores_that_agree_are_no_evidence() -> None:
    scores = np.random.default_rng(0).normal(size=40)
    assert standard_errors(scores, scores) == 0
    assert standard_errors(scores[:0], scores[:0]) == 0
    assert standard_errors(scores + 1, scores) > 100
