"""False-colour pictures are known, and turned back into the one quantity that they show."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io import colour_map, image_files, inputs
from cmsr.io.raster import from_array

IRON = np.array([[0, 0, 20], [90, 0, 140], [220, 60, 60], [255, 170, 0], [255, 255, 220]], float)
"""A camera's own map, which matplotlib does not have."""


def scene() -> np.ndarray:
    values = gaussian_filter(np.random.default_rng(0).normal(size=(120, 160)), 8)
    values[40:80, 60:100] += 0.05
    return (values - values.min()) / np.ptp(values)


def painted(name: str) -> np.ndarray:
    if name == "iron":
        levels = np.linspace(0, 1, len(IRON))
        bands = [np.interp(scene(), levels, IRON[:, band]) for band in range(3)]
        return np.rint(np.stack(bands, axis=2)).astype(np.uint8)
    return np.rint(255 * mpl.colormaps[name](scene())[..., :3]).astype(np.uint8)


@pytest.mark.parametrize("name", ["inferno", "jet", "turbo", "viridis", "iron"])
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_the_quantity_comes_back(name: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{ending}"
    Image.fromarray(painted(name)).save(path, quality=92)
    _, notes = inputs.read_alone(path)
    assert any("--colour-mapped" in note for note in notes)
    target = inputs.read_pair(path, None, Config(ratio=2, colour_mapped="auto")).target
    assert target.flat
    assert target.unit() == (1.0, 0.0, "")
    assert np.corrcoef(target.data[0].ravel(), scene().ravel())[0, 1] > 0.99


@pytest.mark.parametrize("name", ["FLIR_E40", "FLIR"])
def test_the_iron_of_real_cameras_is_known(data: Path, name: str) -> None:
    with Image.open(data / "rjpeg" / f"{name}_target.jpg") as picture:
        found = colour_map.found(np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0))
    assert found is not None
    assert found.name == "iron"


def test_photos_and_grey_pictures_are_none() -> None:
    noise = np.random.default_rng(1)
    smooth = [gaussian_filter(noise.normal(size=(60, 80)), 3) for _ in range(3)]
    photo = np.stack([255 * (s - s.min()) / np.ptp(s) for s in smooth]).astype(np.uint8)
    assert colour_map.found(photo) is None
    assert colour_map.found(np.repeat(photo[:1], 3, axis=0)) is None
    with pytest.raises(InputError, match="no colour map fits"):
        inputs.read_pair(np.moveaxis(photo, 0, -1), None, Config(ratio=2, colour_mapped="auto"))


def test_wrong_names_and_other_types_are_refused() -> None:
    with pytest.raises(OptionError, match="choose auto, iron or one of"):
        inputs.read_pair(painted("jet"), None, Config(ratio=2, colour_mapped="inferni"))
    with pytest.raises(OptionError, match="requires 3 bands of 8 bits"):
        inputs.read_pair(scene(), None, Config(ratio=2, colour_mapped="auto"))


def test_burnt_in_text_and_scale_bars_are_pointed_out() -> None:
    picture = painted("inferno")
    picture[2:8, 2:30] = 255
    ramp = np.linspace(1, 0, 110)[:, None].repeat(6, axis=1)
    picture[5:115, 150:156] = np.rint(255 * mpl.colormaps["inferno"](ramp)[..., :3]).astype(
        np.uint8
    )
    notes: list[str] = []
    colour_map.resolved(from_array(picture, "t"), Config(colour_mapped="auto"), notes)
    assert "--ignore '" in notes[1]
    boxes = notes[1].split("'")[1].split(";")
    assert any(box.startswith(("1,1,", "2,2,")) for box in boxes)
    assert any(box.startswith("150,") for box in boxes)


def test_ignored_parts_are_holes(tmp_path: Path) -> None:
    values = np.full((20, 30), 5.0)
    target = inputs.read_pair(values, None, Config(ratio=2, ignore="2,3,4,5;20,0,99,2")).target
    assert not target.valid[3:8, 2:6].any()
    assert not target.valid[:2, 20:].any()
    assert target.valid.sum() == 600 - 20 - 20
    mask = np.zeros((20, 30), np.uint8)
    mask[:4] = 255
    image_files.write(tmp_path / "m.png", mask)
    masked = inputs.read_pair(values, None, Config(ratio=2, ignore=str(tmp_path / "m.png"))).target
    assert (masked.valid == (mask == 0)).all()
    for wrong in ("40,0,2,2", "0,0,0,1", "0,0,30,20"):
        with pytest.raises(OptionError, match="--ignore"):
            inputs.read_pair(values, None, Config(ratio=2, ignore=wrong))
    with pytest.raises(InputError, match="expected the target's"):
        inputs.read_pair(values.T, None, Config(ratio=2, ignore=str(tmp_path / "m.png")))


def test_the_options(tmp_path: Path) -> None:
    Image.fromarray(painted("inferno")).save(tmp_path / "t.png")
    words = ["upscale", str(tmp_path / "t.png"), "--ratio", "2", "--preset", "fast", "--quiet"]
    words += ["--kernel", "bicubic", "--ignore", "0,0,8,8", "--fill"]
    assert main([*words, "-o", str(tmp_path / "o.tif"), "--colour-mapped"]) == 0
    raster = image_files.read(tmp_path / "o.tif")
    assert (len(raster.data), raster.shape) == (1, (240, 320))
    assert main([*words, "-o", str(tmp_path / "p.png"), "--colour-mapped", "inferno"]) == 0


def test_the_page_takes_no_mask_file_of_the_servers() -> None:
    form = pytest.importorskip("cmsr.app.web.form")
    assert form.config_of({"ignore": "1,2,3,4"}).ignore == "1,2,3,4"
    with pytest.raises(OptionError, match="takes no mask file"):
        form.config_of({"ignore": "/etc/passwd"})
