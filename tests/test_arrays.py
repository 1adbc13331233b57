"""Arrays of every kind: channels first or last, all types, tensors, PIL images, swapped pairs."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import cmsr
from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io import image_files
from cmsr.io.arrays import in_memory
from cmsr.io.inputs import read_guide
from tests.conftest import SyntheticPair, render_pair

QUICK: dict[str, Any] = {"preset": "fast", "align": "off"}


def bands(count: int, shape: tuple[int, int] = (24, 32)) -> np.ndarray:
    return np.random.default_rng(0).normal(20, 2, (count, *shape)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 12])
def test_channels_first_are_recognised(tmp_path: Path, count: int) -> None:
    first = bands(count)
    for array in (first, np.moveaxis(first, 0, -1)):
        assert np.array_equal(in_memory(array, "target").data, first)
    np.save(tmp_path / "a.npy", first)
    assert np.array_equal(image_files.read(tmp_path / "a.npy").data, first)


def test_what_the_shape_does_not_tell_is_asked_for(tmp_path: Path) -> None:
    cube = bands(20, (30, 100))
    with pytest.raises(InputError, match=re.escape("shape (20, 30, 100) may be 100 channels of")):
        cmsr.upscale(cube, ratio=2)
    for shape in ((30, 100, 20), (4, 30, 4), (64, 64, 17), (12, 14, 9)):
        with pytest.raises(InputError, match="say which"):
            in_memory(np.zeros(shape), "target")
    assert in_memory(cube, "target", 0).data.shape == (20, 30, 100)
    assert in_memory(cube, "target", 2).data.shape == (100, 20, 30)
    np.save(tmp_path / "a.npy", bands(9, (12, 14)))
    words = ["upscale", str(tmp_path / "a.npy"), "-o", str(tmp_path / "o.npy"), "--ratio", "2"]
    assert main(words) == 2
    assert main([*words, "--axis", "0", "--preset", "fast", "--bands", "1,2"]) == 0
    assert np.load(tmp_path / "o.npy").shape == (24, 28, 2)


@pytest.mark.parametrize("dtype", ["float16", "int64", "uint64", "bool", ">f4", ">i2"])
def test_every_type_works_and_comes_back(tmp_path: Path, pair: SyntheticPair, dtype: str) -> None:
    values = pair.target > 0.5 if dtype == "bool" else (1000 * pair.target).astype(dtype)
    result = cmsr.upscale(values, pair.guide.astype(np.int64), **QUICK)
    assert result.image.dtype == np.dtype(dtype).newbyteorder("=")
    assert result.image.mean() == pytest.approx(values.mean(dtype=float), rel=0.05)
    np.save(tmp_path / "t.npy", values)
    for out in ("o.npy", "o.tif"):
        words = ["upscale", str(tmp_path / "t.npy"), "-o", str(tmp_path / out), "--ratio", "2"]
        assert main([*words, "--quiet", "--preset", "fast"]) == 0
    assert np.load(tmp_path / "o.npy").dtype == result.image.dtype


def test_integers_that_no_float_holds_are_refused() -> None:
    with pytest.raises(InputError, match="64-bit float"):
        in_memory(np.full((8, 8), 2**60), "target")


def test_tensors_and_pil_images(pair: SyntheticPair) -> None:
    low = torch.tensor(pair.target, dtype=torch.float32, requires_grad=True)
    usual = cmsr.upscale(pair.target.astype(np.float32), pair.guide, **QUICK).image
    assert np.array_equal(cmsr.upscale(low, Image.fromarray(pair.guide), **QUICK).image, usual)
    rough = cmsr.upscale(low.bfloat16(), torch.tensor(pair.guide).permute(2, 0, 1), **QUICK).image
    assert np.abs(rough - usual).max() < 0.05
    paletted = Image.fromarray(pair.guide).quantize(16)
    for picture in (paletted, Image.fromarray(pair.guide).convert("CMYK")):
        with pytest.raises(InputError, match=r'\.convert\("RGB"\)'):
            cmsr.upscale(picture, ratio=2)
    assert len(read_guide(paletted, Config()).data) == 3


def test_what_is_transparent_in_a_pil_image_is_a_hole(pair: SyntheticPair) -> None:
    clear = Image.fromarray(pair.guide).convert("RGBA")
    clear.paste((0, 0, 0, 0), (3, 5, 20, 30))
    raster = in_memory(clear, "target")
    assert len(raster.data) == 3
    assert not raster.valid[5:30, 3:20].any()
    assert raster.valid.sum() == raster.valid.size - 25 * 17


def test_a_pil_image_is_turned_upright() -> None:
    lying = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8))
    lying.getexif()[0x0112] = 6
    turned = in_memory(lying, "target").data[0]
    assert np.array_equal(turned, np.asarray(lying)[::-1].T)
    assert np.array_equal(np.asarray(lying), np.arange(48).reshape(6, 8)), "the user's own is not"


def test_memory_of_every_layout() -> None:
    small = render_pair((48, 64), (12, 16))
    low, photo = small.target.astype(np.float32), small.guide
    usual = cmsr.upscale(low, photo, **QUICK).image
    reversed_rows = np.ascontiguousarray(low[::-1])[::-1]
    spread = np.repeat(low, 2, 1)[:, ::2]
    hard = np.ma.masked_array(np.flipud(low), hard_mask=True)[::-1]
    for one in (reversed_rows, spread, np.asfortranarray(low), hard, low.astype(">f4")):
        assert np.array_equal(in_memory(one, "target").data[0], low)
    reversed_rows.flags.writeable = photo.flags.writeable = False
    turned = np.ascontiguousarray(photo[:, ::-1])[:, ::-1]
    assert np.array_equal(cmsr.upscale(reversed_rows, turned, **QUICK).image, usual)
    with pytest.raises(InputError, match=r"target: is not an array \(.*to_dense"):
        in_memory(torch.tensor(low).to_sparse(), "target")


def test_a_constant_band_stays_constant() -> None:
    pair = render_pair((48, 64), (12, 16))
    both = np.stack([pair.target, np.full_like(pair.target, 7)]).astype(np.float32)
    for preset in ("fast", "default"):
        image = cmsr.upscale(both, pair.guide, preset=preset, align="off").image
        assert np.ptp(image[..., 0]) > 0.5
        assert (image[..., 1] == 7).all()


def test_false_is_a_value() -> None:
    pair = render_pair((48, 64), (12, 16))
    result = cmsr.upscale(pair.target > 0.5, pair.guide, **QUICK)
    assert result.valid.all()
    assert {*np.unique(result.image)} == {False, True}


@pytest.mark.parametrize("source", [[["a"]], {"a": 1}, None, "complex"])
def test_what_is_no_image_is_refused(source: Any) -> None:
    with pytest.raises(InputError):
        in_memory(np.zeros((4, 4), complex) if source == "complex" else source, "target")


def test_no_seed_is_refused() -> None:
    with pytest.raises(OptionError, match="seed is None"):
        Config.of(seed=None)


def test_swapped_arguments_are_named(pair: SyntheticPair) -> None:
    for low in (pair.target, pair.target[..., None].repeat(3, -1)):
        with pytest.raises(InputError, match="target and guide seem swapped"):
            cmsr.upscale(pair.guide, low)
