"""Files of every kind become a pair: holes, bands, pages, variables, and what is carried over."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from PIL import Image

import cmsr
from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.io import image_files, inputs
from tests.conftest import SyntheticPair, smooth_field

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

QUICK = ["--preset", "paper", "--iterations", "2", "--no-ensemble", "--align", "off", "--quiet"]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def depth_map() -> np.ndarray:
    """Millimetres in 16 bits, as depth cameras write them, 0 = none."""
    depth = (800 + 3000 * smooth_field((24, 32), 2)).astype(np.uint16)
    depth[5:9, 10:15] = 0
    return depth


@pytest.mark.parametrize("ending", [".png", ".tif", ".npy", ".exr"])
def test_zeros_of_a_depth_map_stay_holes_and_nothing_else_becomes_one(
    tmp_path: Path, pair: SyntheticPair, ending: str
) -> None:
    depth = depth_map().astype(np.float32 if ending == ".exr" else np.uint16)
    image_files.write(tmp_path / f"depth{ending}", depth)
    image_files.write(tmp_path / "guide.png", pair.guide)
    files = [tmp_path / f"depth{ending}", tmp_path / "guide.png", "-o", tmp_path / f"out{ending}"]
    assert run("upscale", *files, *QUICK) == 0
    result = image_files.read(tmp_path / f"out{ending}").data[0]
    assert result.dtype == depth.dtype
    assert np.array_equal(result == 0, (depth == 0).repeat(4, 0).repeat(4, 1))


def test_holes_are_guessed_with_a_note_and_filled_on_request(pair: SyntheticPair) -> None:
    options = {"preset": "paper", "iterations": 2, "ensemble": False, "align": "off"}
    kept = cmsr.upscale(depth_map(), pair.guide, **options)
    assert "0 is treated as no measurement" in kept.info["notes"][0]
    assert not kept.valid[24:32, 44:56].any()
    filled = cmsr.upscale(depth_map(), pair.guide, fill=True, **options)
    assert filled.valid.all()
    assert filled.image.min() > 400
    plain = cmsr.upscale(depth_map(), pair.guide, invalid="none", **options)
    assert plain.valid.all()
    assert not any("no measurement" in note for note in plain.info["notes"])


def test_any_value_can_mark_holes() -> None:
    depth = depth_map().astype(np.int32)
    depth[depth == 0] = -1
    target, _, _ = inputs.read_pair(depth, None, Config(invalid=-1, ratio=2))
    assert (~target.valid).sum() == 20


@pytest.mark.parametrize("lowest", [0, 1])
def test_zeros_of_an_ordinary_image_are_values(lowest: int) -> None:
    noise = np.random.default_rng(0).normal(0, 2, (40, 50))
    image = (lowest + 250 * smooth_field((40, 50), 3) + noise).clip(0, 255).astype(np.uint8)
    target, _, notes = inputs.read_pair(image, None, Config(ratio=2))
    assert target.valid.all()
    assert not notes


def test_no_real_image_of_values_is_taken_for_one_with_holes(data, real_pairs) -> None:
    for dataset in ("epfl_nir", "ulb17_thermal", "greenhouse_thermal16", "roadscene_noninteger"):
        for row in real_pairs(dataset):
            _, _, notes = inputs.read_pair(data / row["target"], None, Config(ratio=2))
            assert not any("no measurement" in note for note in notes), row["target"]


def test_bands_are_chosen_and_come_out_together(tmp_path: Path, pair: SyntheticPair) -> None:
    bands = np.stack([pair.target * k for k in range(1, 6)], axis=-1).astype(np.float32)
    image_files.write(tmp_path / "t.tif", bands)
    image_files.write(tmp_path / "g.png", pair.guide)
    common = ["upscale", tmp_path / "t.tif", tmp_path / "g.png", *QUICK]
    assert run(*common, "-o", tmp_path / "all.tif") == 0
    assert image_files.read(tmp_path / "all.tif").data.shape == (5, 96, 128)
    assert run(*common, "-o", tmp_path / "two.tif", "--bands", "4,1") == 0
    two = image_files.read(tmp_path / "two.tif").data
    assert two[0].mean() == pytest.approx(4 * two[1].mean(), rel=1e-3)
    assert run(*common, "-o", tmp_path / "no.tif", "--bands", "7") == 2


def test_every_page_gives_a_page(tmp_path: Path, pair: SyntheticPair) -> None:
    pages = [Image.fromarray((pair.target * k).astype(np.uint16)) for k in (9000, 30000, 60000)]
    pages[0].save(tmp_path / "t.tif", save_all=True, append_images=pages[1:])
    image_files.write(tmp_path / "g.png", pair.guide)
    out, facts = tmp_path / "o.tif", tmp_path / "o.json"
    assert run("upscale", tmp_path / "t.tif", tmp_path / "g.png", "-o", out, *QUICK) == 0
    for number, page in enumerate(pages, start=1):
        result = image_files.read(f"{out}:{number}").data[0]
        assert result.dtype == np.uint16
        assert result.shape == (96, 128)
        assert result.mean() == pytest.approx(np.asarray(page).mean(), rel=1e-3)
    second = [f"{tmp_path / 't.tif'}:2", tmp_path / "g.png", "-o", tmp_path / "2.tif"]
    assert run("upscale", *second, "--json", facts, *QUICK) == 0
    assert np.array_equal(
        image_files.read(tmp_path / "2.tif").data, image_files.read(f"{out}:2").data
    )
    assert run("upscale", *second[:2], "-o", out, "--overwrite", "--bands", "2", *QUICK) == 2


@pytest.fixture
def two_variables(tmp_path: Path, pair: SyntheticPair) -> Path:
    image_files.write(
        tmp_path / "s.tif", np.stack([pair.target, -pair.target], -1).astype(np.float32)
    )
    rasterio.shutil.copy(tmp_path / "s.tif", tmp_path / "a.nc", driver="netCDF", FORMAT="NC4")
    (tmp_path / "a.h5").write_bytes((tmp_path / "a.nc").read_bytes())
    image_files.write(tmp_path / "one.tif", pair.target.astype(np.float32))
    rasterio.shutil.copy(tmp_path / "one.tif", tmp_path / "a.zarr", driver="Zarr")
    np.savez(tmp_path / "a.npz", Band1=pair.target, Band2=-pair.target)
    return tmp_path


@pytest.mark.parametrize("name", ["a.nc:Band1", "a.h5:Band1", "a.zarr", "a.npz:Band1"])
def test_variables_of_scientific_files(two_variables: Path, pair: SyntheticPair, name: str) -> None:
    target, _, _ = inputs.read_pair(f"{two_variables}/{name}", None, Config(ratio=2))
    data = target.data[0]
    same = [np.allclose(data, image) for image in (pair.target, pair.target[::-1])]
    assert any(same)


def test_the_only_variable_may_be_named(two_variables: Path, pair: SyntheticPair) -> None:
    one, low = two_variables / "one.tif", pair.target.astype(np.float32)
    rasterio.shutil.copy(one, two_variables / "b.nc", driver="netCDF", FORMAT="NC4")
    (two_variables / "b.h5").write_bytes((two_variables / "b.nc").read_bytes())
    np.savez(two_variables / "b.npz", Band1=low)
    for name in ("b.nc", "b.nc:Band1", "b.h5:Band1", "a.zarr:a", "b.npz:Band1", "one.tif:1"):
        assert sorted(image_files.read(f"{two_variables}/{name}").data.ravel()) == sorted(low.flat)
    np.save(two_variables / "b.npy", low)
    with pytest.raises(InputError, match="holds one image, and no part that ':x'"):
        image_files.read(f"{two_variables}/b.npy:x")


@pytest.mark.parametrize("name", ["a.nc", "a.h5", "a.npz"])
def test_a_file_of_several_variables_names_them(two_variables: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"FILE:NAME|Band1, Band2"):
        image_files.read(two_variables / name)
    with pytest.raises(InputError):
        image_files.read(f"{two_variables / name}:nothing")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("preset", ["paper", "default"])
def test_means_are_kept_in_every_type(pair: SyntheticPair, dtype: str, preset: str) -> None:
    """Centi-kelvin in 16 bits, counts, °C: the output's mean is the input's, to 0.1 %."""
    low, span = {"uint8": (20, 200), "float32": (12.5, 20), "float64": (285.0, 20)}.get(
        dtype, (28_500, 3_000)
    )
    target = (low + span * pair.target).astype(dtype)
    options = {"align": "off"}
    if preset == "paper":
        options |= {"iterations": 2, "ensemble": False}
    result = cmsr.upscale(target, pair.guide, preset=preset, **options)
    assert result.image.dtype == target.dtype
    assert result.image.mean(dtype=float) == pytest.approx(target.mean(dtype=float), rel=1e-3)


def test_scale_offset_unit_tags_and_colours_are_carried_over(tmp_path: Path) -> None:
    counts = np.arange(48, dtype=np.uint16).reshape(1, 6, 8)
    with rasterio.open(
        tmp_path / "a.tif", "w", "GTiff", 8, 6, 1, dtype="uint16", nodata=65535
    ) as file:
        file.write(counts)
        file.scales, file.offsets, file.units = (0.01,), (-273.15,), ("degree_Celsius",)
        file.set_band_description(1, "temperature")
        file.update_tags(CAMERA="one")
        file.update_tags(1, wavelength="10 um")
    raster = image_files.read(tmp_path / "a.tif")
    image_files.write(
        tmp_path / "b.tif", np.repeat(np.repeat(raster.data[0], 2, 0), 2, 1), like=raster
    )
    with rasterio.open(tmp_path / "b.tif") as file:
        assert (file.scales, file.offsets) == ((0.01,), (-273.15,))
        assert file.units == ("degree_Celsius",)
        assert file.descriptions == ("temperature",)
        assert file.nodata == 65535
        assert file.tags()["CAMERA"] == "one"
        assert file.tags(1)["wavelength"] == "10 um"


def test_a_cog_is_read_and_a_large_output_is_tiled(tmp_path: Path) -> None:
    image = (60_000 * smooth_field((600, 700), 1)).astype(np.uint16)
    image_files.write(tmp_path / "a.tif", image)
    rasterio.shutil.copy(tmp_path / "a.tif", tmp_path / "cog.tif", driver="COG")
    assert np.array_equal(image_files.read(tmp_path / "cog.tif").data[0], image)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.profile["tiled"]
        assert file.profile["compress"] == "deflate"


def test_a_photo_taken_upright_stands_upright(tmp_path: Path) -> None:
    photo = np.stack([np.tile(np.arange(48) * 5, (32, 1))] * 3, axis=-1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo).save(tmp_path / "a.jpg", exif=exif, quality=100)
    upright = image_files.read(tmp_path / "a.jpg").data.astype(int)
    assert np.abs(upright - np.rot90(photo, -1).transpose(2, 0, 1)).max() <= 3


def test_a_paletted_guide_has_its_colours(tmp_path: Path) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8))
    paletted = photo.quantize(16)
    paletted.save(tmp_path / "a.png")
    expected = np.asarray(paletted.convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(image_files.read(tmp_path / "a.png").data, expected)
