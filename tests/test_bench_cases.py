"""A table of pairs is read as it stands; what is wrong with it is said in one line."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cmsr.config import Config
from cmsr.errors import InputError, OptionError
from cmsr.io import image_files
from cmsr.operators.resampling import resampler
from cmsr_bench.cases import Case, at_ratios, read_cases
from tests.conftest import SyntheticPair

HEADER = "dataset,name,target,guide,truth,scale\n"


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "pairs.csv"
    path.write_text(header + "".join(f"{row}\n" for row in rows))
    return path


@pytest.fixture
def folder(tmp_path: Path, pair: SyntheticPair) -> Path:
    image_files.write(tmp_path / "target.png", (200 * pair.target).astype(np.uint8))
    image_files.write(tmp_path / "guide.png", pair.guide)
    image_files.write(tmp_path / "truth.png", (200 * pair.truth).astype(np.uint8))
    return tmp_path


def test_a_missing_target_is_the_truth_reduced_and_rounded(folder: Path) -> None:
    (case,) = read_cases(table(folder, "a,x,,guide.png,truth.png,4"))
    truth = image_files.read(folder / "truth.png").data
    reduced = resampler((96, 128), (24, 32))(torch.from_numpy(truth.astype(np.float32)))
    expected = np.clip(np.rint(reduced.numpy()), 0, 255)
    np.testing.assert_array_equal(case.opened(Config()).target.data, expected)


def test_truths_are_reduced_by_each_ratio_that_is_asked_for(folder: Path) -> None:
    cases = read_cases(
        table(folder, "a,x,target.png,guide.png,truth.png,4", "a,y,target.png,guide.png,,4")
    )
    eight, four = at_ratios(cases, (8, 4))
    assert (eight.label, four.label) == ("a ×8/x", "a ×4/x")
    assert [case.opened(Config()).target.shape for case in (eight, four)] == [(12, 16), (24, 32)]
    assert at_ratios(cases, ()) == cases
    with pytest.raises(OptionError, match="above 1, up to 64"):
        at_ratios(cases, (0.5,))
    with pytest.raises(OptionError, match="no pair has one"):
        at_ratios(cases[1:], (4,))


def test_content_is_known_again_under_another_name(folder: Path) -> None:
    one, two, other = read_cases(
        table(
            folder,
            "a,x,target.png,guide.png,truth.png,4",
            "b,y,target.png,guide.png,truth.png,4",
            "b,z,target.png,guide.png,,4",
        )
    )
    assert one.content == two.content != other.content
    assert one.image_digests == two.image_digests
    assert set(one.image_digests) & set(other.image_digests), "the guide is the same"
    assert (one.label, other.true_image()) == ("a/x", None)


def test_pages_of_a_file_are_not_the_same_content(folder: Path) -> None:
    one, two = read_cases(
        table(folder, "a,x,target.png:1,guide.png,,", "a,y,target.png:2,guide.png,,")
    )
    assert one.content != two.content


def test_the_scale_is_the_ratio_where_no_guide_gives_it(folder: Path) -> None:
    alone, guided = read_cases(
        table(folder, "a,x,target.png,,truth.png,3", "a,y,target.png,guide.png,truth.png,3")
    )
    config = Config(invalid=0.0)
    assert alone.adapted(config) == Config(invalid=0.0, ratio=3.0)
    assert guided.adapted(config) is config


def test_a_selection_keeps_what_it_names(folder: Path) -> None:
    rows = [f"{d},{n},target.png,guide.png,," for d in "ab" for n in "xy"]
    path = table(folder, *rows)

    def labels(cases: list[Case]) -> list[str]:
        return [case.label for case in cases]

    assert labels(read_cases(path)) == ["a/x", "a/y", "b/x", "b/y"]
    assert labels(read_cases(path, ["b"], ["y"])) == ["b/y"]
    with pytest.raises(OptionError, match="has no data set 'c'; there are a, b"):
        read_cases(path, ["c"])
    with pytest.raises(OptionError, match="has no pair 'q'"):
        read_cases(path, [], ["q"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,x,none.png,guide.png,,", r"line 2.*none\.png"),
        ("a,,target.png,guide.png,,", "line 2: the pair has no name"),
        ("a,x,,guide.png,truth.png,", "line 2: needs a target, or a truth with a scale"),
        ("a,x,target.png,guide.png,,half", "scale is 'half'; it must be a number from 1 to 64"),
        ("a,x,target.png,guide.png,,nan", "scale is 'nan'"),
    ],
)
def test_a_bad_row_is_named(folder: Path, row: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_cases(table(folder, row))


def test_a_bad_table_is_named(folder: Path) -> None:
    twice = table(folder, *["a,x,target.png,guide.png,,"] * 2)
    with pytest.raises(InputError, match="lists the pair a/x twice"):
        read_cases(twice)
    with pytest.raises(InputError, match="has no column target, guide"):
        read_cases(table(folder, "a", header="name\n"))
    with pytest.raises(InputError, match="lists no pairs"):
        read_cases(table(folder))
    (folder / "pairs.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_cases(folder / "pairs.csv")
    with pytest.raises(InputError, match=r"missing\.csv"):
        read_cases(folder / "missing.csv")
