"""A user's own kernel: what is read, what is refused, and that the operator keeps its laws."""

from pathlib import Path

import numpy as np
import pytest
import torch

import cmsr
from cmsr.app.cli import main
from cmsr.errors import InputError, OptionError
from cmsr.io import image_files
from cmsr.operators.point_spread import MAX_SIDE, PointSpread
from cmsr.operators.resampling import ResamplerSum, resampler
from cmsr.sensor.kernel_file import read_kernel
from tests.conftest import SyntheticPair

HIGH, LOW = (84, 120), (21, 30)
SLANTED = np.eye(6) + 0.3 * np.ones((6, 6)) + 0.2 * np.triu(np.ones((6, 6)))


def write(path: Path, array: np.ndarray) -> str:
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix in (".csv", ".txt"):
        np.savetxt(path, array, delimiter="," if path.suffix == ".csv" else " ")
    else:
        image_files.write(path, array.astype(np.float32))
    return str(path)


@pytest.mark.parametrize("ending", [".npy", ".csv", ".txt", ".tif"])
def test_every_format_gives_the_same_kernel_of_sum_one(tmp_path: Path, ending: str) -> None:
    kernel = read_kernel(write(tmp_path / f"k{ending}", SLANTED))
    rebuilt = sum(np.outer(column, row) for column, row in kernel.terms)
    np.testing.assert_allclose(rebuilt, SLANTED / SLANTED.sum(), atol=1e-5)


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.ones(5), "two-dimensional"),
        (np.ones((2, 3, 4)), "two-dimensional"),
        (np.ones((0, 3)), "two-dimensional"),
        (np.ones((MAX_SIDE + 1, 3)), "too large"),
        (np.zeros((3, 3)), "positive sum"),
        (-np.ones((3, 3)), "positive sum"),
        (np.array([[1.0, np.nan]]), "finite"),
        (np.array([[1.0, np.inf]]), "finite"),
        (np.array([["a", "b"]]), "real numbers"),
        (np.ones((2, 2)) * 1j, "real numbers"),
        (np.array([[{}, 1]], dtype=object), "not a NumPy array"),
    ],
)
def test_what_is_no_kernel_is_refused_by_name(tmp_path: Path, array, complaint: str) -> None:
    path = tmp_path / "mine.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(InputError, match=complaint) as caught:
        read_kernel(str(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "1 2\n3\n", "a,b\n", "\x00\x01"])
def test_text_that_holds_no_array_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=r"mine\.txt"):
        read_kernel(str(path))


def test_the_command_line_refuses_in_one_line(tmp_path: Path, pair: SyntheticPair, capsys) -> None:
    target, kernel = tmp_path / "t.tif", write(tmp_path / "k.npy", -np.ones((3, 3)))
    image_files.write(target, pair.target.astype(np.float32))
    options = ["--ratio", "4", "-o", str(tmp_path / "o.tif"), "--kernel"]
    for name in (kernel, str(tmp_path / "missing.npy")):
        assert main(["upscale", str(target), *options, name]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "o.tif").exists()


def test_a_name_that_is_neither_kernel_nor_file_is_refused(pair: SyntheticPair) -> None:
    with pytest.raises(OptionError, match="a file of weights"):
        cmsr.upscale(pair.target, pair.guide, kernel="lanczos")


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (1, 1)])
def test_a_box_file_is_the_mean_of_its_window(size: tuple[int, int]) -> None:
    x = torch.rand(HIGH)
    reduce = resampler(HIGH, LOW, PointSpread.of(np.ones(size), "box"))
    torch.testing.assert_close(reduce(torch.ones(HIGH)), torch.ones(LOW))
    if size == (4, 4):
        torch.testing.assert_close(reduce(x), resampler(HIGH, LOW, "box")(x))


def test_a_slanted_kernel_lies_as_it_is_seen() -> None:
    """The weight of the top left corner counts what is above and to the left."""
    corner = np.zeros((4, 4))
    corner[0, 0] = 1
    x = torch.rand(HIGH)
    torch.testing.assert_close(
        resampler(HIGH, LOW, PointSpread.of(corner, "corner"))(x), x[::4, ::4]
    )


@pytest.mark.parametrize("high", [HIGH, (59, 84)])
def test_a_sum_of_separable_terms_keeps_the_laws(high: tuple[int, int]) -> None:
    """The transpose is the adjoint, and solving agrees with the dense matrix."""
    torch.manual_seed(0)
    reduce = resampler(high, LOW, PointSpread.of(SLANTED, "slanted"))
    assert isinstance(reduce, ResamplerSum)
    x, y = torch.randn(high), torch.rand(LOW)
    assert abs((reduce(x) * y).sum() - (x * reduce.transpose(y)).sum()) < 1e-2
    count, noise = LOW[0] * LOW[1], 1e-3
    rows = reduce.transpose(torch.eye(count).reshape(count, *LOW)).flatten(1)
    system = rows @ rows.mT + noise * torch.eye(count)
    exact = (rows.mT @ torch.linalg.solve(system, y.flatten())).reshape(high)
    assert (reduce.solve(y, noise) - exact).norm() < 0.02 * exact.norm()


def test_upscaling_with_a_kernel_of_ones_own(tmp_path: Path, pair: SyntheticPair) -> None:
    name = write(tmp_path / "k.npy", SLANTED)
    reduce = resampler(pair.truth.shape, pair.target.shape, read_kernel(name))
    target = reduce(torch.from_numpy(pair.truth).float()).numpy()
    right, wrong = (
        cmsr.upscale(target, pair.guide, kernel=kernel, align="off") for kernel in (name, "nearest")
    )
    assert right.info["kernel"] == name
    errors = [np.square(result.image - pair.truth).mean() for result in (right, wrong)]
    assert errors[0] < 0.7 * errors[1]
    residual = reduce(torch.from_numpy(right.image).float()).numpy() - target
    assert np.sqrt(np.square(residual).mean()) * 255 < 0.3
