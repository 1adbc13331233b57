"""Several frames of one camera: placed to a fraction of a pixel, proven, measured together."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from cmsr import upscale
from cmsr.app.job import Job
from cmsr.config import Config
from cmsr.errors import OptionError
from cmsr.guided.joint import Joint
from cmsr.io import image_files
from cmsr.operators.between import Places, between
from cmsr.operators.point_spread import PointSpread
from cmsr.operators.resampling import Window, resampler
from cmsr.registration.frames import View, find_motion
from tests.batches import batch, results
from tests.conftest import smooth_field

HIGH, LOW, NOISE = (96, 128), (24, 32), 0.02


@dataclass(frozen=True)
class Series:
    """truth (H, W) in [0, 1]; frames (h, w); where their pixels lie in the first, (2, h · w)."""

    truth: np.ndarray
    frames: list[np.ndarray]
    places: list[np.ndarray]


def scene(seed: int) -> np.ndarray:
    """Soft blobs of several sizes, some with a border."""
    fine, coarse = smooth_field(HIGH, seed, finest=4), smooth_field(HIGH, seed + 50)
    return 0.3 * fine + 0.4 * coarse + 0.3 * np.digitize(coarse, [0.35, 0.55, 0.7]) / 3


def series(seed: int, count: int = 5, *, still: bool = False, noise: float = NOISE) -> Series:
    """Let a hand hold the camera; contrast and level drift."""
    truth, rng = scene(seed), np.random.default_rng(seed)
    frames, places = [], []
    centre, pixels = (np.array(HIGH) - 1) / 2, np.indices(LOW).reshape(2, -1)
    for number in range(count):
        moving = 0 if still or number == 0 else 1
        angle, shift = moving * rng.uniform(-0.006, 0.006), moving * rng.uniform(-6, 6, 2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        start = centre + shift - turn @ centre
        moved = ndimage.affine_transform(truth, turn, start, order=3, mode="mirror")
        seen = resampler(HIGH, LOW)(torch.from_numpy(moved).float()).numpy()
        level = (1 + 0.03 * rng.normal(), 0.03 * rng.normal()) if number else (1.0, 0.0)
        frame = level[0] * seen + level[1] + rng.normal(0, noise, LOW)
        frames.append(frame.astype(np.float32))
        fine = turn @ (4 * pixels + 1.5) + start[:, None]
        places.append((fine - 1.5) / 4)
    return Series(truth, frames, places)


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((image - truth) ** 2)))


WHOLE = Window((0, 0, *HIGH), (0, 0, *LOW))
KERNELS = ["bicubic", "box", PointSpread.of(np.outer(*[[1, 3, 5, 3, 1]] * 2), "measured")]


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_between_its_pixels_the_camera_sees_what_a_moved_one_would(kernel: str) -> None:
    """By a pixel of the result to the left, and thus by a quarter of the target's."""
    x = torch.from_numpy(scene(0)).float()
    seen = between(HIGH, LOW, kernel, 4, "cpu", WHOLE)(x)
    rows, cols = np.mgrid[4:20, 4:28].reshape(2, -1).astype(float)
    read = Places.of(4 * rows + 1.5, 4 * (cols + 0.25) + 1.5, (96, 128))(seen)
    moved = resampler(HIGH, LOW, kernel)(torch.roll(x, -1, 1))[4:20, 4:28].ravel()
    assert (read - moved).abs().max() < 1e-2


def test_all_frames_are_one_measurement_with_an_exact_transpose() -> None:
    rng = np.random.default_rng(0)
    rows, cols = rng.uniform(-0.4, 47, 300), rng.uniform(-0.4, 63, 300)
    weight = torch.from_numpy(rng.uniform(0, 1, 300)).float()
    joint = Joint(
        between(HIGH, LOW, "bicubic", 2, "cpu", WHOLE),
        Places.of(rows, cols, (48, 64)),
        torch.zeros(300),
        weight,
        0.05,
        2.0,
    )
    x, y = torch.randn(HIGH), torch.randn(300)
    left, right = (joint.seen(x) * y).sum(), (x * joint.transpose(y)).sum()
    assert float(left) == pytest.approx(float(right), rel=1e-4)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_motion_is_found_to_a_twentieth_of_a_pixel(seed: int) -> None:
    """Of the target, under noise and drift; the scene is known as well as one frame shows it."""
    made = series(seed)
    known = torch.from_numpy(upscale(made.frames[0], ratio=4, kernel="bicubic").image)
    seen = between(HIGH, LOW, "bicubic", 2, "cpu", WHOLE)(known).double().numpy()
    view = View(seen, 2, (0, 0, *LOW))
    for frame, places in zip(made.frames[1:], made.places[1:], strict=True):
        motion = find_motion(view, frame.astype(float), np.ones(LOW, bool))
        assert motion is not None
        found = np.stack(motion.moved(*np.indices(LOW, float).reshape(2, -1)))
        assert np.hypot(*(found - places)).mean() < 0.05


@pytest.mark.parametrize("guided", [False, True])
def test_five_frames_are_better_than_one(guided: bool) -> None:
    """By 1.5 dB, and as the record says; the guide shows the scene in other colours."""
    made = series(8)
    guide = np.stack([1 - made.truth, made.truth**2, made.truth], -1) * 200 if guided else None
    size = {} if guided else {"ratio": 4}
    picture = None if guide is None else guide.astype(np.uint8)
    alone = upscale(made.frames[0], picture, kernel="bicubic", **size)
    fused = upscale(made.frames[0], picture, kernel="bicubic", frames=made.frames[1:], **size)
    assert psnr(fused.image, made.truth) > psnr(alone.image, made.truth) + 1.5
    assert len(fused.info["fused"]["used"]) == 4
    assert fused.info["fused"]["held_out_gain"] > 0.1


def useless(made: Series) -> dict[str, list[np.ndarray]]:
    first, rng = made.frames[0], np.random.default_rng(0)
    return {
        "copies": [first.copy()] * 3,
        "copies at another level": [1.1 * first + 0.1],
        "another scene": series(40).frames,
        "noise": [rng.normal(0.5, 0.2, LOW).astype(np.float32)],
        "another size": [first[:-2]],
        "constant": [np.full(LOW, 0.5, np.float32)],
    }


@pytest.mark.parametrize("kind", useless(series(4)))
def test_frames_that_do_not_help_change_no_byte(kind: str) -> None:
    made = series(4)
    alone = upscale(made.frames[0], ratio=4, preset="fast")
    fused = upscale(made.frames[0], ratio=4, preset="fast", frames=useless(made)[kind])
    assert fused.image.tobytes() == alone.image.tobytes()
    assert fused.info.get("fused", {}).get("used", []) == []
    assert ("another size" in " ".join(fused.info["notes"])) == (kind == "another size")


def test_what_moves_by_itself_leaves_no_ghost() -> None:
    """A hot square is elsewhere in all other frames: where it was, nothing of it is seen."""
    made = series(5, still=True)
    frames = [frame.copy() for frame in made.frames]
    for number, frame in enumerate(frames[1:]):
        frame[8:14, 4 + 6 * number : 10 + 6 * number] += 1.0
    alone = upscale(frames[0], ratio=4, preset="fast", kernel="bicubic")
    fused = upscale(frames[0], ratio=4, preset="fast", kernel="bicubic", frames=frames[1:])
    assert fused.info["fused"]["used"]
    path = np.s_[28:60, 12:112]
    assert abs((fused.image - made.truth)[path].mean()) < 0.01
    assert psnr(fused.image, made.truth) > psnr(alone.image, made.truth)


def test_the_bytes_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    made = series(6)

    def bytes_with(threads: int) -> bytes:
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        found = upscale(made.frames[0], ratio=4, preset="fast", frames=made.frames[1:3])
        return found.image.tobytes()

    assert bytes_with(1) == bytes_with(2)


def written(folder: Path, made: Series) -> Path:
    """Write a table of frames without photos."""
    folder.mkdir()
    lines = ["name,target,guide,ratio"]
    for number, frame in enumerate(made.frames):
        image_files.write(folder / f"{number}.tif", frame)
        lines.append(f"f{number},{number}.tif,,4")
    table = folder / "frames.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def test_pages_are_a_series(tmp_path: Path) -> None:
    """Each page of a TIFF takes those next to it; one page alone has none."""
    made, pages, out = series(9, 3), tmp_path / "pages.tif", tmp_path / "out.tif"
    rasters = [image_files.from_array(frame, "frame") for frame in made.frames]
    image_files.write_pages(
        pages, [(frame, None, raster) for frame, raster in zip(made.frames, rasters, strict=True)]
    )
    config = Config.of("fast", ratio=4, kernel="bicubic", fuse=2)
    facts = Job(target=pages, out=out, config=config).run()
    assert [len(page["fused"]["used"]) for page in facts] == [2, 2, 2]
    with pytest.raises(OptionError, match="--fuse requires a target of several pages"):
        Job(target=Path(f"{pages}:1"), out=tmp_path / "one.tif", config=config).run()


def test_a_batch_fuses_its_series(tmp_path: Path) -> None:
    """As the library does; whatever has changed is made again, and so are its neighbours."""
    made, out = series(7, 4), tmp_path / "out"
    table = written(tmp_path / "in", made)
    assert batch(table, out, series=True, fuse=1).done == 4
    middle = image_files.read(out / "f1.tif").data[0]
    plain = tmp_path / "plain"
    assert batch(table, plain, series=True).done == 4
    assert psnr(middle, made.truth) != psnr(image_files.read(plain / "f1.tif").data[0], made.truth)
    before = results(out)
    image_files.write(tmp_path / "in" / "3.tif", 1 - made.frames[3])
    again = batch(table, out, series=True, fuse=1)
    assert again.done + again.unchanged == 1
    assert results(out)["f0"] == before["f0"]
    with pytest.raises(OptionError, match="--fuse requires --series"):
        batch(table, tmp_path / "other", fuse=1)
