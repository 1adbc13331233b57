"""Recovery of known warps of the guide: median residual in pixels, and loss in dB.

    python benchmarks/known_warps.py PAIRS.csv --dataset epfl_nir --seeds 10 [--upscale]

Random affine maps (shift to 15 % of each side, rotation to 10 degrees, scale 0.8 to 1.25), and
random CPAB and thin-plate warps of 12 px at most, move the guides of aligned pairs. The table
gives, per kind and seed, the residual of each pair in pixels of the guide, median over the image;
with ``--upscale`` also the loss of PSNR against the unmoved guide.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch

import cmsr
from cmsr.io import image_files
from cmsr.metrics import psnr
from cmsr.registration.cpab import Cpab
from cmsr.registration.transforms import (
    Affine,
    Motion,
    Size,
    ThinPlate,
    Warp,
    compose,
    displacement,
    identity_grid,
    inside,
    sample,
)
from cmsr_bench.cases import read_cases

FARTHEST = 12.0  # pixels of the guide, of the smooth warps


def affine_motion(seed: int, size: Size) -> Motion:
    """Draw an affine map of the whole range."""
    rng = np.random.default_rng(seed)
    shift = rng.uniform(-0.15, 0.15, 2) * (size[1], size[0]) * 2 / max(size)
    angle = math.radians(rng.uniform(-10, 10))
    scale = math.exp(rng.uniform(-1, 1) * math.log(1.25))
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    matrix = torch.tensor([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]]).double()
    return Affine(size), Affine(size).parameters(matrix)


def smooth_motion(warp: Warp, seed: int, size: Size) -> Motion:
    """Draw a warp that moves some pixel by `FARTHEST` and none further."""
    generator = torch.Generator().manual_seed(seed)
    theta = 0.01 * torch.randn(warp.dim, dtype=torch.float64, generator=generator)
    grid = identity_grid(size, dtype=torch.float64)
    for _ in range(4):
        theta = theta * FARTHEST / displacement(warp(theta, grid), size).norm(dim=-1).max()
    return warp, theta


MOTIONS = {
    "affine": affine_motion,
    "cpab": lambda seed, size: smooth_motion(Cpab(size), seed, size),
    "thin-plate": lambda seed, size: smooth_motion(ThinPlate(size), seed, size),
}


def moved_guide(guide: np.ndarray, motion: Motion) -> np.ndarray:
    """Read a guide (H, W, C) through a warp."""
    layers = torch.from_numpy(guide.astype(np.float64)).permute(2, 0, 1)[None]
    grid = compose([motion], identity_grid((layers.shape[2], layers.shape[3])).double())
    moved = sample(layers, grid, "bicubic")[0].permute(1, 2, 0).numpy()
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def residual(found: cmsr.Registered, motion: Motion) -> float:
    """Median distance, in pixels, from where each pixel of the moved guide came from."""
    height, width = found.valid.shape
    grid = identity_grid((height, width), dtype=torch.float64)
    step = torch.from_numpy(found.displacement).double() / torch.tensor([width / 2, height / 2])
    read = grid + step
    distance = displacement(compose([motion], read), (height, width)).norm(dim=-1)
    return distance[inside(read)].median().item()


def pairs(table: Path, dataset: str) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Read name, target, guide (H, W, 3) and truth of one data set."""
    return [
        (case.name, image_files.read(case.target).data[0],
         np.moveaxis(image_files.read(case.guide).data, 0, -1), case.true_image().data[0])
        for case in read_cases(table, [dataset])
    ]  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--dataset", default="epfl_nir")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--kinds", nargs="+", default=list(MOTIONS), choices=list(MOTIONS))
    parser.add_argument("--upscale", action="store_true")
    options = parser.parse_args()
    scenes = pairs(options.pairs, options.dataset)
    unmoved = {}
    if options.upscale:
        unmoved = {
            name: psnr(cmsr.upscale(target, guide).image, truth, 255)
            for name, target, guide, truth in scenes
        }
    for kind in options.kinds:
        for seed in range(options.seeds):
            cells = []
            for name, target, guide, truth in scenes:
                motion = MOTIONS[kind](seed, guide.shape[:2])
                moved = moved_guide(guide, motion)
                cell = f"{name} {residual(cmsr.align(target, moved), motion):.2f} px"
                if options.upscale:
                    reached = psnr(cmsr.upscale(target, moved).image, truth, 255)
                    cell += f" {reached - unmoved[name]:+.2f} dB"
                cells.append(cell)
            print(f"{kind:10} seed {seed}  " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
