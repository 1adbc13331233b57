"""Draw the pictures of HOW_IT_WORKS.md from the demo's rendered street.

python -m docs.how_it_works_pictures        # in the root of the repository
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

import cmsr
from cmsr.app.demo.scene import Scene, street
from cmsr.operators.resampling import resampler
from cmsr.pictures import Panel, Rgb, colour, enlarge, sheet

OUT = Path(__file__).parent / "how"
CAR = np.s_[200:344, 200:392]
SHOWN = 144 * 2, 192 * 2


def celsius(image: np.ndarray) -> np.ndarray:
    """Return centi-kelvin as °C."""
    return image.astype(np.float32) / 100 - 273.15


def painted(image: np.ndarray) -> Rgb:
    """Paint a part of a thermal image, enlarged to the size that is shown."""
    return enlarge(colour(image, 2, 33), SHOWN)


def reduced(image: np.ndarray, shape: tuple[int, ...], kernel: str) -> np.ndarray:
    """Return an image (H, W) as a sensor with that kernel sees it."""
    reduce = resampler(image.shape, shape, kernel)
    return reduce(torch.from_numpy(image)).numpy()


def save(name: str, *panels: Panel) -> None:
    """Write panels in a row, in few colours."""
    picture = sheet([panels], size=15).quantize(160, dither=Image.Dither.NONE)
    picture.save(OUT / f"{name}.png", optimize=True)


def draw_kernels(scene: Scene) -> None:
    """Show the scene and what two sensors make of it."""
    truth = celsius(scene.truth)[CAR]
    low = truth.shape[0] // 4, truth.shape[1] // 4
    save(
        "kernel",
        Panel("the scene", painted(truth)),
        Panel("kernel box: means of squares", painted(reduced(truth, low, "box"))),
        Panel("kernel gaussian:4: blurred more", painted(reduced(truth, low, "gaussian:4"))),
    )


def draw_placing(scene: Scene) -> None:
    """Show the checkerboard of image and photo before and after the photo is placed."""
    moved = np.roll(scene.guide, (9, 14), axis=(0, 1))
    part = np.s_[120:300, 180:420]
    boards = {how: cmsr.align(scene.target, moved, align=how).overlay[part]
              for how in ("off", "auto")}  # fmt: skip
    save(
        "placing",
        Panel("the photo as it came", enlarge(boards["off"], (360, 480))),
        Panel("the photo placed", enlarge(boards["auto"], (360, 480))),
    )


def draw_held_out(scene: Scene, result: cmsr.Result) -> None:
    """Show hidden pixels, and what becomes of the right photo and of a mirrored one."""
    low = tuple(slice(part.start // 4, part.stop // 4) for part in CAR)
    target = celsius(scene.target)
    hidden = np.random.default_rng(0).random(target.shape) < 0.2
    other = cmsr.upscale(scene.target, np.ascontiguousarray(scene.guide[:, ::-1]))
    save(
        "held_out",
        Panel("a fifth of the measurement hidden", painted(np.where(hidden, np.nan, target)[low])),
        Panel(f"the right photo, {used(result)}", painted(celsius(result.image)[CAR])),
        Panel(f"a mirrored photo, {used(other)}", painted(celsius(other.image)[CAR])),
    )


def used(result: cmsr.Result) -> str:
    """Return how far the photo counted, in words."""
    return f"used for {result.info['guide_used']['weight']:.0%}"


def draw_result(scene: Scene, result: cmsr.Result) -> None:
    """Show the result without and with the photo, beside the truth."""
    alone = cmsr.upscale(scene.target, ratio=4).image
    save(
        "result",
        Panel("without the photo", painted(celsius(alone)[CAR])),
        Panel("with the photo", painted(celsius(result.image)[CAR])),
        Panel("the truth", painted(celsius(scene.truth)[CAR])),
    )


def draw_agreement(scene: Scene, result: cmsr.Result) -> None:
    """Show the measurement, the result reduced again, and what is left between them."""
    if result.evidence is None:
        raise SystemExit("the result has no residual")
    low = tuple(slice(part.start // 4, part.stop // 4) for part in CAR)
    residual = result.evidence.residual[0] / 100
    again = celsius(scene.target) - residual
    save(
        "agreement",
        Panel("the measurement", painted(celsius(scene.target)[low])),
        Panel("the result, reduced again", painted(again[low])),
        Panel("difference, −0.01 to +0.01 °C",
              enlarge(colour(residual[low], -0.01, 0.01, "coolwarm"), SHOWN)),
    )  # fmt: skip


def main() -> None:
    """Draw all of them."""
    OUT.mkdir(exist_ok=True)
    scene = street()
    result = cmsr.upscale(scene.target, scene.guide)
    draw_kernels(scene)
    draw_placing(scene)
    draw_held_out(scene, result)
    draw_result(scene, result)
    draw_agreement(scene, result)


if __name__ == "__main__":
    main()
