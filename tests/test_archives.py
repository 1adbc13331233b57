"""Images in a ZIP are read as if they were unpacked; nothing of it lands anywhere else."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cmsr.app.cli import main
from cmsr.errors import InputError
from cmsr.io import archives, image_files
from tests.conftest import SyntheticPair

IMAGE = np.arange(48, dtype=np.float32).reshape(6, 8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image_files.write(tmp_path / "a.tif", IMAGE)
    np.save(tmp_path / "b.npy", IMAGE + 100)
    image_files.write_pages(tmp_path / "p.tif", [(IMAGE, None, None), (IMAGE + 1, None, None)])
    with zipfile.ZipFile(tmp_path / "one.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "a.tif", "deep/a.tif")
        archive.writestr("README.md", "text")
        archive.writestr("__MACOSX/._a.tif", "text")
    with zipfile.ZipFile(tmp_path / "many.ZIP", "w") as archive:
        for name in ("a.tif", "b.npy", "p.tif"):
            archive.write(tmp_path / name, f"s/{name}")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("one.zip", 0), ("one.zip:deep/a.tif", 0), ("one.zip/deep/a.tif", 0),
        ("many.ZIP:s/a.tif", 0), ("many.ZIP:s/b.npy", 100), ("many.ZIP:s/p.tif:2", 1),
    ],
)  # fmt: skip
def test_an_image_in_a_zip_is_read(folder: Path, name: str, value: float) -> None:
    for text in (f"{folder}/{name}", f"/vsizip/{folder}/{name}", f"/vsizip{folder}/{name}"):
        assert np.array_equal(image_files.read(text).data[0], IMAGE + value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "many.ZIP",
            r"several files; name one as .*many\.ZIP:NAME \(s/a\.tif, s/b\.npy, s/p\.tif\)",
        ),
        ("many.ZIP:c.tif", r"holds no c\.tif, but s/a\.tif"),
        ("one.zip:../a.tif", r"holds no \.\./a\.tif"),
        ("empty.zip", "holds no image"),
        ("none.zip", "no such file"),
    ],
)
def test_what_is_not_in_it_is_told(folder: Path, name: str, words: str) -> None:
    with zipfile.ZipFile(folder / "empty.zip", "w") as archive:
        archive.writestr("README.md", "text")
    with pytest.raises(InputError, match=words):
        image_files.read(folder / name)
    assert image_files.parts(folder / "many.ZIP") == ("s/a.tif", "s/b.npy", "s/p.tif")


def test_no_name_leads_out_of_the_folder(folder: Path) -> None:
    with zipfile.ZipFile(folder / "evil.zip", "w") as archive:
        archive.write(folder / "a.tif", "../../../evil.tif")
        archive.write(folder / "a.tif", "../../../evil.tif.aux.xml")
    before = sorted(folder.parent.rglob("*"))
    file, member = image_files.locate(folder / "evil.zip")
    assert (file.name, member) == ("evil.tif", "")
    assert {one.name for one in file.parent.iterdir()} == {"evil.tif", "evil.tif.aux.xml"}
    assert sorted(folder.parent.rglob("*")) == before


def test_bombs_are_not_unpacked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.tif", bytes(archives._SMALL + 1))
    with pytest.raises(InputError, match=r"a\.tif: is packed \d+ times"):
        image_files.read(folder / "bomb.zip")
    monkeypatch.setattr(archives, "_LARGEST", 100)
    with pytest.raises(InputError, match=r"a\.tif: is 0\.0 GB unpacked; unpack it first"):
        image_files.read(folder / "one.zip")


def test_a_size_that_lies_is_found_out(folder: Path) -> None:
    content = bytearray((folder / "one.zip").read_bytes())
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):  # unpacked sizes
        struct.pack_into("<I", content, content.index(mark) + place, 10)
    (folder / "lies.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"lies\.zip:deep/a\.tif: cannot be unpacked"):
        image_files.read(folder / "lies.zip")


def test_only_the_latest_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archives._clear()
    monkeypatch.setattr(archives, "_MOST_KEPT", 2)
    places = [
        image_files.locate(f"{folder}/many.ZIP:s/{name}")[0] for name in ("a.tif", "b.npy", "p.tif")
    ]
    assert [place.is_file() for place in places] == [False, True, True]
    assert image_files.locate(f"{folder}/many.ZIP:s/b.npy")[0] == places[1]
    archives._clear()
    assert not any(place.parent.exists() for place in places)


def test_a_pair_from_zips(tmp_path: Path, pair: SyntheticPair) -> None:
    image_files.write(tmp_path / "low.tif", pair.target.astype(np.float32))
    image_files.write(tmp_path / "photo.png", pair.guide)
    for name in ("low.tif", "photo.png"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.write(tmp_path / name, name)
    quick = ["--preset", "fast", "--align", "off", "--quiet", "-o"]
    plain = [str(tmp_path / name) for name in ("low.tif", "photo.png")]
    assert main(["upscale", *plain, *quick, str(tmp_path / "a.tif")]) == 0
    assert (
        main(["upscale", *(f"{name}.zip" for name in plain), *quick, str(tmp_path / "b.tif")]) == 0
    )
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
