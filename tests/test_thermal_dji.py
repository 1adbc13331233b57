"""DJI's temperatures come from the program on the PATH, asked as its manual says."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io import inputs
from cmsr.thermal import dji_program
from tests.conftest import smooth_field
from tests.fake_cameras import dji_file

COUNTS = (18_000 + 500 * smooth_field((48, 64), 1)).astype(np.uint16)
GIVEN = {"emissivity": 0.97, "distance": 12.0, "humidity": 0.45, "reflected_temperature": -5.0}

START = f"""#!{sys.executable}
import struct, sys, time
words = sys.argv[1:]
open({{log!r}}, "w").write("\\n".join(words))
"""
VALUES = "values = [20.0 + 0.01 * i for i in range({rows} * {cols})]; values[7] = -273.15\n"
PLAIN = """
out = words[words.index("-o") + 1]
open(out, "wb").write(struct.pack(f"<{len(values)}f", *values))
"""
TIFF = """
source, folder = (words[words.index(flag) + 1] for flag in ("--input-dir", "--output-dir"))
xmp = b'<x dtc:Emissivity="0.95" dtc:Distance="5" dtc:Humidity="50" dtc:AmbientTemperatureC="21"/>'
entries = [(256, 4, {cols}), (257, 4, {rows}), (258, 3, 32), (259, 3, 1), (262, 3, 1), (273, 4, 8),
           (277, 3, 1), (278, 4, {rows}), (279, 4, 4 * len(values)), (339, 3, 3)]
data = struct.pack(f"<{len(values)}f", *values)
entries.append((700, 1, 8 + len(data)))
table = b"".join(struct.pack("<HHII", tag, kind, len(xmp) if tag == 700 else 1, value)
                 for tag, kind, value in sorted(entries))
head = struct.pack("<2sHI", b"II", 42, 8 + len(data) + len(xmp))
stem = source.rsplit("/", 1)[-1].rsplit(".", 1)[0]
open(f"{folder}/{stem}_temp_c.tiff", "wb").write(
    head + data + xmp + struct.pack("<H", len(entries)) + table + bytes(4))
"""
BODY = {"dji-thermal-cli": TIFF, "dji_irp": PLAIN}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that alone is on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.jpg").write_bytes(dji_file(COUNTS, model="M30T"))
    return tmp_path


def install(folder: Path, name: str, body: str | None = None, shape: tuple = COUNTS.shape) -> None:
    """Put a stand-in program into the folder; it writes what it was asked to ``NAME.log``."""
    body = VALUES + BODY[name] if body is None else body
    for key, value in (("{rows}", shape[0]), ("{cols}", shape[1])):
        body = body.replace(key, str(value))
    program = folder / name
    program.write_text(START.replace("{log!r}", repr(str(folder / f"{name}.log"))) + body)
    program.chmod(0o755)


def read(folder: Path, **options: object) -> inputs.Inputs:
    return inputs.read_pair(folder / "a.jpg", None, Config(ratio=2, **options))


def asked(folder: Path, name: str) -> list[str]:
    return (folder / f"{name}.log").read_text().split("\n")


EXPECTED = {
    "dji-thermal-cli": "--emissivity 0.97 --distance 12 --humidity 45 --reflected-temp -5",
    "dji_irp": "--emissivity 0.97 --distance 12 --humidity 45 --reflection -5",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_installed_program_gives_celsius(folder: Path, name: str) -> None:
    install(folder, name)
    target, _, notes = read(folder, **GIVEN)
    expected = np.float32(20 + 0.01 * np.arange(COUNTS.size)).reshape(COUNTS.shape)
    expected.flat[7] = np.nan
    assert np.array_equal(target.data[0], expected, equal_nan=True)
    assert target.profile["units"] == ["°C"]
    assert f"by {name}" in notes[0]
    words = asked(folder, name)
    assert " ".join(words).endswith(EXPECTED[name])
    assert ("temp_c:tiff" if name == "dji-thermal-cli" else "float32") in words
    assert "a.jpg" not in " ".join(words)  # it works on a copy, which is gone
    camera = target.profile["camera"]
    assert camera["reader"] == name
    assert camera["model"] == "M30T"


def test_what_the_program_used_is_recorded(folder: Path) -> None:
    install(folder, "dji-thermal-cli")
    camera = read(folder).target.profile["camera"]
    assert camera["emissivity"] == 0.95
    assert camera["humidity"] == 0.5
    assert "--emissivity" not in asked(folder, "dji-thermal-cli")


def test_options_that_the_program_does_not_take_are_refused(folder: Path) -> None:
    install(folder, "dji_irp")
    with pytest.raises(OptionError, match=r"--atmospheric-temperature has no effect on .*a\.jpg"):
        read(folder, atmospheric_temperature=20)


FAULTS = {
    "fails": ("print('unsupported model')\nsys.exit(3)", r"a\.jpg: dji_irp could not.*unsupported"),
    "writes nothing": ("pass", "dji_irp could not measure it"),
    "is cut off": (VALUES + PLAIN.replace("values))", "values)[:-4])"), "returned no image"),
    "is not there": (None, "does not start"),
    "is cold": ((VALUES + PLAIN).replace("20.0 +", "-900.0 +"), "returned no temperature"),
    "hangs": ("time.sleep(60)", "took more than 0.5 s"),
    "talks on": (
        "print('x' * 10**6, file=sys.stderr)\nsys.exit(1)",
        "could not measure it .x{200}",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_program_that_fails_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    body, expected = FAULTS[fault]
    install(folder, "dji_irp", body)
    if body is None:
        (folder / "dji_irp").write_text("#!/no/such/interpreter\n")
    if fault == "hangs":
        monkeypatch.setattr(dji_program, "TIMEOUT", 0.5)
    with pytest.raises(InputError, match=expected):
        read(folder, distance=3)
    target, _, notes = read(folder)
    assert np.array_equal(target.data[0], COUNTS)
    assert re.search(f"{expected}.*counts, not °C", notes[0])


def test_values_of_another_shape_are_refused(folder: Path) -> None:
    install(folder, "dji-thermal-cli", shape=(48, 32))
    with pytest.raises(InputError, match="returned 32 × 48 values; expected the 64 × 48"):
        read(folder, distance=3)


def test_without_a_program_a_line_says_what_to_install(folder: Path) -> None:
    target, _, notes = read(folder)
    assert np.array_equal(target.data[0], COUNTS)
    assert "install dji-thermal-cli" in notes[0]
    with pytest.raises(OptionError, match=r"--distance has no effect on counts.*pip install"):
        read(folder, distance=3)
