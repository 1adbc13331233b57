"""Render the scenes of TUTORIAL.md and draw its pictures.

python -m docs.tutorial_pictures        # in the root of the repository
"""

from pathlib import Path

import numpy as np
import torch
from tests.street.scene import render

import cmsr
from cmsr.io.image_files import from_array
from cmsr.operators.resampling import resampler
from cmsr.pictures import Panel, colour, enlarge, side_by_side

OUT = Path(__file__).parent / "tutorial"
SHAPE, RATIO = (240, 320), 4


def reduced(image: np.ndarray) -> np.ndarray:
    """Show the image (H, W) as a camera of a quarter of the resolution sees it."""
    low = SHAPE[0] // RATIO, SHAPE[1] // RATIO
    return resampler(SHAPE, low)(torch.from_numpy(image).float()).numpy()


def parcels(rng: np.random.Generator, count: int = 45) -> np.ndarray:
    """Return the number of the nearest of some random points, (H, W): fields seen from above."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    seeds = rng.uniform((0, 0), SHAPE, (count, 2))
    apart = (rows[..., None] - seeds[:, 0]) ** 2 + 2 * (columns[..., None] - seeds[:, 1]) ** 2
    return apart.argmin(axis=2)


def table() -> tuple[np.ndarray, np.ndarray]:
    """Depth in metres (H, W) and photo of boxes and balls on a table."""
    rng = np.random.default_rng(4)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    depth = 2.4 - 1.1 * rows / SHAPE[0]
    photo = np.stack([150 + 40 * np.sin(columns / 5), 110 + 0 * rows, 80 + 0 * rows], axis=2)
    for _ in range(9):
        top, left = rng.uniform(20, 170), rng.uniform(10, 260)
        high, wide = rng.uniform(30, 70, 2)
        y, x = (rows - top) / high, (columns - left) / wide
        inside = (y > 0) & (y < 1) & (x > 0) & (x < 1)
        if rng.random() < 0.5:
            inside &= (2 * y - 1) ** 2 + (2 * x - 1) ** 2 < 1
        near = 2.4 - 1.1 * (top + high) / SHAPE[0] - 0.1 * np.sin(np.pi * np.clip(x, 0, 1))
        depth = np.where(inside, near, depth)
        photo[inside] = rng.uniform(30, 230, 3)
    return depth, np.clip(photo + rng.normal(0, 3, photo.shape), 0, 255).astype(np.uint8)


def fields() -> tuple[np.ndarray, np.ndarray]:
    """Near-infrared reflectance (H, W) and photo of fields from above."""
    rng = np.random.default_rng(7)
    parcel = parcels(rng)
    green = rng.uniform(0, 1, parcel.max() + 1)[parcel]
    rows = np.sin(np.indices(SHAPE).sum(axis=0) / 2.5 + parcel)
    nir = 0.15 + 0.45 * green + 0.015 * rows
    bands = np.stack([150 - 90 * green, 105 + 40 * green, 70 - 20 * green], axis=2)
    photo = bands + rng.uniform(-25, 25, (parcel.max() + 1, 3))[parcel] + 10 * rows[..., None]
    return nir, np.clip(photo + rng.normal(0, 3, photo.shape), 0, 255).astype(np.uint8)


def draw(
    name: str, photo: np.ndarray, target: np.ndarray, result: cmsr.Result, colour_map: str
) -> None:
    """Write photo, before and after in a row."""
    low, high = np.nanpercentile(target, [1, 99.5])
    shape = photo.shape[0], photo.shape[1]
    panels = [
        Panel("photo", photo),
        Panel("before", enlarge(colour(target, low, high, colour_map), shape)),
        Panel("after", colour(result.image, low, high, colour_map)),
    ]
    side_by_side(panels).quantize(128).save(OUT / f"{name}.png", optimize=True)


def main() -> None:
    """Make every picture."""
    OUT.mkdir(exist_ok=True)
    street = render(3, height=SHAPE[0], width=SHAPE[1])
    celsius = street.target.astype(np.float32) / 100 - 273.15
    draw("thermal", street.guide, celsius, cmsr.upscale(celsius, street.guide), "inferno")

    depth, photo = table()
    seen = np.rint(1000 * reduced(depth)).astype(np.uint16)
    seen[18:24, 30:36] = 0
    raster = from_array(seen, "depth", nodata=0)
    holes = np.where(seen == 0, np.nan, seen / 1000)
    raster.valid[seen == 0] = False
    result = cmsr.upscale(raster, photo)
    metres = np.where(result.valid, result.image / 1000, np.nan)
    draw(
        "depth",
        photo,
        holes,
        cmsr.Result(metres, result.valid, *[result.guide_weight] * 2, {}),
        "viridis",
    )

    nir, photo = fields()
    low = reduced(nir).astype(np.float32)
    draw("fields", photo, low, cmsr.upscale(low, photo), "cividis")


if __name__ == "__main__":
    main()
