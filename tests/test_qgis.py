"""The QGIS plugin: its parameters are those of the commands; QGIS runs, cancels and loads."""

import ast
import dataclasses
import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from docstring_parser import parse_from_object
from rasterio.crs import CRS
from rasterio.transform import from_origin
from skimage.registration import phase_cross_correlation

import cmsr
from cmsr.config import Config
from tests.conftest import render_pair

HOME = Path(__file__).parents[1] / "integrations" / "qgis"
UTM, EAST, NORTH = CRS.from_epsg(32632), 500_000.0, 5_700_000.0
MARGIN = 8
"""Pixels by which the photo shows more than the target, on each side."""

HOLE = (slice(2, 4), slice(3, 6))
NODATA = -9999.0

BARE = "import sys; from cmsr.app.cli import main; sys.exit(main())"


def builder() -> Any:
    """The script that describes the parameters and packs the plugin."""
    spec = importlib.util.spec_from_file_location("qgis_build", HOME / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_parameters_are_those_of_the_commands() -> None:
    made = builder()
    shipped = json.loads((HOME / "cmsr_qgis" / "parameters.json").read_text(encoding="utf-8"))
    assert shipped == json.loads(json.dumps(made.parameters())), (
        "run: python integrations/qgis/build.py"
    )
    meaning = {
        p.arg_name: " ".join(p.description.split()) for p in parse_from_object(Config).params
    }
    wanted = {field.name for field in dataclasses.fields(Config)} - set(made.LEFT_OUT)
    for command in ("upscale", "batch"):
        helps = {each["name"]: each["help"] for each in shipped[command]}
        assert {name: helps[name] for name in wanted} == {name: meaning[name] for name in wanted}


def test_what_a_command_also_writes_is_an_output() -> None:
    for described in builder().parameters().values():
        for each in described:
            files = each["kind"] == "output"
            named = each["help"].startswith("Also write") and each["kind"] != "flag"
            assert files == (named or each["name"] == "out"), each


def test_the_plugin_is_packed_with_its_version_and_for_old_pythons(tmp_path: Path) -> None:
    packed = builder().write_zip(tmp_path)
    assert packed.read_bytes() == builder().write_zip(tmp_path / "again").read_bytes()
    with zipfile.ZipFile(packed) as archive:
        texts = {Path(name).name: archive.read(name).decode() for name in archive.namelist()}
        assert {Path(name).parent.name for name in archive.namelist()} == {"cmsr_qgis"}
    assert f"version={cmsr.__version__}\n" in texts["metadata.txt"]
    assert {"LICENSE", "icon.svg", "parameters.json"} < texts.keys()
    for name, text in texts.items():
        if name.endswith(".py"):
            ast.parse(text, feature_version=(3, 8))


def write_scene(folder: Path) -> np.ndarray:
    """Write a target of 4 m with a hole, and a photo of 1 m that shows more; return the truth."""
    pair = render_pair((96, 128), (24, 32))
    inner = MARGIN // 4
    target = (20 + 10 * pair.target[inner:-inner, inner:-inner]).astype(np.float32)
    target[HOLE] = NODATA
    corner = {"crs": UTM, "transform": from_origin(EAST + MARGIN, NORTH - MARGIN, 4, 4)}
    height, width = target.shape
    with rasterio.open(
        folder / "target.tif", "w", "GTiff", width, height, 1,
        dtype="float32", nodata=NODATA, **corner,
    ) as file:  # fmt: skip
        file.write(target, 1)
    with rasterio.open(
        folder / "photo.tif", "w", "GTiff", 128, 96, 3,
        dtype="uint8", photometric="rgb", crs=UTM, transform=from_origin(EAST, NORTH, 1, 1),
    ) as file:  # fmt: skip
        file.write(np.moveaxis(pair.guide, -1, 0))
    return 20 + 10 * pair.truth


@dataclasses.dataclass(frozen=True)
class Qgis:
    """QGIS with the plugin: its profile, a scene, and what has been run."""

    folder: Path
    truth: np.ndarray
    environment: dict[str, str]
    process: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `qgis_process`."""
        command = [self.process, *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def algorithm(self, name: str, **values: object) -> subprocess.CompletedProcess[str]:
        """Run an algorithm of the plugin."""
        given = [f"{key}={value}" for key, value in values.items()]
        return self.run("--json", "run", f"cmsr:{name}", *given)


def write_program(path: Path) -> None:
    """Write a `cmsr` that runs this code, and leaves its process's number beside it."""
    path.parent.mkdir(parents=True)
    source = Path(cmsr.__file__).parents[1]
    path.write_text(
        f"#!/bin/sh\necho $$ > '{path}.pid'\nexport PYTHONPATH='{source}' OMP_NUM_THREADS=1\n"
        f"exec '{sys.executable}' -c '{BARE}' \"$@\"\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(scope="session")
def qgis(tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    """QGIS with a profile of its own, in which the packed plugin is installed."""
    # Debian's script passes options that the program refuses.
    process = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    if process is None:
        pytest.skip("no QGIS: make test-qgis installs Debian's")
    folder = tmp_path_factory.mktemp("qgis")
    plugins = folder / "profile" / "profiles" / "default" / "python" / "plugins"
    with zipfile.ZipFile(builder().write_zip(folder)) as archive:
        archive.extractall(plugins)
    write_program(folder / "environment" / "bin" / "cmsr")
    # an activated environment would lend QGIS its Python
    paths = [path for path in os.environ["PATH"].split(os.pathsep)
             if path != os.path.dirname(sys.executable)]  # fmt: skip
    environment = os.environ | {
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_CUSTOM_CONFIG_PATH": str(folder / "profile"),
        "PATH": os.pathsep.join([str(folder / "environment" / "bin"), *paths]),
    }
    environment.pop("PYTHONPATH", None)
    made = Qgis(folder, write_scene(folder), environment, process)
    (folder / "pairs").mkdir()
    for name, role in (("target.tif", "thermal"), ("photo.tif", "rgb")):
        shutil.copy(folder / name, folder / "pairs" / f"a_{role}.tif")
    assert made.run("plugins", "enable", "cmsr_qgis").returncode == 0
    return made


@pytest.fixture(scope="session")
def session(qgis: Qgis) -> dict[str, Any]:
    """What `qgis_session.py` has found."""
    python = shutil.which("python3", path="/usr/bin") or "python3"
    script = Path(__file__).with_name("qgis_session.py")
    done = subprocess.run(
        [python, script, qgis.folder], env=qgis.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def assert_in_place(path: Path, truth: np.ndarray, band: Callable[[Any], np.ndarray]) -> None:
    """Check that an image shows at each place what the truth shows there, to half a pixel."""
    with rasterio.open(path) as file:
        assert file.crs == UTM
        left, _, _, top = file.bounds
        assert file.bounds == (EAST + 8, NORTH - 88, EAST + 120, NORTH - 8)
        image, seen = band(file), file.read_masks(1) > 0
    row, column = round(NORTH - top), round(left - EAST)
    height, width = image.shape
    there = truth[row : row + height, column : column + width]
    image = np.where(seen, image, there)
    shift = phase_cross_correlation(there - there.mean(), image - image.mean(), upsample_factor=10)
    assert np.abs(shift[0]).max() < 0.5
    assert np.corrcoef(there.ravel(), image.ravel())[0, 1] > 0.9


def test_sharpened_in_the_right_place_with_its_holes(qgis: Qgis) -> None:
    out = qgis.folder / "sharp.tif"
    files = {"TARGET": qgis.folder / "target.tif", "GUIDE": qgis.folder / "photo.tif"}
    done = qgis.algorithm("sharpen", **files, PRESET="fast", KERNEL="box", OUTPUT=out)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"] == {"OUTPUT": str(out)}
    assert any("photo         used for" in line for line in json.loads(done.stdout)["log"]["info"])
    assert_in_place(out, qgis.truth, lambda file: file.read(1))
    with rasterio.open(out) as file:
        assert file.nodata == NODATA
        holes = file.read(1) == NODATA
    assert holes[8:16, 12:24].all()
    assert holes.sum() == 8 * 12


def test_registered_in_the_right_place(qgis: Qgis) -> None:
    out, mask = qgis.folder / "placed.tif", qgis.folder / "mask.tif"
    files = {"TARGET": qgis.folder / "target.tif", "GUIDE": qgis.folder / "photo.tif"}
    done = qgis.algorithm("register", **files, HOW="affine", OUTPUT=out, MASK=mask)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"] == {"OUTPUT": str(out), "MASK": str(mask)}
    with rasterio.open(qgis.folder / "photo.tif") as file:
        photo = file.read(1).astype(float)
    assert_in_place(out, photo, lambda file: file.read(1).astype(float))


def test_bad_input_is_one_line_of_cmsr(qgis: Qgis) -> None:
    out, missing = qgis.folder / "bad.tif", qgis.folder / "missing.tif"
    done = qgis.algorithm("sharpen", TARGET=missing, RATIO=2, OUTPUT=out)
    assert done.returncode != 0
    assert f"cmsr: {missing}: no such file" in done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_a_result_is_loaded_with_its_place_and_a_style(session: dict[str, Any]) -> None:
    _, layer = session["loaded"]["layers"]
    low, high = layer.pop("range")
    assert layer == {
        "name": "Sharpened image",
        "crs": "EPSG:32632",
        "nodata": NODATA,
        "style": "singlebandpseudocolor",
        "lowest": "#000004",
        "extent": [EAST + 8, NORTH - 88, EAST + 120, NORTH - 8],
    }
    assert 20 < low < high < 30
    (styled,) = session["styled"]["layers"]
    assert styled["style"] == "singlebandgray", "as the layer that was sharpened is drawn"


def test_an_error_map_is_loaded_in_place_with_colours_from_zero(
    qgis: Qgis, session: dict[str, Any]
) -> None:
    layer, result = session["loaded"]["layers"]
    low, high = layer["range"]
    assert layer["name"] == "Error map"
    assert (layer["crs"], layer["extent"]) == (result["crs"], result["extent"])
    with rasterio.open(qgis.folder / "error.tif") as file:
        error = file.read(1)
    assert low == 0
    assert np.nanquantile(error, 0.9) < high <= np.nanmax(error)
    assert layer["style"] == "singlebandpseudocolor"
    assert layer["lowest"] == "#fff5f0", "white, unlike a result"


def test_progress_is_told_in_order(session: dict[str, Any]) -> None:
    loaded = session["loaded"]
    shares = loaded["shares"][: len(loaded["stages"]) - 1]
    assert shares == sorted(shares)
    assert {"reading", "validating", "writing"} < set(loaded["stages"])


def test_cancelling_ends_cmsr_and_leaves_nothing(qgis: Qgis, session: dict[str, Any]) -> None:
    assert session["cancelled"]["error"] == "cancelled"
    assert "writing" not in session["cancelled"]["stages"]
    assert session["left"] == []


def test_no_cmsr_outlives_qgis(qgis: Qgis, session: dict[str, Any]) -> None:
    last = int((qgis.folder / "environment" / "bin" / "cmsr.pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


def test_a_folder_is_sharpened_and_loaded(qgis: Qgis, session: dict[str, Any]) -> None:
    layer, error = session["folder"]["layers"]
    assert (layer["name"], layer["crs"]) == ("a_thermal", "EPSG:32632")
    assert layer["style"] == "singlebandpseudocolor"
    assert (error["name"], error["extent"]) == ("a_thermal.error", layer["extent"])
    assert (error["lowest"], error["range"][0]) == ("#fff5f0", 0)
    assert_in_place(
        qgis.folder / "results" / "a_thermal.tif", qgis.truth, lambda file: file.read(1)
    )


def test_cmsr_is_looked_for_and_named(session: dict[str, Any]) -> None:
    assert "cmsr was not found. Install it" in session["not_found"]["error"]
    assert session["set"]["error"] == "cmsr: ratio is 0.5; it must lie from 1 to 64"
