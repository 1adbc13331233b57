"""A rendered street seen by two cameras, and the main job done on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from cmsr.api import upscale
from cmsr.app.demo import scene
from cmsr.app.demo.scene import Scene
from cmsr.config import Config
from cmsr.errors import OutputError
from cmsr.io import image_files
from cmsr.metrics import evaluate
from cmsr.operators.resampling import resampler
from cmsr.pictures import Box, Panel, colour, enlarge, side_by_side, window_of_most
from cmsr.progress import Progress
from cmsr.prologue import opened
from cmsr.result import Result

FILES = (*scene.FILES, "upscaled.tif", "before_after.png")


def run(
    folder: Path, seed: int, *, overwrite: bool = False, progress: Progress | None = None
) -> str:
    """Upscale the street, write the images and a before/after picture.

    Parameters
    ----------
    folder : path
        Made if it does not exist; receives `FILES`.
    seed : int
        Of the run; the scene is always the same.
    overwrite : bool
        Whether files of an earlier run may be replaced.
    progress : callable, optional
        Told of every training step.

    Returns
    -------
    str
        The figures and the picture's path, for people.

    Raises
    ------
    OutputError
        If the folder cannot be made, or a file exists and must not be replaced.
    """
    paths = _prepare(folder, overwrite)
    seen = scene.street()
    seen.write(folder)
    result = upscale(paths["target.tif"], paths["guide.png"], seed=seed, progress=progress)
    image_files.write(paths["upscaled.tif"], result.image)
    with image_files.replacing(paths["before_after.png"]) as temporary:
        _before_after(seen, result).save(temporary)
    before, after = _psnr(_bicubic(seen), seen.truth), _psnr(result.image, seen.truth)
    return (
        f"PSNR to the truth: bicubic {before:.2f} dB, cmsr {after:.2f} dB "
        f"({after - before:+.2f}) in {result.info['seconds']:.1f} s\n"
        f"look at {paths['before_after.png']}"
    )


def _prepare(folder: Path, overwrite: bool) -> dict[str, Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot create the folder ({error.strerror})") from error
    paths = {name: folder / name for name in FILES}
    for path in paths.values():
        image_files.check_output(path, overwrite=overwrite)
    return paths


def _bicubic(scene: Scene) -> npt.NDArray[np.uint16]:
    pair = opened(image_files.from_array(scene.target, "target"), scene.guide, Config()).pair
    low = scene.target.shape[0], scene.target.shape[1]
    return np.asarray(pair.denormalise(resampler(low, pair.shape)(pair.target))[0])


def _psnr(image: npt.NDArray[np.uint16], truth: npt.NDArray[np.uint16]) -> float:
    return evaluate(image_files.from_array(image, "image"), image_files.from_array(truth, "truth"))[
        "psnr"
    ]


def _before_after(scene: Scene, result: Result) -> Image.Image:
    """Show photo, input, result and truth, and below each its warmest part."""
    low, high = np.percentile(scene.truth, [20, 99.8])
    shape = scene.truth.shape[0], scene.truth.shape[1]
    height, width = scene.target.shape
    panels = [
        Panel("RGB photo", scene.guide),
        Panel(
            f"before: thermal, {width} x {height}", enlarge(colour(scene.target, low, high), shape)
        ),
        Panel(f"after: cmsr, {shape[1]} x {shape[0]}", colour(result.image, low, high)),
        Panel("truth", colour(scene.truth, low, high)),
    ]
    return side_by_side(panels, [_warmest(scene.truth, shape[0] // 3, shape[1] // 3)])


def _warmest(image: npt.NDArray[np.uint16], height: int, width: int) -> Box:
    """Find the window of a given size that holds the most warmth above the scene's median."""
    return window_of_most(np.maximum(image - np.median(image), 0), height, width)
