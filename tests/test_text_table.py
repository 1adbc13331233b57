"""An image in text is read whatever its separator, decimal sign, header and labels."""

from pathlib import Path

import numpy as np
import pytest

from cmsr.app.cli import main
from cmsr.errors import InputError
from cmsr.io import image_files, inputs, pages
from tests.conftest import smooth_field

IMAGE = np.round(15 + 10 * smooth_field((9, 12), 1), 2)


def lines(separator: str = ",", decimal: str = ".", end: str = "") -> list[str]:
    return [
        separator.join(f"{value:.2f}".replace(".", decimal) for value in row) + end for row in IMAGE
    ]


INDEX = ",".join(map(str, range(12)))
LABELLED = [f"{number},{line}" for number, line in enumerate(lines(), 1)]
FORMS = {
    "comma": (lines(), None),
    "comma at the end": (lines(end=","), None),
    "semicolon": (lines(";"), None),
    "tab": (lines("\t"), None),
    "spaces": ([f"  {line}" for line in lines("   ")], None),
    "decimal comma": (lines(";", ","), None),
    "decimal comma, tab": (lines("\t", ","), None),
    "decimal comma, spaces": (lines(" ", ","), None),
    "quoted decimal comma": ([f'"{line}"' for line in lines('","', ",")], None),
    "header": (["Camera;E40", "", "Emissivity;0,95", "Temperature [°C]", *lines(";", ",")], "°C"),
    "header of numbers": (["width,12", "height,9", "1,2,3", "unit: kelvin", *lines()], "K"),
    "units in cells": ([line.replace(",", " °C,") + " °C" for line in lines()], "°C"),
    "fahrenheit": (["degrees Fahrenheit", *lines()], "°F"),
    "index row": ([INDEX, *lines()], None),
    "index column": (LABELLED, None),
    "both indices": ([r"y\x," + INDEX, *LABELLED], None),
    "both, corner empty": (["," + INDEX, *LABELLED], None),
    "labels of rows": ([f"Row {line}" for line in LABELLED], None),
    "first cell empty": (["," + line for line in lines()], None),
    "an empty line after each": ([part for line in lines() for part in (line, "")], None),
    "a footer": ([*lines(), "", "mean,20.1"], None),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.dat"])
def test_an_image_in_text_is_read(tmp_path: Path, form: str, name: str) -> None:
    text, unit = FORMS[form]
    (tmp_path / name).write_text("\n".join(text) + "\n")
    raster = image_files.read(tmp_path / name)
    assert np.array_equal(raster.data[0], IMAGE.astype(np.float32))
    assert raster.unit()[2] == (unit or "")
    assert raster.flat
    assert pages.pages(tmp_path / name) == [tmp_path / name]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_text_of_any_usual_encoding(tmp_path: Path, encoding: str) -> None:
    text = "\r\n".join(["Temperatur in °C", *lines(";", ",")])
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    raster = image_files.read(tmp_path / "a.csv")
    assert np.array_equal(raster.data[0], IMAGE.astype(np.float32))
    assert raster.unit()[2] == "°C"


def test_what_is_missing_is_a_hole(tmp_path: Path) -> None:
    text = "\n".join(lines()).split(",")
    text[3], text[15], text[40] = "", "---", "NaN"
    (tmp_path / "a.csv").write_text(",".join(text))
    raster = image_files.read(tmp_path / "a.csv")
    assert (~raster.valid).sum() == 3
    assert np.array_equal(raster.data[0][raster.valid], np.float32(IMAGE)[raster.valid])


REFUSED = {
    "words": (["target,guide", "a.tif,b.jpg"], "is not a table of numbers; expected one line"),
    "ragged": ([line[: 10 * (1 + i % 3)] for i, line in enumerate(lines())], "is not a table"),
    "cut off": (
        [*lines()[:-1], lines()[-1][:12]],
        "is truncated: line 9 of the table has fewer than 12 numbers",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_other_text_is_refused_in_one_line(tmp_path: Path, fault: str) -> None:
    text, expected = REFUSED[fault]
    (tmp_path / "a.csv").write_text("\n".join(text))
    with pytest.raises(InputError, match=rf"a\.csv: {expected}"):
        inputs.read_alone(tmp_path / "a.csv")


def test_other_formats_in_text_are_left_to_their_readers(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_text("P2\n4 4\n9\n" + "1 2 3 4\n" * 4)
    (tmp_path / "b.asc").write_text("ncols 4\nnrows 4\n" + "1 2 3 4\n" * 4)
    (tmp_path / "c.vrt").write_text("<VRTDataset/>\n" + "1 2 3 4\n" * 4)
    assert not any(image_files.is_array(path) for path in tmp_path.iterdir())


def test_frames_of_a_recording_are_its_pages(tmp_path: Path) -> None:
    parts = [f"Frame {n}\n" + "\n".join(lines()).replace(",", f",{n}") for n in (1, 2, 3)]
    film = tmp_path / "film.csv"
    film.write_text("Unit: °C\n" + "\n\n".join(parts))
    assert pages.pages(film) == [f"{film}:{n}" for n in (1, 2, 3)]
    assert pages.parts(film) == ("1", "2", "3")
    frames = [image_files.read(page) for page in pages.pages(film)]
    for number, frame in enumerate(frames, 1):
        assert np.array_equal(frame.data[0, :, 0], IMAGE[:, 0].astype(np.float32))
        assert np.array_equal(frame.data[0, :, 1:] // 100, np.full((9, 11), number))
    assert {frame.unit()[2] for frame in frames} == {"°C"}
    assert "has 3 pages, this is the first" in inputs.read_alone(film)[1][0]
    with pytest.raises(
        InputError, match=r"3 tables of 12 × 9 numbers; name one as .*film\.csv:1 to"
    ):
        image_files.read(film)
    with pytest.raises(InputError, match="and no part ':4'"):
        image_files.read(f"{film}:4")
    out = tmp_path / "o.tif"
    assert (
        main(["upscale", str(film), "-o", str(out), "--ratio", "2", "--preset", "fast", "--quiet"])
        == 0
    )
    assert len(pages.pages(out)) == 3
