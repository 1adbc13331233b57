"""Broken and hostile files: one line, exit code 2, no partial output, no hang, bounded memory."""

import io as text_io
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmsr.app.cli import main
from cmsr.app.job import Job
from cmsr.config import Config
from cmsr.errors import CmsrError, InputError, OutputError
from cmsr.io import image_files
from tests.conftest import render_pair
from tests.fake_cameras import container, dji_file, flir_file
from tests.test_flir import COUNTS
from tests.test_jpeg_ls import encoded

CASES = int(os.environ.get("CMSR_FUZZ_CASES", "500"))
"""Mutated files per run; set it to 100000 for the long mode."""

SECONDS = 10
MEMORY_MB = 1024
ALONE = ["--preset", "paper", "--iterations-guide-free", "0", "--no-ensemble"]
ALONE += ["--back-projections", "0"]
QUICK = [*ALONE, "--iterations", "0"]


def run(*arguments: object) -> tuple[int, str]:
    """Run the command line; return its exit code and what it says on stderr."""
    printed, before = text_io.StringIO(), sys.stderr
    sys.stderr = printed
    try:
        return main([str(argument) for argument in arguments]), printed.getvalue()
    finally:
        sys.stderr = before


def attempt(target: Path, guide: Path | None, out: Path) -> str | None:
    """Upscale without the command line, whose parsing takes longest; return what is refused."""
    config = Config.of(
        "paper", iterations=0, iterations_guide_free=0, ensemble=False, back_projections=0,
        align="off", max_pixels=10**5,
    )  # fmt: skip
    others = {"json": None, "preview": None, "report": None, "colour_map": "inferno"}
    work = Job(target=target, guide=guide, out=out, overwrite=False, config=config, **others)
    try:
        work.run()
    except CmsrError as error:
        return str(error)
    return None


class Seeds(dict[str, dict[str, bytes]]):
    """Files by name, folders as the files in them; they print short."""

    def __repr__(self) -> str:
        return "seeds"


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    """One small good file, or folder, of every kind that is read."""
    folder = tmp_path_factory.mktemp("seeds")
    pair = render_pair((24, 32), (12, 16))
    grey = (200 * pair.target).astype(np.uint8)
    for name, image in {
        "a.png": grey,
        "b.tif": grey.astype(np.uint16) * 200,
        "c.tif": pair.target.astype(np.float32),
        "d.jpg": grey,
        "e.npy": pair.target,
        "f.exr": pair.target.astype(np.float32),
        "g.png": pair.guide,
    }.items():
        image_files.write(folder / name, image)
    image_files.write_pages(folder / "h.tif", [(grey, None, None)] * 2)
    np.savez_compressed(folder / "i.npz", a=pair.target)
    photo = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    scene = encoded("scene")  # in JPEG-LS
    (folder / "j.jpg").write_bytes(flir_file(COUNTS[:12, :16], photo))
    (folder / "k.jpg").write_bytes(flir_file(COUNTS[:12, :16], photo, raw="little"))
    (folder / "l.jpg").write_bytes(dji_file(np.zeros((120, 160), np.uint16)))
    (folder / "r.csv").write_text("\n".join(",".join(map(str, row)) for row in pair.target))
    (folder / "s.fff").write_bytes(container(COUNTS[:12, :16], photo))
    film = container(COUNTS[:12, :16], raw="little") + container(COUNTS[:12, :16], raw=scene)
    (folder / "t.csq").write_bytes(film)
    for name, driver, options in [
        ("m.nc", "netCDF", {"FORMAT": "NC"}),
        ("n.nc", "netCDF", {"FORMAT": "NC4C", "COMPRESS": "DEFLATE"}),
        ("o.zarr", "Zarr", {}),
        ("p.zarr", "Zarr", {"FORMAT": "ZARR_V3", "COMPRESS": "GZIP"}),
    ]:
        rasterio.shutil.copy(folder / "c.tif", folder / name, driver=driver, **options)
    (folder / "q.h5").write_bytes((folder / "n.nc").read_bytes())
    with zipfile.ZipFile(folder / "u.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "c.tif", "c.tif")
    return Seeds({path.name: parts(path) for path in sorted(folder.iterdir())})


def parts(path: Path) -> dict[str, bytes]:
    """Read a file, or all files in a folder, by their names in it."""
    files = [part for part in sorted(path.rglob("*")) if part.is_file()] or [path]
    return {str(part.relative_to(path)): part.read_bytes() for part in files}


def put(path: Path, content: dict[str, bytes], rng: random.Random) -> None:
    """Write a file or folder, broken in one place."""
    broken = rng.choice(sorted(content))
    for name, data in content.items():
        (path / name).parent.mkdir(exist_ok=True, parents=True)
        (path / name).write_bytes(mutated(data, rng) if name == broken else data)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Cut, flip, repeat, or overwrite with numbers that often break readers."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        if not data:
            break
        place, kind = rng.randrange(len(data)), rng.randrange(6)
        place = rng.randrange(min(len(data), 200)) if rng.random() < 0.5 else place
        if kind == 0:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place : place + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
        elif kind == 2:
            del data[place : place + rng.choice([1, 4, 64, 4096])]
        elif kind == 3:
            data = data[:place]
        elif kind == 4:
            data[place:place] = data[max(0, place - 64) : place]
        else:
            data[place : place + 2] = struct.pack(rng.choice("<>") + "H", rng.randrange(65536))
    return bytes(data)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@settings(
    max_examples=CASES,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 2**32), kind=st.integers(0, 20))
def test_mutated_files(
    seeds: Seeds, tmp_path_factory: pytest.TempPathFactory, seed: int, kind: int
) -> None:
    name = sorted(seeds)[kind]
    folder = tmp_path_factory.mktemp("case")
    broken, good, out = folder / f"in put-ü{Path(name).suffix}", folder / "g.png", folder / "o.tif"
    put(broken, seeds[name], random.Random(seed))  # noqa: S311
    good.write_bytes(seeds["g.png"]["."])
    target, guide = [(good, broken), (broken, good), (broken, good), (broken, None)][seed % 4]
    before, started, memory = sorted(folder.iterdir()), time.monotonic(), peak_mb()
    signal.alarm(3 * SECONDS)
    refused = attempt(target, guide, out)
    signal.alarm(0)
    assert time.monotonic() - started < SECONDS
    assert peak_mb() - memory < MEMORY_MB
    if refused is not None:
        assert refused.strip()
        assert sorted(folder.iterdir()) == before
    else:
        assert image_files.read(out).valid.size
        assert sorted(folder.iterdir()) == sorted([*before, out])
    shutil.rmtree(folder)


def png_header(width: int, height: int, pixels: bytes = zlib.compress(bytes(500))) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def npy_header(shape: str, kind: str = "'<f8'") -> bytes:
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(64)


def tiff_header(width: int, height: int) -> bytes:
    fields = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 200),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, 500),
    ]
    entries = b"".join(struct.pack("<HHII", *field) for field in fields)
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(700)


BROKEN = {
    "zero bytes.png": (b"", "the file is empty"),
    "text.tif": (b"hello", "not an image"),
    "four billion.png": (png_header(65_535, 65_535), "too many"),
    "four billion.tif": (tiff_header(65_535, 65_535), "too many"),
    "four billion.npy": (npy_header("(65535, 65535)"), "too many"),
    "cut off.npy": (npy_header("(500, 500)"), "truncated"),
    "objects.npy": (npy_header("(4,)", "'|O'"), "Python objects"),
    "wrong ending.exr": (png_header(8, 8), "not an EXR"),
    "no zip.npz": (b"PK\x03\x04" + bytes(100), "not an array"),
    "a picture of another file.tif": (
        b'<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1">'
        b"<SimpleSource><SourceFilename>/etc/passwd</SourceFilename></SimpleSource>"
        b"</VRTRasterBand></VRTDataset>",
        "not an image",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("role", ["target", "guide"])
def test_broken_files_are_named_and_nothing_is_written(
    tmp_path: Path, seeds: Seeds, name: str, role: str
) -> None:
    content, message = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.png").write_bytes(seeds["g.png"]["."])
    before, memory = sorted(tmp_path.iterdir()), peak_mb()
    pair = [tmp_path / name, tmp_path / "good.png"]
    pair = pair if role == "target" else pair[::-1]
    code, said = run("upscale", *pair, "-o", tmp_path / "out.tif", *QUICK)
    assert code == 2
    assert message in said
    assert name in said
    assert len(said.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before
    assert peak_mb() - memory < 300


def test_a_decompression_bomb_allocates_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy_header("(40000, 40000)") + bytes(10**7))
    packer, side = zlib.compressobj(1), 20_000
    rows = [packer.compress(bytes(side + 1)) for _ in range(side)]
    pixels = b"".join([*rows, packer.flush()])
    (tmp_path / "bomb.png").write_bytes(png_header(side, side, pixels))
    memory = peak_mb()
    for name in ("bomb.npz", "bomb.png"):
        with pytest.raises(InputError, match="too many"):
            image_files.read(tmp_path / name)
    assert peak_mb() - memory < 100


def test_limits_are_options(tmp_path: Path, seeds: Seeds) -> None:
    (tmp_path / "a.png").write_bytes(seeds["a.png"]["."])
    common = ["upscale", tmp_path / "a.png", "-o", tmp_path / "o.tif", *ALONE]
    code, said = run(*common, "--ratio", 2, "--max-pixels", 100)
    assert code == 2
    assert "--max-pixels is 100" in said
    code, said = run(*common, "--ratio", 60, "--max-memory", 0.1)
    assert code == 2
    assert "allows it" in said


@pytest.mark.parametrize("name", ["with space.png", "größe-温度.png", "a:b.png", "-dash.png"])
def test_names_of_any_kind(tmp_path: Path, seeds: Seeds, name: str) -> None:
    (tmp_path / name).write_bytes(seeds["a.png"]["."])
    out = tmp_path / f"out {name}"
    assert run("upscale", tmp_path / name, "-o", out, "--ratio", 2, *ALONE)[0] == 0
    assert image_files.read(out).shape == (24, 32)


def test_links_pipes_and_folders(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing.png")
    os.mkfifo(tmp_path / "pipe.png")
    for name, message in {
        "loop.png": "symbolic link",
        "dangling.png": "no such file",
        "pipe.png": "not a regular file",
        ".": "is a folder",
    }.items():
        with pytest.raises(InputError, match=message):
            image_files.read(tmp_path / name)
    with pytest.raises(OutputError, match="exists already"):
        image_files.check_output(tmp_path / "loop.png")


@pytest.mark.parametrize("ending", [".tif", ".png", ".npy", ".exr", ".jpg"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, ending: str) -> None:
    """A limit on the size of files stands for a disk that fills up during the writing."""
    code = f"""
import resource, signal, sys
import numpy as np
from cmsr.io import image_files
from cmsr.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
kind = np.float32 if {ending!r} in (".tif", ".npy", ".exr") else np.uint8
image = (255 * np.random.default_rng(0).random((200, 200))).astype(kind)
try:
    image_files.write(sys.argv[1], image)
except OutputError as error:
    print(error)
"""
    (tmp_path / f"a{ending}").write_bytes(b"old")
    arguments = [sys.executable, "-c", code, str(tmp_path / f"a{ending}")]
    said = subprocess.run(arguments, capture_output=True, text=True).stdout
    assert f"a{ending}: cannot be written" in said
    assert [path.name for path in tmp_path.iterdir()] == [f"a{ending}"]
    assert (tmp_path / f"a{ending}").read_bytes() == b"old"


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    pair = render_pair((160, 160), (40, 40))
    image_files.write(tmp_path / "t.tif", pair.target.astype(np.float32))
    image_files.write(tmp_path / "g.png", pair.guide)
    before = sorted(tmp_path.iterdir())
    code = """
import sys
from cmsr.app import job
from cmsr.app.cli import main
upscale = job.Job._upscale
job.Job._upscale = lambda *given: print("begun", flush=True) or upscale(*given)
sys.exit(main(sys.argv[1:]))
"""
    arguments = ["upscale", "t.tif", "g.png", "-o", "o.tif", "--preset", "paper"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "cmsr: interrupted\n"
    assert sorted(tmp_path.iterdir()) == before


def test_a_broken_block_of_a_thermal_camera_does_not_end_the_process() -> None:
    """GDAL crashes where it is asked for the images inside this file."""
    path = Path(__file__).parent / "broken" / "flir_block.jpg"
    code = f"from cmsr.io import image_files; print(image_files.describe({str(path)!r}).grid.shape)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["(48,", "64)"]
