"""Two cameras fixed to each other: their geometry is found from many pairs, and used."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import cmsr
from cmsr import rigs
from cmsr.app.batch import rig as batch_rig
from cmsr.app.batch.command import Batch
from cmsr.app.batch.journal import Journal
from cmsr.app.batch.progress import Display
from cmsr.app.batch.run import run_batch
from cmsr.app.batch.table import read_table
from cmsr.app.cli import main
from cmsr.app.demo.scene import street
from cmsr.config import Config
from cmsr.errors import InputError, OptionError, OutputError
from cmsr.io import image_files
from cmsr.operators.resampling import resampler
from cmsr.prologue import opened
from cmsr.registration import placement
from cmsr.registration.placement import Placement, Prior
from cmsr.registration.rig import LEAST_SPREAD, Rig, Vote, placed_by_rig, read_rig
from cmsr.registration.rig_search import Seen, shared
from cmsr.registration.transforms import identity_grid, sample

SIZE = 56, 64
WINDOW = 240, 320
"""Sizes of the targets and of the photos, windows of the rendered street."""

TRUTH = Placement(
    SIZE, WINDOW, ((72.0, -3.0, 172.0), (3.0, 72.0, 116.0), (0.0, 0.0, 1.0)), bend=0.03
)

FIELDS = ["--field-of-view", "25", "52.5"]
"""The horizontal fields, about those of the truth."""


def pair(left: int, top: int, place: Placement = TRUTH) -> tuple[np.ndarray, np.ndarray]:
    """Return a target and its photo of other colours, from one of the places of the rig."""
    scene = street()
    inside = np.s_[top : top + WINDOW[0], left : left + WINDOW[1]]
    truth = torch.tensor(scene.truth[inside].astype(np.float32))[None, None]
    grid = identity_grid((4 * SIZE[0], 4 * SIZE[1]))
    at = place.places(grid) * 2 / torch.tensor(WINDOW[::-1]) - 1
    low = resampler((4 * SIZE[0], 4 * SIZE[1]), SIZE)(sample(truth, at.float()))[0, 0]
    bright = scene.truth[inside].astype(np.float32) / scene.truth.max()
    photo = np.stack([1 - bright, np.abs(2 * bright - 1), bright**2], -1)
    return low.numpy(), np.rint(255 * photo).astype(np.uint8)


def seen(name: str, target: np.ndarray, photo: np.ndarray) -> Seen:
    """Return a pair as the search takes it."""
    low = torch.tensor(target).float()
    colours = torch.tensor(np.moveaxis(photo, -1, 0).astype(np.float32))
    return Seen(name, low, torch.ones_like(low), colours)


def away(found: Placement, truth: Placement = TRUTH) -> float:
    """Return how far a placement is off, in pixels of the target."""
    grid = identity_grid(SIZE)
    off = (found.places(grid) - truth.places(grid)).norm(dim=-1)
    return float(off.median()) / truth.fineness[0]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refine fewer places: the field is known, and the right one is among the first."""
    monkeypatch.setattr(placement, "CANDIDATES", 4)
    monkeypatch.setattr(placement, "FINALISTS", 3)


@pytest.fixture(scope="module")
def places() -> list[tuple[int, int]]:
    """Where the rig stood."""
    height, width = street().truth.shape
    return [(0, 0), (width - WINDOW[1], 0), (0, height - WINDOW[0]), (80, 60)]


def test_pairs_vote_for_their_geometry_and_name_an_outlier(places: list[tuple[int, int]]) -> None:
    pairs = [seen(f"at {x} {y}", *pair(x, y)) for x, y in places[:2]]
    other = Placement(SIZE, WINDOW, ((60.0, 4.0, 120.0), (-4.0, 60.0, 140.0), (0.0, 0.0, 1.0)))
    pairs.append(seen("moved", *pair(80, 60, other)))
    rig = shared(pairs, Prior.of(TRUTH.field))
    assert rig is not None
    assert away(rig.placement(SIZE, WINDOW)) < 0.3
    verdicts = {vote.name: vote.verdict for vote in rig.votes}
    assert verdicts.pop("moved") == "outlier"
    assert set(verdicts.values()) == {"agrees"}


def test_a_rig_is_the_same_after_writing_and_fits_other_sizes() -> None:
    rig = Rig.of(TRUTH, spread=0.7, kernel="box", ratio=2.0, noise=0.1)
    assert Rig.of_json(json.loads(json.dumps(rig.to_json()))) == rig
    twice = rig.placement((112, 128), (480, 640))
    corners = identity_grid((2, 2), dtype=torch.float64)
    assert torch.allclose(twice.places(corners), 2 * TRUTH.places(corners))
    assert rig.kernel_at((2.0, 2.0)) == "box"
    assert rig.kernel_at((3.0, 3.0)) is None


def test_a_pair_moves_from_its_rig_as_far_as_it_shows() -> None:
    shifted = Placement(
        SIZE, WINDOW, ((72.0, -3.0, 176.5), (3.0, 72.0, 116.0), (0.0, 0.0, 1.0)), bend=0.03
    )
    rig = Rig.of(TRUTH, spread=2.0)
    found = placed_by_rig(rig, *seen("", *pair(80, 60, shifted))[1:])
    assert away(found, shifted) < 0.25
    flat = seen("", *pair(80, 60))._replace(target=torch.zeros(SIZE))
    assert away(placed_by_rig(rig, *flat[1:])) < 0.01


def test_a_rig_file_places_the_photo(tmp_path: Path) -> None:
    file = tmp_path / "rig.json"
    file.write_text(json.dumps(Rig.of(TRUTH, kernel="box", ratio=2.0).to_json()))
    target, photo = pair(80, 60)
    made = opened(target, photo, Config(rig=str(file)))
    assert made.placement is not None
    assert away(made.placement) < LEAST_SPREAD
    assert made.pair.shape == (2 * SIZE[0], 2 * SIZE[1])
    assert made.kernel == "box"
    fixed = opened(target, photo, Config(rig=str(file), align="off"))
    assert fixed.placement is not None
    assert away(fixed.placement) < 1e-3


def test_no_rig_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rig.json"
    file.write_text("{}")
    with pytest.raises(InputError, match="is not a rig file"):
        read_rig(str(file))
    for key, value in (("kernel", "sinc"), ("bend", float("nan")), ("linear", [[1, 2]])):
        file.write_text(json.dumps(Rig.of(TRUTH).to_json() | {key: value}))
        with pytest.raises(InputError, match="is not a rig file"):
            read_rig(str(file))
    with pytest.raises(InputError, match="cannot be read"):
        read_rig(str(tmp_path / "none.json"))
    with pytest.raises(OptionError, match="--points and --rig"):
        Config(rig="rig.json", points="points.csv")


def table_of(folder: Path, places: list[tuple[int, int]]) -> Path:
    """Write pairs of the rig, and their table."""
    with open(folder / "pairs.csv", "w", newline="") as table:
        write = csv.writer(table)
        write.writerow(["name", "target", "guide"])
        for number, place in enumerate(places):
            target, photo = pair(*place)
            image_files.write(folder / f"t{number}.tif", target)
            image_files.write(folder / f"g{number}.png", photo)
            write.writerow([f"p{number}", f"t{number}.tif", f"g{number}.png"])
    return folder / "pairs.csv"


def test_the_command_writes_the_rig_and_a_picture(
    tmp_path: Path, places: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["rig", f"{table_of(tmp_path, places[:2])}", "-o", f"{tmp_path}/rig.json"]
    assert main([*line, "--overlay", f"{tmp_path}/look.png", *FIELDS]) == 0
    assert "2 of 2 pairs agree" in capsys.readouterr().out
    rig = read_rig(str(tmp_path / "rig.json"))
    assert away(rig.placement(SIZE, WINDOW)) < 0.3
    assert [vote.name for vote in rig.votes] == ["p0", "p1"]
    assert (tmp_path / "look.png").stat().st_size > 0


def test_python_finds_and_writes_the_same_rig(
    tmp_path: Path, places: list[tuple[int, int]]
) -> None:
    found = cmsr.rig([pair(*place) for place in places[:2]], field_of_view=(25.0, 52.5))
    assert away(found.placement(SIZE, WINDOW)) < 0.3
    assert [vote.name for vote in found.votes] == ["pair 1", "pair 2"]
    found.write(tmp_path / "rig.json")
    assert read_rig(str(tmp_path / "rig.json")) == found
    with pytest.raises(OutputError, match=r"none/rig\.json: cannot be written"):
        found.write(tmp_path / "none" / "rig.json")


def test_a_batch_finds_its_rig_and_uses_it(
    tmp_path: Path, places: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rigs, "PROBED", 1)
    monkeypatch.setattr(rigs, "IMAGED", 1)
    more = [(40, 20), (20, 50), (60, 0)]
    table, out, shown = table_of(tmp_path, [*places[:3], *more]), tmp_path / "out", Said()
    angles = (25.0, 52.5)
    config = Config.of("fast", field_of_view=angles, max_pixels=10**6)
    assert (
        run_batch(Batch(pairs=str(table), out=str(out), config=config), shown, in_process=True).done
        == 6
    )
    rig = read_rig(str(out / "rig.json"))
    assert away(rig.placement(SIZE, WINDOW)) < 0.3
    assert any("6 of 6 pairs agree" in text for text in shown.texts)
    for number in range(6):
        record = json.loads((out / f"p{number}.json").read_text())
        assert "from the rig" in json.dumps(record)
    assert image_files.read(out / "p0.tif").shape == (2 * SIZE[0], 2 * SIZE[1])
    again = run_batch(Batch(pairs=str(table), out=str(out), config=config), shown, in_process=True)
    assert "6 done before, 0 changed, 0 new" in again.planned()


@pytest.mark.parametrize("theirs", ["rig.json", "p1.tif"])
def test_a_batch_leaves_a_folder_alone_that_is_not_its_own(
    tmp_path: Path,
    places: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
    theirs: str,
) -> None:
    monkeypatch.setattr(batch_rig, "LEAST_PAIRS", 2)
    known = Rig.of(TRUTH, votes=(Vote("p0", "agrees", (0.0, 0.0), 1.0),))
    monkeypatch.setattr(rigs, "rig_needed", lambda pairs, config: known)
    table, out = table_of(tmp_path, places[:2]), tmp_path / "out"
    out.mkdir()
    (out / theirs).write_text("mine")
    with pytest.raises(OutputError, match=f"{theirs}: exists already and was not"):
        run_batch(
            Batch(pairs=str(table), out=str(out), config=Config()), Display(), in_process=True
        )
    assert {file.name for file in out.iterdir()} - {".batch"} == {theirs}
    assert (out / theirs).read_text() == "mine"


def test_without_a_rig_each_pair_is_placed_by_itself(
    tmp_path: Path, places: list[tuple[int, int]]
) -> None:
    table, out = table_of(tmp_path, places[:2]), tmp_path / "out"
    rows, journal = read_table(str(table)), Journal(str(tmp_path / "batch.jsonl"))
    for config in (Config(rig="off"), Config()):
        assert batch_rig.with_rig(config, str(table), rows, str(out), Said(), journal) == config
    assert not out.exists()


class Said(Display):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def say(self, text: str) -> None:
        """Keep it."""
        self.texts.append(text)
