"""The pairs in a folder, by makers' names, by what is inside, and by the time; tables of others."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cmsr.app.batch.folder import find_pairs
from cmsr.app.batch.names import understood
from cmsr.app.cli import main
from cmsr.errors import InputError
from cmsr.io import image_files
from cmsr.io.pair_table import read_rows
from tests.batches import QUICK, batch, make_table, results
from tests.fake_cameras import flir_file

SENSOR = np.linspace(0, 60000, 48).reshape(6, 8).astype(np.uint16)
COLOURS = np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)


def sensor(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(SENSOR).save(place, "TIFF" if place.suffix != ".png" else "PNG")


def photo(place: Path, taken: str | None = None, picture: np.ndarray = COLOURS) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    Image.fromarray(picture).save(place, "JPEG", exif=exif)


def pairs_in(folder: Path) -> set[tuple[str, str]]:
    return {(pair.target, pair.photo) for pair in find_pairs(str(folder)).pairs}


NAMED = {
    "DJI": ("DJI_20240501120000_0007_T.JPG", "DJI_20240501120001_0007_W.JPG"),
    "DJI, older": ("DJI_0007_T.JPG", "DJI_0007_V.JPG"),
    "DJI, named flight": ("DJI_20240501120000_7_T_roof.JPG", "DJI_20240501120000_7_W_roof.JPG"),
    "DJI, multispectral": ("DJI_20240501120000_0007_MS_NIR.TIF", "DJI_20240501120000_0007_D.JPG"),
    "Autel": ("IRX_0012.TIFF", "MAX_0012.JPG"),
    "FLIR": ("IR_0003.jpg", "DC_0003.jpg"),
    "suffixes": ("roof_thermal.tif", "roof_rgb.jpg"),
    "prefixes": ("ir_3.png", "vis_3.png"),
    "camel case": ("frame3Thermal.png", "frame3Visible.jpg"),
    "folders": ("thermal/0001.png", "rgb/0001.jpg"),
    "joined words": ("set/cropinfrared/1.png", "set/crop_LR_visible/1.jpg"),
    "same name": ("0001.tif", "0001.jpg"),
    "one word each": ("depth.png", "photo.jpg"),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMED)
def test_pairs_by_name(case: str, tmp_path: Path) -> None:
    target, guide = NAMED[case]
    sensor(tmp_path / target) if target.endswith(("tif", "png", "TIF", "TIFF")) else photo(
        tmp_path / target
    )
    photo(tmp_path / guide)
    assert pairs_in(tmp_path) == {(target, guide)}


def test_shots_of_djis_names_are_kept_apart_by_their_time(tmp_path: Path) -> None:
    for day in ("20240501120000", "20240502090000"):
        photo(tmp_path / f"DJI_{day}_0001_T.JPG")
        photo(tmp_path / f"DJI_{day}_0001_Z.JPG")
    photo(tmp_path / "DJI_20240501120002_0001_W.JPG")
    found = find_pairs(str(tmp_path))
    assert [pair.photo for pair in found.pairs] == [
        "DJI_20240501120002_0001_W.JPG", "DJI_20240502090000_0001_Z.JPG",
    ]  # fmt: skip
    assert found.alone == [
        ("DJI_20240501120000_0001_Z.JPG", "another photo of the same shot is used")
    ]


def test_pairs_by_time_and_in_one_file(tmp_path: Path) -> None:
    grey = np.repeat(COLOURS[..., :1], 3, axis=2)
    photo(tmp_path / "IMG_1.jpg", "2024:05:01 12:00:01", grey)
    photo(tmp_path / "IMG_2.jpg", "2024:05:01 12:00:02")
    photo(tmp_path / "IMG_3.jpg", "2024:05:01 12:00:09")
    (tmp_path / "one.jpg").write_bytes(flir_file(SENSOR, COLOURS))
    found = find_pairs(str(tmp_path))
    assert [(p.target, p.photo, p.why) for p in found.pairs] == [
        ("IMG_1.jpg", "IMG_2.jpg", "time"), ("one.jpg", "", "one file"),
    ]  # fmt: skip
    assert found.alone == [("IMG_3.jpg", "a photo alone")]


def test_the_folder_of_results_hidden_files_and_links_outwards_are_left_out(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside_thermal.png", tmp_path / "in"
    sensor(outside)
    sensor(folder / "a_thermal.png")
    photo(folder / "a_rgb.jpg")
    photo(folder / "._a_rgb.jpg")
    sensor(folder / "out" / "a_rgb_thermal.png")
    sensor(folder / "earlier" / "a_thermal.png")
    (folder / "earlier" / "batch.jsonl").touch()
    (folder / "b_thermal.png").symlink_to(outside)
    (folder / "c_thermal.txt").write_text("no image")
    (folder / "d_thermal.png").symlink_to(folder / "nowhere.png")
    os.symlink("/", folder / "root")
    found = find_pairs(str(folder), str(folder / "out"))
    assert [pair.target for pair in found.pairs] == ["a_thermal.png"]
    assert found.alone == [("b_thermal.png", "a link that leads out of the folder")]


def test_a_folder_is_shown_written_as_a_table_and_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out, table = tmp_path / "in", tmp_path / "out", tmp_path / "pairs.csv"
    make_table(folder, 2)
    for index in range(2):
        (folder / f"t{index}.png").rename(folder / f"ir_{index}.png")
        (folder / f"g{index}.png").rename(folder / f"vis_{index}.png")
    (folder / "vis_1.png").rename(folder / "vis_7.png")
    words = ["batch", str(folder), "-o", str(out), "--pairs-out", str(table)]
    assert main([*words, "--dry-run"]) == 0
    assert not out.exists()
    printed = capsys.readouterr().out
    assert "1 pair, 2 images without a partner" in printed
    assert "no partner: ir_1.png (a sensor's image alone)" in printed
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert rows == [{"name": "ir_0", "target": "in/ir_0.png", "guide": "in/vis_0.png",
                     "found_by": "names"}]  # fmt: skip
    assert main([*words, *QUICK]) == 2, "an existing table is not overwritten"
    tally = batch(folder, out)
    assert (tally.total, tally.done) == (1, 1)
    assert batch(table, out).before == 1, "the table is the folder's"
    assert results(out).keys() == {"ir_0"}


def test_a_folder_without_pairs_says_what_it_has(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"holds no pairs: .*a\.jpg \(a photo alone\)"):
        find_pairs(str(tmp_path))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_of_spreadsheets(separator: str) -> None:
    text = separator.join(("name", "target", "guide")) + "\r\n" + separator.join("abc") + "\r\n"
    assert read_rows("t.csv", b"\xef\xbb\xbf" + text.encode()) == [
        (2, {"name": "a", "target": "b", "guide": "c"})
    ]


def test_previews_and_the_page_over_the_pages(tmp_path: Path) -> None:
    table, out = make_table(tmp_path, 2), tmp_path / "out"
    with table.open("a") as file:
        file.write("lost,t0.png,<b>.png\n")
    tally = batch(table, out, report=True, preview=True)
    assert (tally.total, tally.new, tally.missing) == (3, 2, 1)
    assert "2 new, 1 without a file" in tally.planned()
    with Image.open(out / "p00.preview.png") as picture:
        assert picture.mode == "RGB"
    page = (out / "index.html").read_text()
    assert 'href="p00.html"' in page
    assert "3 pairs: 2 done, 1 failed" in page
    assert "photo used for" in page
    assert "<b>" not in page
    (out / "p00.preview.png").unlink()
    again = batch(table, out, report=True, preview=True)
    assert (again.before, again.done) == (1, 1)


def test_several_files_are_refused_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", "a.jpg", "b.jpg", "-o", "out"]) == 2
    assert "name their folder" in capsys.readouterr().err


def test_what_a_name_says() -> None:
    assert understood("a/image_7.tif").role is None
    assert understood("MAX_7.JPG").role == "photo"
    assert understood("dem_max.tif").role is None


def test_a_column_of_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_table(tmp_path, 1)
    table, out = tmp_path / "ratios.csv", tmp_path / "out"
    table.write_text(
        'name,target,guide,ratio\na,t0.png,,2\nb,t0.png,,"3,2"\n'
        "c,t0.png,g0.png,\nd,t0.png,,2 x 1.5\n"
    )
    assert batch(table, out).done == 4
    shapes = {name: image_files.read(out / f"{name}.tif").shape for name in "abcd"}
    assert shapes == {"a": (48, 64), "b": (48, 96), "c": (48, 64), "d": (36, 64)}
    assert batch(table, out).before == 4
    table.write_text(table.read_text().replace(",,2\n", ",,3\n"))
    assert batch(table, out).done == 1
    table.write_text("name,target,guide,ratio\na,t0.png,,wide\n")
    assert main(["batch", str(table), "-o", str(out)]) == 2
    assert "line 2: ratio is 'wide'" in capsys.readouterr().err
    assert main(["upscale", str(tmp_path / "t0.png"), "-o", str(tmp_path / "o.tif"), "--quiet",
                 "--ratio", "3,2", *QUICK[:2], *QUICK[4:]]) == 0  # fmt: skip
    assert image_files.read(tmp_path / "o.tif").shape == (48, 96)
