"""Draw the picture of TWO_CAMERAS.md: a rendered street seen by two cameras of different fields.

python -m docs.two_cameras_picture        # in the root of the repository
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from cmsr.app.demo.scene import street
from cmsr.config import Config
from cmsr.operators.resampling import resampler
from cmsr.pictures import Panel, checkerboard, colour, enlarge, sheet
from cmsr.prologue import opened
from cmsr.registration.placement import Placement
from cmsr.registration.transforms import identity_grid, sample

OUT = Path(__file__).parent / "two_cameras.png"
SIZE = 90, 108


def narrow() -> np.ndarray:
    """Show the street as a thermal camera sees it that looks aside, turned by four degrees."""
    scene = street()
    c, s = 108 * np.cos(np.radians(4)), 108 * np.sin(np.radians(4))
    place = Placement(SIZE, scene.truth.shape, ((c, -s, 270.0), (s, c, 190.0), (0.0, 0.0, 1.0)))
    fine = 4 * SIZE[0], 4 * SIZE[1]
    at = place.places(identity_grid(fine)) * 2 / torch.tensor(scene.truth.shape[::-1]) - 1
    seen = sample(torch.tensor(scene.truth.astype(np.float32))[None, None], at.float())
    return resampler(fine, SIZE)(seen)[0, 0].numpy()


def main() -> None:
    """Find the target in the photo, draw its frame and the checkerboard."""
    low, photo = narrow(), street().guide
    pair = opened(low, photo, Config())
    if pair.placement is None or pair.guide is None:
        raise SystemExit("the target is not found")
    corners = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
    framed = Image.fromarray(photo)
    outline = [(x, y) for x, y in pair.placement.places(corners).tolist()]
    ImageDraw.Draw(framed).line(outline, fill=(255, 40, 40), width=3)
    guide = pair.guide.read((0, 0, *pair.guide.shape))
    board = checkerboard(pair.pair.target[0, 0].numpy(), guide.numpy())
    target = enlarge(colour(low, float(low.min()), float(low.max())), (3 * SIZE[0], 3 * SIZE[1]))
    panels = [
        Panel("target, 108 × 90 pixels", target),
        Panel("photo, and where the target was found", np.asarray(framed)),
        Panel("checkerboard of both", enlarge(board, (3 * SIZE[0], 3 * SIZE[1]))),
    ]
    sheet([panels]).save(OUT)


if __name__ == "__main__":
    main()
