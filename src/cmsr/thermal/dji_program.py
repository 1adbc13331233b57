"""Temperatures of DJI's radiometric JPEGs, by a program that the user has installed.

Only DJI's Thermal SDK, or a port of it, reads their calibration. Two programs are asked, whichever
is on the PATH; neither is part of this project, and neither is imported.

`dji-thermal-cli` (PyPI, Python ≥ 3.12) writes <stem>_temp_c.tiff, float32 in °C, no data as
−273.15, and the parameters it used as attributes dtc:… in the XMP:
    dji-thermal-cli process --input-dir FILE --output-dir FOLDER --output temp_c:tiff --jobs 1
        --quiet [--emissivity 0.95] [--distance METRES] [--humidity PERCENT] [--reflected-temp °C]

`dji_irp`, of DJI's SDK, writes plain float32 in °C, row by row:
    dji_irp -s FILE -a measure -o RAW --measurefmt float32
        [--emissivity 0.95] [--distance METRES] [--humidity PERCENT] [--reflection °C]
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.io import raster_io

TIMEOUT = 120
"""Seconds that a program may take for a file; a second or two is usual."""

_COLDEST, _HOTTEST = -100.0, 2000.0
"""Temperatures in °C beyond which a value is none, such as the −273.15 that stands for no data."""

_LARGEST = 2**26
"""Bytes of the largest output that is read: 16 million temperatures."""

_LAST_WORDS = 4096
"""Bytes of a program's output that are looked at for its reason."""

INSTALL = (
    "for °C, install dji-thermal-cli (pip install dji-thermal-cli, Python 3.12 or later) or put "
    "dji_irp of DJI's Thermal SDK on the PATH"
)

Shape = tuple[int, int]
Celsius = npt.NDArray[np.float32]


class Measured(NamedTuple):
    """Temperatures (h, w) in °C, NaN where there is none, and what the program said of them."""

    celsius: Celsius
    facts: dict[str, Any]


class _Program(NamedTuple):
    """How a program is called, how its options are named, and how its output is read."""

    name: str
    command: Callable[[Path, Path], list[str]]
    options: dict[str, str]
    output: str
    read: Callable[[Path, Shape], Measured]


def installed() -> str | None:
    """Return the name of the program that would be asked; None where there is none."""
    return next((each.name for each in _PROGRAMS if shutil.which(each.name)), None)


def measured(content: bytes, name: str, shape: Shape, config: Config) -> Measured:
    """Ask the installed program for the temperatures of a file.

    Parameters
    ----------
    content : bytes
        The file.
    name : str
        Its name in messages.
    shape : (int, int)
        Height and width of its raw image; what the program returns must have them.
    config : Config
        Emissivity, distance, humidity and reflected temperature are handed on.

    Raises
    ------
    InputError
        If the program fails, takes too long, or returns something else.
    """
    program = next(each for each in _PROGRAMS if each.name == installed())
    with tempfile.TemporaryDirectory(prefix="cmsr-dji-") as folder:
        copy = Path(folder) / "image.jpg"
        copy.write_bytes(content)
        output = Path(folder) / program.output
        _run(program, copy, output, config, name)
        if output.stat().st_size > _LARGEST:
            raise InputError(f"{name}: {program.name} returned more than {_LARGEST} bytes")
        try:
            found = program.read(output, shape)
        except (OSError, ValueError, InputError) as error:
            raise InputError(f"{name}: {program.name} returned no image ({error})") from error
    if found.celsius.shape != shape:
        height, width = found.celsius.shape
        raise InputError(
            f"{name}: {program.name} returned {width} × {height} values; expected the "
            f"{shape[1]} × {shape[0]} of the raw image"
        )
    physical = (found.celsius > _COLDEST) & (found.celsius < _HOTTEST)
    if not physical.any():
        raise InputError(f"{name}: {program.name} returned no temperature")
    facts = {"reader": program.name, **_given(config), **found.facts}
    return Measured(np.where(physical, found.celsius, np.nan).astype(np.float32), facts)


def _run(program: _Program, copy: Path, output: Path, config: Config, name: str) -> None:
    """Run the program on a copy of the file, without a shell; raise InputError where it fails."""
    path = shutil.which(program.name) or program.name
    values = [text for flag in program.options.items() for text in _handed_on(*flag, config)]
    with tempfile.TemporaryFile() as said:
        try:
            code = subprocess.run(  # noqa: S603 (no shell; its name is one of two)
                [path, *program.command(copy, output), *values],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT,
                cwd=copy.parent,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{name}: {program.name} took more than {TIMEOUT} s") from error
        except OSError as error:
            raise InputError(f"{name}: {program.name} does not start ({error})") from error
        said.seek(max(0, said.tell() - _LAST_WORDS))
        lines = said.read(_LAST_WORDS).decode("utf-8", "replace").split("\n")
    if code != 0 or not output.is_file():
        reason = next((line.strip() for line in reversed(lines) if line.strip()), f"exit {code}")
        raise InputError(f"{name}: {program.name} could not measure it ({reason[:200]})")


def _handed_on(option: str, flag: str, config: Config) -> list[str]:
    value = getattr(config, option)
    if value is None:
        return []
    return [flag, f"{100 * value if option == 'humidity' else value:g}"]


_RECORDED = {
    "emissivity": "emissivity",
    "distance": "distance_m",
    "humidity": "humidity",
    "reflected_temperature": "reflected_temperature_c",
}


def _given(config: Config) -> dict[str, float]:
    """Return the options that were handed on, as a record has them."""
    given = {record: getattr(config, option) for option, record in _RECORDED.items()}
    return {record: value for record, value in given.items() if value is not None}


_ATTRIBUTES = {
    "Emissivity": ("emissivity", 1.0),
    "Distance": ("distance_m", 1.0),
    "Humidity": ("humidity", 0.01),
    "ReflectedTemperatureC": ("reflected_temperature_c", 1.0),
    "AmbientTemperatureC": ("atmospheric_temperature_c", 1.0),
}
"""Attributes of dji-thermal-cli: their names in a record, and factors to its units."""


def _tiff(path: Path, shape: Shape) -> Measured:
    """Read a TIFF of one float band, and the parameters in its XMP."""
    found = raster_io.read(str(path))
    if len(found.data) != 1 or found.data.dtype != np.float32:
        raise ValueError(f"{len(found.data)} bands of {found.data.dtype.name}")
    facts = {}
    for key, value in re.findall(rb'dtc:(\w+)="(-?[\d.]+)"', path.read_bytes()):
        if key.decode() in _ATTRIBUTES:
            record, factor = _ATTRIBUTES[key.decode()]
            facts[record] = float(f"{float(value) * factor:.6g}")
    return Measured(found.data[0], facts)


def _plain(path: Path, shape: Shape) -> Measured:
    """Read plain float32 numbers, as many as the sensor has pixels."""
    if path.stat().st_size != 4 * shape[0] * shape[1]:
        raise ValueError(f"{path.stat().st_size} bytes, not {4 * shape[0] * shape[1]}")
    return Measured(np.frombuffer(path.read_bytes(), "<f4").reshape(shape), {})


_PROGRAMS = (
    _Program(
        "dji-thermal-cli",
        lambda copy, output: [
            "process", "--input-dir", str(copy), "--output-dir",
            str(output.parent), "--output", "temp_c:tiff", "--jobs", "1", "--quiet",
        ],
        {
            "emissivity": "--emissivity",
            "distance": "--distance",
            "humidity": "--humidity",
            "reflected_temperature": "--reflected-temp",
        },
        "image_temp_c.tiff",
        _tiff,
    ),
    _Program(
        "dji_irp",
        lambda copy, output: [
            "-s", str(copy), "-a", "measure", "-o", str(output),
            "--measurefmt", "float32",
        ],
        {
            "emissivity": "--emissivity",
            "distance": "--distance",
            "humidity": "--humidity",
            "reflected_temperature": "--reflection",
        },
        "image.raw",
        _plain,
    ),
)  # fmt: skip
