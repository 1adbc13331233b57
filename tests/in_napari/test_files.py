"""Thermal cameras' files and the sample open as layers that lie over each other."""

from pathlib import Path

import napari
import numpy as np
import pytest
from napari.layers import Layer
from npe2 import PluginManifest
from PIL import Image as Picture

import cmsr
from cmsr.app.demo.scene import street
from cmsr.app.napari.reader import reader_of
from cmsr.app.napari.sharpen import sharpen
from cmsr.app.napari.widget import Sharpen
from tests.conftest import render_pair, smooth_field
from tests.documents import blocks
from tests.fake_cameras import dji_file, flir_file, jpeg
from tests.in_napari.conftest import MANIFEST
from tests.in_napari.test_layers import corners
from tests.test_flir import CELSIUS, COUNTS


def test_the_manifest_names_what_there_is() -> None:
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert f'[project.entry-points."napari.manifest"]\n{manifest.name} = ' in project
    assert '"cmsr.app.napari:napari.yaml"' in project


def test_the_pages_script_sharpens_the_sample(
    widget: Sharpen, viewer: napari.Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (script,) = [block.text for block in blocks() if "napari.run()" in block.text]
    monkeypatch.setattr(napari, "Viewer", lambda: viewer)
    monkeypatch.setattr(napari, "run", lambda: None)
    exec(compile(script, "NAPARI.md", "exec"), {})  # noqa: S102
    photo, thermal, *_, sharp = viewer.layers
    assert np.allclose(corners(photo), corners(thermal))
    assert np.allclose(corners(sharp), corners(thermal))
    assert (widget.target.value, widget.guide.value) == (thermal, photo)
    assert sharp.metadata["unit"] == "°C"
    truth = street().truth * 0.01 - 273.15
    enlarged = np.kron(thermal.data, np.ones((4, 4)))
    assert np.abs(sharp.data - truth).mean() < 0.7 * np.abs(enlarged - truth).mean()


def test_a_radiometric_jpeg_opens_as_temperatures_and_photo(tmp_path: Path) -> None:
    counts, seen = COUNTS[:30, :40], render_pair((120, 160), (30, 40)).guide
    path = tmp_path / "FLIR.JPG"
    path.write_bytes(flir_file(counts, seen, (1.25, 3, -2)))
    photo, thermal = (Layer.create(*layer) for layer in reader_of(str(path))(str(path)))
    assert np.abs(thermal.data - CELSIUS[:30, :40]).max() < 0.05
    assert thermal.name == "FLIR, °C"
    assert np.allclose(corners(photo), corners(thermal))
    (*_, sharp) = sharpen(thermal, photo, preset="fast")
    assert np.array_equal(sharp.data, cmsr.upscale(path, preset="fast").image)


def test_other_jpegs_open_as_they_are(tmp_path: Path) -> None:
    counts = (18_000 + 500 * smooth_field((120, 160), 1)).astype(np.uint16)
    for name, content in (("a.jpg", jpeg()), ("b.jpg", dji_file(counts))):
        (tmp_path / name).write_bytes(content)
    read = reader_of([str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")])
    assert read is not None
    (plain, about, kind), (raw, *_) = read([str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")])
    assert np.array_equal(plain, np.asarray(Picture.open(tmp_path / "a.jpg")))
    assert (about["name"], about["rgb"], kind) == ("a", True, "image")
    assert np.array_equal(raw, counts)
    assert reader_of(str(tmp_path / "no.jpg")) is None
