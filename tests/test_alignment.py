"""Alignment is kept where held-out pixels confirm it, and an impossible one is refused in words."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import cmsr
from cmsr.app.cli import main
from cmsr.config import Config
from cmsr.io import image_files
from cmsr.registration.alignment import Alignment
from cmsr.registration.chain import WarpChain
from cmsr.registration.coarse_to_fine import recognised, trouble
from cmsr.registration.cpab import Cpab
from cmsr.registration.deformation import deform
from cmsr.registration.free_form import FreeForm
from cmsr.registration.transforms import Affine, compose, displacement, identity_grid, sample
from cmsr.two_branch.train import train
from tests.conftest import pair_of
from tests.test_register import scene

SIZE = (192, 256)


def moved(guide: Tensor, theta: Tensor) -> Tensor:
    return sample(guide[None], Affine(SIZE)(theta, identity_grid(SIZE)))[0]


def as_arrays(target: Tensor, guide: Tensor) -> tuple[np.ndarray, np.ndarray]:
    photo = (guide.clamp(0, 1) * 255).round().byte()
    return target.numpy(), photo.permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def turned() -> tuple[np.ndarray, np.ndarray, Tensor]:
    """Target, a guide that is shifted and turned, and by how much."""
    target, guide = scene(3)
    theta = torch.tensor((0.08, -0.05, math.radians(4), 0.05, 0.0, 0.0))
    return *as_arrays(target, moved(guide, theta)), theta


def test_a_moved_guide_is_brought_back(turned: tuple[np.ndarray, np.ndarray, Tensor]) -> None:
    target, guide, theta = turned
    found = cmsr.align(target, guide)
    pixels = torch.from_numpy(found.displacement)
    read = identity_grid(SIZE) + pixels / torch.tensor((SIZE[1] / 2, SIZE[0] / 2))
    left = displacement(Affine(SIZE)(theta, read), SIZE)[torch.from_numpy(found.valid)[None]]
    assert left.norm(dim=-1).median() < 1
    assert found.info["alignment"]["confidence"] > 0.5
    assert found.info["warnings"] == []
    assert found.guide.dtype == np.uint8
    assert found.guide.shape == guide.shape
    assert not found.valid.all()


def test_the_same_pair_gives_the_same_bytes(
    turned: tuple[np.ndarray, np.ndarray, Tensor],
) -> None:
    first, second = (cmsr.align(*turned[:2]).displacement for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_another_scene_gets_no_weight_and_a_warning() -> None:
    target, _ = as_arrays(*scene(1))
    _, stranger = as_arrays(*scene(2))
    result = cmsr.upscale(target, stranger)
    alone = cmsr.upscale(target, ratio=4.0)
    assert "was not found in the target" in result.info["warnings"][0]
    assert result.info["alignment"]["refused"]
    assert result.guide_weight.max() == 0
    assert np.array_equal(result.image, alone.image)


def test_trouble_names_what_is_impossible() -> None:
    identity = identity_grid((20, 30))
    assert trouble(identity, (20, 30)) is None
    assert "folds" in str(trouble(identity * torch.tensor((-1.0, 1.0)), (20, 30)))
    assert "on the guide" in str(trouble(identity + torch.tensor((1.2, 0.0)), (20, 30)))
    assert "further than" in str(trouble(identity + torch.tensor((0.8, 0.0)), (20, 30)))


def test_confidence_decides_what_is_recognised() -> None:
    assert not recognised((20, 30), 0.9).refused
    refused = recognised((20, 30), 0.1)
    assert refused.refused
    assert "0.10" in refused.warnings[0]


def test_an_alignment_without_stages_changes_nothing() -> None:
    guide = torch.rand(3, 20, 30)
    still = Alignment((20, 30))
    assert torch.equal(still.apply(guide), guide)
    assert still.seen().min() == 1
    assert still.facts()["largest_displacement"] == 0


def test_a_smooth_deformation_is_found() -> None:
    target, guide = scene(5)
    warp = Cpab(SIZE)
    theta = torch.randn(warp.dim, generator=torch.Generator().manual_seed(0)) * 0.02
    deformed = sample(guide[None], warp(theta, identity_grid(SIZE)))[0]
    stages = deform(target, deformed, torch.zeros(6))
    grid = identity_grid(SIZE)
    before, after = (
        displacement(warp(theta, read), SIZE).norm(dim=-1).median()
        for read in (grid, compose(stages, grid))
    )
    assert len(stages) == 2
    assert after < 0.5 * before


def test_an_aligned_pair_is_hardly_deformed() -> None:
    target, guide = scene(5)
    grid = identity_grid(SIZE)
    stages = deform(target, guide, torch.zeros(6))
    assert displacement(compose(stages, grid), SIZE).norm(dim=-1).median() < 1.5


def test_a_free_form_deformation_moves_as_its_nodes_do() -> None:
    warp = FreeForm((40, 60), (4, 3))
    grid = identity_grid((40, 60))
    assert torch.equal(warp(torch.zeros(warp.dim), grid), grid)
    uniform = torch.cat((torch.full((12,), 0.1), torch.zeros(12)))
    assert torch.allclose(displacement(warp(uniform, grid), (40, 60))[..., 0], torch.tensor(3.0))
    with pytest.raises(ValueError, match="2 x 2"):
        FreeForm((40, 60), (1, 3))


@pytest.mark.parametrize(("align", "count"), [("affine", 1), ("cpab", 2), ("auto", 3)])
def test_the_chain_starts_at_the_identity(align: str, count: int) -> None:
    guide = torch.rand(1, 3, 24, 32)
    chain = WarpChain((24, 32), align)
    assert len(chain.theta) == count
    assert torch.allclose(chain(guide), guide, atol=1e-5)
    assert [group["scale"] for group in chain.groups()] == [1.0, 1.0, 0.2][:count]


def test_the_chain_learns_from_the_reconstruction() -> None:
    """Training with the network moves a shifted guide towards its place."""
    rng = np.random.default_rng(0)
    field = torch.from_numpy(rng.uniform(size=(1, 1, 12, 16))).float()
    truth = F.interpolate(field, (96, 128), mode="bicubic")[0]
    shifted = torch.roll(truth, 2, dims=-1).expand(3, -1, -1)
    target, guide = as_arrays(F.avg_pool2d(truth, 4)[0], shifted)
    pair = pair_of(target, guide)
    config = Config.of("paper", iterations=250, learning_rate=1e-3, p=0.0, align="affine")
    fit = train(pair, "bicubic", config)
    assert fit.chain is not None
    shift = displacement(fit.chain.alignment(None).grid(), (96, 128))[..., 0].median()
    assert 0.5 < shift < 3


def test_a_fold_in_the_learned_chain_is_refused() -> None:
    chain = WarpChain((24, 32), "auto")
    with torch.no_grad():
        chain.theta[2].copy_(torch.randn_like(chain.theta[2]))
    found = chain.alignment(None)
    assert found.refused
    assert "folds" in found.warnings[0]


def test_the_command_writes_everything_and_nothing_twice(
    tmp_path: Path, turned: tuple[np.ndarray, np.ndarray, Tensor], capsys: pytest.CaptureFixture
) -> None:
    image_files.write(tmp_path / "target.tif", turned[0])
    image_files.write(tmp_path / "guide.png", turned[1])
    command = ["align", *(str(tmp_path / name) for name in ("target.tif", "guide.png"))]
    extras = {"--field": "field.tif", "--mask": "mask.png", "--overlay": "look.png"}
    options = [part for pair in extras.items() for part in (pair[0], str(tmp_path / pair[1]))]
    out = str(tmp_path / "moved.png")
    assert main([*command, "-o", out, *options, "--json", str(tmp_path / "a.json")]) == 0
    found = cmsr.align(tmp_path / "target.tif", tmp_path / "guide.png")
    field = image_files.read(tmp_path / "field.tif").data
    assert np.array_equal(np.moveaxis(field, 0, -1), found.displacement)
    assert np.array_equal(image_files.read(tmp_path / "mask.png").data[0] > 0, found.valid)
    assert image_files.read(tmp_path / "look.png").data.shape == (3, *SIZE)
    facts = json.loads((tmp_path / "a.json").read_text())
    assert facts["alignment"]["confidence"] > 0.5
    capsys.readouterr()
    assert main([*command, "-o", out]) == 2
    assert "exists already" in capsys.readouterr().err
    twice = str(tmp_path / "same.png")
    assert main([*command, "-o", twice, "--overlay", twice]) == 2
    assert "two outputs cannot have the same name" in capsys.readouterr().err
    assert main([*command, "-o", str(tmp_path / "b.png"), "--field", str(tmp_path / "b.npz")]) == 0
    assert np.array_equal(np.load(tmp_path / "b.npz")["displacement"], found.displacement)
