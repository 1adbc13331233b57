"""Coarse registration: the affine map from the target to the guide, without a starting point.

1. Gradient orientations, angle-doubled so that an inverted contrast counts as the same, are
   correlated by FFT over all shifts for a lattice of rotations and scales. The same search with
   the mirrored target shows the score that chance and common structure (horizons, upright edges)
   reach on this pair: the margin over it separates a match from a wrong scene.
2. The best candidates are refined by the local similarity to the guide, and the winner once more,
   finer: as a shift, a similarity, or an affine map where its parameters gain more than by chance.
3. The identity is kept where a move is hardly more similar.

All work happens at a bounded resolution, whatever the sizes of the images.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cmsr.operators.resampling import shape_of
from cmsr.registration.optimisation import Objective, climb
from cmsr.registration.transforms import Affine, Size, Stages, compose, displacement, identity_grid
from cmsr.registration.view import View

COARSE, FINE = (64, 2), (128, 3)
"""Longer side of the target in pixels, and pixels of the guide per one of it, by eye."""

SHIFT, ROTATION, SCALE = 0.15, math.radians(10), math.log(1.25)
"""Largest shift in longer sides, rotation either way, and logarithm of the scale, up or down."""

ROTATION_STEP, SCALE_STEP = math.radians(2.5), 0.045
"""Of the lattice: a pixel or so at the border of the coarse target."""

CANDIDATES = 3
"""Peaks of the correlation that are refined."""

LEAST_GAIN = 0.015
"""Similarity, in nats, that a move must gain over the identity, by eye."""

PARAMETER = 0.00125
"""Similarity, in nats, that each further parameter of a move must gain: shifts gain up to .0034 by
the four that they do not need, small affine maps .0057 and more (EXPERIMENTS.md, "Alignment")."""

FAMILIES = 2, 4, 6
"""Parameters of a shift, of a similarity and of an affine map; `Affine` has them in this order."""

NEAR = 0.03
"""Median displacement, in longer sides, within which few wrong pairs end."""

MARGIN_ODDS, SURPLUS_ODDS, NEAR_ODDS, ODDS = 40.0, 12.6, 4.1, -2.9
"""Logistic fit of the confidence to right and wrong pairs of five data sets (near-infrared, thermal
and depth; EXPERIMENTS.md, "Alignment"): wrong pairs end anywhere, right ones mostly near where they
were. The script of the fit was not kept."""

MIRRORS: tuple[tuple[int, ...], ...] = ((), (-2,), (-1,), (-2, -1))
"""Axes along which the target is mirrored; first the target itself."""


class Registration(NamedTuple):
    """Result of `search`.

    Attributes
    ----------
    affine : Tensor (6,), float32
        Parameters of `transforms.Affine` of the guide's size, whose map takes each place
        of the target to its place in the guide; all zero where the identity is as good.
    confidence : float
        Chance, from 0 to 1, that both show the same scene and the map is right.
    """

    affine: Tensor
    confidence: float


def search(target: Tensor, guide: Tensor, valid: Tensor | None = None) -> Registration:
    """Find the affine map from the target's frame to the guide's, without a starting point.

    Parameters
    ----------
    target : Tensor (h, w)
        In any unit; 8 x 8 pixels or more.
    guide : Tensor (3, H, W)
        In any unit, of about the same field of view.
    valid : Tensor (h, w), bool, optional
        Where the target holds measurements; everywhere if not given.

    Returns
    -------
    Registration
        Deterministic; on the guide's device.

    Raises
    ------
    ValueError
        If an image is smaller than 8 x 8 pixels.

    References
    ----------
    Haber, Modersitzki, "Intensity gradient based registration and fusion of multi-modal images",
    MICCAI 2006, for the orientations; He, Sun, Tang, "Guided image filtering", PAMI 2013, eq. 5,
    for the local linear model.
    """
    if min(*target.shape, *guide.shape[1:]) < 8:
        raise ValueError(
            f"registration needs 8 x 8 pixels or more, not {tuple(target.shape)} for the "
            f"target and {tuple(guide.shape[1:])} for the guide"
        )
    coarse, fine = (
        View.of(target, guide, valid, longer=longer, finer=finer)
        for longer, finer in (COARSE, FINE)
    )
    affine = Affine(shape_of(guide))
    lattice = _Lattice(coarse, affine)
    surfaces = lattice.correlate()
    identity = torch.zeros(6, device=guide.device)
    own = [*lattice.peaks(surfaces[0], CANDIDATES), identity]
    others = [lattice.peaks(surface, 1)[0] for surface in surfaces[1:]]
    views = [coarse] * len(own) + [coarse.mirrored(axes) for axes in MIRRORS[1:]]
    ends, values = climb(_objective(coarse.stacked(views), affine), torch.stack(own + others))
    winner = int(values[: len(own)].argmax())
    margin = (surfaces[0].max() - surfaces[1:].max()).item()
    surplus = (values[winner] - values[len(own) :].max()).item()

    end, similarity = _simplest(_objective(fine, affine), ends[winner])
    gained = similarity - fine.similarity(fine.grid).item() >= LEAST_GAIN
    theta = end if gained else identity
    moved = displacement(affine(theta, fine.grid), shape_of(fine.guide)).norm(dim=-1).median()
    near = moved.item() < NEAR * max(shape_of(fine.guide))
    return Registration(theta, _confidence(margin, surplus, near))


def refine_affine(
    target: Tensor, valid: Tensor, guide: Tensor, affine: Affine, start: Tensor, rest: Stages
) -> Tensor:
    """Refine an affine map by the local similarity, without a search.

    Parameters
    ----------
    target, valid, guide
        As for `search`.
    affine : Affine
        Of the guide's size.
    start : Tensor (6,)
        Its parameters to start from.
    rest : Stages
        What follows it and stays as it is.

    Returns
    -------
    Tensor (6,)
        The parameters with which the guide is most similar to the target.
    """
    longer, finer = FINE
    view = View.of(target, guide, valid, longer=longer, finer=finer)
    grid = compose(rest, view.grid)
    ends, _ = climb(lambda thetas, _: view.similarity(affine(thetas, grid)), start[None])
    return ends[0]


def _simplest(objective: Objective, start: Tensor) -> tuple[Tensor, float]:
    """Return the best move (6,) near a start by `PARAMETER`, and its similarity."""
    found = []
    for count in FAMILIES:
        free = (torch.arange(len(start)) < count).to(start)

        def restricted(thetas: Tensor, rows: Tensor, free: Tensor = free) -> Tensor:
            return objective(thetas * free, rows)

        ends, values = climb(restricted, (start * free)[None])
        found.append((values.item() - PARAMETER * count, values.item(), ends[0] * free))
    _, similarity, best = max(found, key=lambda each: each[0])
    return best, similarity


def _objective(view: View, affine: Affine) -> Objective:
    """Return the similarity as a function of affine parameters (N, 6) that move the guide."""
    return lambda thetas, rows: view.rows(rows).similarity(affine(thetas, view.grid))


class _Lattice:
    """Correlation of orientations over shifts, for a lattice of rotations and scales."""

    def __init__(self, view: View, affine: Affine) -> None:
        self._view, self._affine = view, affine
        reach = SHIFT * math.exp(SCALE) + 0.03
        self._margin = round(reach * max(shape_of(view.target)))  # of shifts, in pixels
        turns, scales = torch.meshgrid(
            _symmetric(ROTATION, ROTATION_STEP), _symmetric(SCALE, SCALE_STEP), indexing="ij"
        )
        self._turns, self._scales = (part.flatten().to(view.guide) for part in (turns, scales))

    def correlate(self) -> Tensor:
        """Return correlations (mirrors, rotations and scales, shifts y, shifts x) from -1 to 1."""
        size, reach = shape_of(self._view.target), 2 * self._margin
        frame = (size[0] + reach, size[1] + reach)
        guide, energy, seen = self._turned_guides(frame)

        def slide(template: Tensor, spectrum: Tensor) -> Tensor:
            other = torch.fft.rfft2(template, s=frame).conj()
            slid: Tensor = torch.fft.irfft2(spectrum * other, s=frame)
            return slid[..., : reach + 1, : reach + 1]

        field, support = orientations(self._view.target[None], self._view.valid)
        energy_seen = slide(support, torch.fft.rfft2(energy)).clamp_min(1e-6)
        overlap = slide(support, torch.fft.rfft2(seen)) / support.sum().clamp_min(1)
        known = overlap > 0.5
        strength = field.abs().square().sum().clamp_min(1e-6)
        spectrum = torch.fft.fft2(guide)
        surfaces = []
        for axes in MIRRORS:
            mirrored = field.flip(axes)
            mirrored = mirrored.conj() if len(axes) == 1 else mirrored
            found = torch.fft.ifft2(spectrum * torch.fft.fft2(mirrored, s=frame).conj()).real
            found = found[..., : reach + 1, : reach + 1]
            surfaces.append(torch.where(known, found / (energy_seen * strength).sqrt(), 0.0))
        return torch.stack(surfaces)

    def peaks(self, surface: Tensor, count: int) -> list[Tensor]:
        """Return the affine parameters of the highest peaks of a surface, apart from each other."""
        surface, found = surface.clone(), []
        for _ in range(count):
            rest, column = divmod(int(surface.argmax()), surface.shape[2])
            entry, row = divmod(rest, surface.shape[1])
            found.append(self._parameters(entry, row, column))
            near = (self._turns - self._turns[entry]).abs() < 1.9 * ROTATION_STEP
            near &= (self._scales - self._scales[entry]).abs() < 1.9 * SCALE_STEP
            rows = slice(max(0, row - 4), row + 5)
            surface[near, rows, max(0, column - 4) : column + 5] = -1.0
        return found

    def _turned_guides(self, frame: Size) -> tuple[Tensor, Tensor, Tensor]:
        """Return the guide's orientations, their energy and where they are known, once turned.

        Each is (n, *frame): the target's frame, widened by the margin, as the guide fills it for
        each rotation and scale.
        """
        size = shape_of(self._view.target)
        small = F.interpolate(self._view.guide[None], size, mode="bicubic", antialias=True)[0]
        field, support = orientations(small, torch.ones_like(small[0]))
        wide = small.new_tensor((frame[1] / size[1], frame[0] / size[0]))
        extent = self._extent()
        places = identity_grid(frame, device=small.device) * wide * extent
        grid = torch.einsum("nij,hwj->nhwi", self._linear(), places[0]) / extent
        layers = torch.stack((field.real, field.imag, field.abs().square(), support))
        layers = layers.expand(len(grid), -1, -1, -1)
        real, imaginary, energy, seen = F.grid_sample(layers, grid, align_corners=False).unbind(1)
        back = torch.polar(torch.ones_like(self._turns), -2 * self._turns)[:, None, None]
        return torch.complex(real, imaginary) * back, energy, seen

    def _parameters(self, entry: int, row: int, column: int) -> Tensor:
        """Affine parameters of one element of the surface that `correlate` returns."""
        height, width = shape_of(self._view.target)
        pixels = self._turns.new_tensor((column - self._margin, row - self._margin))
        shift = pixels * 2 / self._turns.new_tensor((width, height)) * self._extent()
        linear = self._linear()[entry]
        matrix = torch.cat((linear, (linear @ shift)[:, None]), dim=1)
        return self._affine.parameters(matrix)

    def _linear(self) -> Tensor:
        """Rotations times scales, as matrices (n, 2, 2)."""
        x, y = self._scales.exp() * self._turns.cos(), self._scales.exp() * self._turns.sin()
        return torch.stack((torch.stack((x, -y), -1), torch.stack((y, x), -1)), -2)

    def _extent(self) -> Tensor:
        return self._affine.extent.to(self._turns)


def orientations(image: Tensor, valid: Tensor, blur: float = 1.0) -> tuple[Tensor, Tensor]:
    """Doubled gradient directions (h, w), complex, and where they are known.

    Summed over the channels of (C, h, w) as ``(gx + i gy)^2``; the modulus is the gradient's
    strength compressed to its fourth root's square, and less where the channels disagree. The
    image is smoothed before, by a Gaussian of ``blur`` pixels.
    """
    taps = torch.exp(-0.5 * (torch.arange(-3.0, 4.0) / blur).square()).to(image)
    taps = (taps / taps.sum())[None, None, None]
    smooth = F.conv2d(F.pad(image[:, None], (3, 3, 3, 3), mode="replicate"), taps)
    smooth = F.conv2d(smooth, taps.mT)[:, 0]
    x = F.pad(smooth[:, 1:-1, 2:] - smooth[:, 1:-1, :-2], (1, 1, 1, 1))
    y = F.pad(smooth[:, 2:, 1:-1] - smooth[:, :-2, 1:-1], (1, 1, 1, 1))
    energy = (x.square() + y.square()).sum(0)
    typical = energy.mean().clamp_min(1e-12)
    doubled = torch.complex((x.square() - y.square()).sum(0), 2 * (x * y).sum(0)) / typical
    support = -F.max_pool2d(-F.pad(valid[None], (1, 1, 1, 1)), 3, 1)[0]
    return doubled * (energy / typical + 1e-3).pow(-0.75) * support, support


def _symmetric(limit: float, step: float) -> Tensor:
    """Evenly spaced values from -limit to limit, 0 among them, at most ``step`` apart."""
    half = math.ceil(limit / step - 1e-9)
    return torch.linspace(-limit, limit, 2 * half + 1)


def _confidence(margin: float, surplus: float, near: bool) -> float:
    """Weigh the margins over mirrored targets, of correlation (-1 to 1) and similarity (nats)."""
    odds = MARGIN_ODDS * margin + SURPLUS_ODDS * surplus + ODDS
    return 1 / (1 + math.exp(-odds - (NEAR_ODDS if near and margin > 0 else 0)))
